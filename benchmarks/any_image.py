"""Every kind of file with every kind of image through every command, each run and compared bit for bit.

    python benchmarks/any_image.py --out benchmarks/results/any_image_2026-11.md

For each kind of image, the pixels in a plain TIFF are the reference: what is read, the settings that `new` chooses, the
weights after two iterations, the scores, and every prediction have to be those of the TIFF. A JPEG is lossy, and its
reference is a TIFF of the pixels that Pillow decodes from it.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import io
import json
import logging
import os
import shlex
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch
from _any_files import NAMES, WRITERS, CannotHoldError, jpeg_pixels, png, tiff
from _measure import publish, where_it_ran
from monai.bundle import ConfigWorkflow

from monai_unet.cli import main as command
from monai_unet.errors import cause_under_monai
from monai_unet.io import open_source, read_image

SIZE = (60, 70)
FEATURES = [2, 4]
COLOURS = "background=0,0,0 body=255,0,0 nucleus=0,0,255"
TABLE = np.array([(0, 0, 0), (255, 0, 0), (0, 0, 255)], np.uint8)
DOORS = ("read", "`new`", "training", "evaluation", "inference", "`predict`", "region", "`score`")
REGION = (slice(None), slice(7, 41), slice(20, 63))


@dataclass(frozen=True)
class Kind:
    """A kind of image.

    Attributes:
        channels: as they are stored.
        sections: of a file.
        dtype: of the pixels.
        offset: that all grey values have.
    """

    channels: int
    sections: int = 1
    dtype: str = "uint8"
    offset: int = 0

    @property
    def in_colour(self) -> bool:
        """Whether it has labels in colour too."""
        return self.channels > 2


KINDS = {
    "grey, 8 bits": Kind(1),
    "grey, 16 bits with an offset of 30000": Kind(1, dtype="uint16", offset=30000),
    "two channels": Kind(2, dtype="uint16"),
    "RGB": Kind(3),
    "RGBA": Kind(4),
    "stack of two sections": Kind(1, sections=2),
}


def image(kind: Kind, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels (C, D, H, W), and for each pixel the number of its cell and its class, (D, H, W)."""
    rng = np.random.default_rng(seed)
    row, column = np.indices(SIZE)
    shape = (kind.sections, *SIZE)
    cells, classes = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    for section in range(kind.sections):
        for number, (y, x) in enumerate(((15, 14), (16, 45), (44, 25), (45, 56)), start=1):
            distance = np.hypot(row - y - rng.integers(-3, 4), column - x - rng.integers(-3, 4))
            cells[section][distance < 11] = number
            classes[section][distance < 11] = 1
            classes[section][distance < 5] = 2
    light = [classes * (30 + 40 * channel) + 40 for channel in range(min(kind.channels, 3))]
    pixels = np.stack(light) + rng.normal(0, 9, (len(light), *shape)) + kind.offset
    pixels = np.clip(pixels, kind.offset, kind.offset + 255).astype(kind.dtype)
    if kind.channels == 4:
        pixels = np.concatenate([pixels, rng.integers(0, 256, (1, *shape)).astype(kind.dtype)])
    return pixels, cells, classes


def drawn(classes: np.ndarray) -> np.ndarray:
    """Classes (D, H, W) in colour, (3, D, H, W)."""
    return np.moveaxis(TABLE[classes], -1, 0)


@dataclass
class Case:
    """A kind of image in a kind of file: where its files are, and what the doors gave."""

    kind: Kind
    file: str
    folder: Path
    images: list[Path]
    expected: list[np.ndarray]
    found: dict[str, Any] = field(default_factory=dict)

    @property
    def bundle(self) -> Path:
        """Its own bundle."""
        return self.folder / "bundle"

    @property
    def pixels_as(self) -> list[str]:
        """The option that says where channels are in files of their own."""
        if self.file != "a file a channel":
            return []
        return ["--channels", ",".join(f"{name}=*_{name}.tif" for name in NAMES[self.kind.channels])]


def make(kind: Kind, file: str, folder: Path, decoded: bool) -> Case:
    """Write two images of a kind in a kind of file, and their labels; `decoded` from a JPEG."""
    for part in ("images", "labels", "scored"):
        (folder / part).mkdir(parents=True)
    case = Case(kind, file, folder, [], [])
    for seed, name in enumerate("ab"):
        pixels, cells, classes = image(kind, seed)
        if decoded:
            pixels = jpeg_pixels(pixels)
        case.images.append(WRITERS[file](folder / "images" / name, pixels))
        seen = jpeg_pixels(pixels) if file == "JPEG" else pixels
        case.expected.append(seen[:3] if kind.channels == 4 else seen)
        labels, moved = folder / "labels" / name, folder / "scored" / name
        if kind.in_colour:
            png(labels, drawn(classes))
            tifffile.imwrite(moved.with_suffix(".tif"), np.roll(classes, 2, axis=-1))
        else:
            tiff(labels, cells[None])
            tifffile.imwrite(moved.with_suffix(".tif"), np.roll(cells, 2, axis=-1), photometric="minisblack")
    return case


def read(case: Case, _: dict[str, Any]) -> bool:
    """Whether all pixels of both images are as they were written."""
    wanted = case.pixels_as[1] if case.pixels_as else None
    return all(
        np.array_equal(read_image(path, wanted), pixels)
        for path, pixels in zip(case.images, case.expected, strict=True)
    )


def new(case: Case, reference: dict[str, Any]) -> bool:
    """Make the bundle; whether its settings are the reference's, but for places, names of channels and of pages."""
    colours = ["--colours", COLOURS] if case.kind.in_colour else []
    said(["new", "mine", "--dataset-dir", case.folder, "--out", case.bundle, "--no-trial", *case.pixels_as, *colours])
    config = json.loads((case.bundle / "configs" / "train.json").read_text())
    case.found["new"] = {key: value for key, value in config.items() if key not in ("dataset_dir", "channels", "pages")}
    return case.found["new"] == reference.get("new", case.found["new"])


def train(case: Case, reference: dict[str, Any]) -> bool:
    """Two iterations; whether the weights are the reference's, bit for bit."""
    run(case.bundle, "training", ["train"], epochs=2, val_interval=2, features=FEATURES)
    weights = torch.load(case.bundle / "models" / "model.pt", weights_only=True)
    case.found["weights"] = weights
    others = reference.get("weights", weights)
    return list(weights) == list(others) and all(torch.equal(weights[name], others[name]) for name in weights)


def evaluate(case: Case, reference: dict[str, Any]) -> bool:
    """Whether all scores of the evaluation are the reference's."""
    run(case.bundle, "evaluating", ["train", "evaluate"], features=FEATURES)
    case.found["metrics"] = (case.bundle / "output" / "metrics.csv").read_text()
    return case.found["metrics"] == reference.get("metrics", case.found["metrics"])


def infer(case: Case, reference: dict[str, Any]) -> bool:
    """Whether what inference writes for the folder of images is the reference's; types of the files may differ."""
    out = case.folder / "inferred"
    run(case.bundle, "run", ["inference"], features=FEATURES, input_dir=case.folder / "images", output_dir=out)
    first = f"_{NAMES[case.kind.channels][0]}" if case.pixels_as else ""
    results = {
        path.name.removesuffix(".gz").rpartition(".")[0].replace(first, ""): whole(path)
        for path in sorted(each for each in out.rglob("*") if each.is_file())
    }
    case.found["inferred"] = results
    others = reference.get("inferred", results)
    return (
        bool(results)
        and results.keys() == others.keys()
        and all(np.array_equal(results[name], others[name]) for name in results)
    )


def predict(case: Case, reference: dict[str, Any]) -> bool:
    """Whether `predict` gives the probabilities of the reference."""
    case.found["predicted"] = predicted(case, case.bundle, "whole.ome.tif", *features())
    return np.array_equal(case.found["predicted"], reference.get("predicted", case.found["predicted"]))


def region(case: Case, _: dict[str, Any]) -> bool | str:
    """Whether a region is that part of the whole; else how far off it is, and the same in bfloat16."""
    off = _off(case, case.found["predicted"])
    if off == 0:
        return True
    short = ["--precision", "bfloat16"]
    in_short = _off(case, predicted(case, case.bundle, "short.ome.tif", *features(), *short), *short)
    return f"{off:.0e}; {'equal' if in_short == 0 else f'**{in_short:.0e}**'}"


def _off(case: Case, expected: np.ndarray, *options: str) -> float:
    """The largest difference between a region and that part of the whole."""
    rows, columns = ((part.start, part.stop) for part in REGION[1:])
    name = f"part{''.join(options)}.ome.tif"
    roi = ["--roi", f"{rows[0]}:{rows[1]},{columns[0]}:{columns[1]}"]
    part = predicted(case, case.bundle, name, *features(), *roi, *options)
    return float(np.abs(part - expected[..., REGION[1], REGION[2]]).max())


def score(case: Case, reference: dict[str, Any]) -> bool:
    """Score labels in this kind of file: numbers, or of images in colour colours; whether it is the reference's."""
    _, cells, classes = image(case.kind, 1)
    (case.folder / "truth").mkdir()
    writer = WRITERS["TIFF" if case.pixels_as else case.file]
    truth = writer(case.folder / "truth" / "b", drawn(classes) if case.kind.in_colour else cells[None])
    metric = ["--metric", "classes", "--colours", COLOURS] if case.kind.in_colour else ["--metric", "seg"]
    out = case.folder / "scores.json"
    said(["score", truth, case.folder / "scored" / "b.tif", *metric, "--out", out])
    scores = json.loads(out.read_text())
    for each in (scores, *scores["sections"]):
        for key in ("labels", "proposal", "section"):
            each.pop(key, None)
    case.found["scores"] = scores
    return scores == reference.get("scores", scores)


def exported(case: Case) -> bool:
    """Whether a TorchScript file of the bundle predicts what the bundle does."""
    file = case.folder / "network.ts"
    said(["export", "--bundle", case.bundle, "--format", "torchscript", "--out", file, *features()])
    return np.array_equal(predicted(case, file, "exported.ome.tif"), case.found["predicted"])


def features() -> list[str]:
    """The option for the small network."""
    return ["--features", str(FEATURES)]


def predicted(case: Case, source: Path, name: str, *options: str) -> np.ndarray:
    """The probabilities that `predict` writes for the second image."""
    out = case.folder / name
    said(["predict", case.images[1], "--bundle", source, "--out", out, "--device", "cpu", *options])
    return whole(out)


def whole(path: Path) -> np.ndarray:
    """All numbers of a file, (C, D, H, W)."""
    source = open_source(path)
    return source.read(tuple(slice(0, size) for size in source.info.shape))


def said(words: list[Any]) -> str:
    """Run `monai-unet`; what it says, where it fails as an error."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        code = command([str(word) for word in words])
    if code:
        raise RuntimeError(output.getvalue().strip().rpartition("error: ")[2])
    return output.getvalue()


def run(bundle: Path, run_id: str, names: list[str], **values: Any) -> None:
    """What `python -m monai.bundle run` runs, in this process."""
    files = [str(bundle / "configs" / f"{name}.json") for name in names]
    kind = "infer" if "inference" in names else "train"
    given = {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        workflow = ConfigWorkflow(
            files if len(files) > 1 else files[0],
            workflow_type=kind,
            run_id=run_id,
            logging_file=False,
            device="cpu",
            **given,
        )
        workflow.initialize()
        workflow.run()
        workflow.finalize()


NO_LABELS = ("JPEG", "BMP")  # by design: docs/formats.md
STEPS: tuple[Callable[[Case, dict[str, Any]], bool | str], ...] = (
    read,
    new,
    train,
    evaluate,
    infer,
    predict,
    region,
    score,
)
NEEDED = {evaluate: "weights", infer: "weights", predict: "weights", region: "predicted", train: "new"}


def cells_of(case: Case, reference: dict[str, Any], failures: list[str], title: str) -> list[str]:
    """A row: each door, run, and its result in a word."""
    row = []
    for door, step in zip(DOORS, STEPS, strict=True):
        if NEEDED.get(step, "") not in ("", *case.found):
            row.append("not reached")
            continue
        try:
            result = step(case, reference)
            right = "equal" if reference or step in (read, region) else "ran"
            row.append(result if isinstance(result, str) else right if result else "**differs**")
        except Exception as error:
            if step is score and case.file in NO_LABELS:
                row.append("refused")
                continue
            reason = " ".join(str(cause_under_monai(error)).replace(str(case.folder), "").split())
            row.append("**error**")
            failures.append(f"{case.file}, {title}, {door}: {reason[:400]}")
    return row


def of_kind(title: str, kind: Kind, folder: Path, failures: list[str], only: list[str]) -> list[str]:
    """The table of a kind of image."""
    lines = [f"## {title}", "", f"| file | {' | '.join(DOORS)} | s |", f"|---|{'---|' * len(DOORS)}--:|"]
    references: dict[bool, Case] = {}
    for file in WRITERS:
        if only and file not in (*only, "TIFF"):
            continue
        begun, lossy = time.perf_counter(), file == "JPEG"
        try:
            case = make(kind, file, folder / file.replace(" ", "_"), decoded=False)
        except CannotHoldError:
            lines.append(f"| {file} |{' - |' * len(DOORS)} |")
            continue
        if lossy:
            references[True] = make(kind, "TIFF", folder / "decoded", decoded=True)
            cells_of(references[True], {}, failures, f"{title}, decoded from JPEG")
        row = cells_of(case, references[lossy].found if lossy in references else {}, failures, title)
        references.setdefault(lossy, case)
        lines.append(f"| {file} | {' | '.join(row)} | {time.perf_counter() - begun:.0f} |")
    begun = time.perf_counter()
    try:
        word = "equal" if exported(references[False]) else "**differs**"
    except Exception as error:
        word = "**error**"
        failures.append(f"TorchScript, {title}: {' '.join(str(error).split())[:400]}")
    return [
        *lines,
        "",
        f"Exported as TorchScript, the prediction is: {word} ({time.perf_counter() - begun:.0f} s).",
        "",
    ]


def main() -> None:
    """Run every cell, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--files", nargs="+", default=[], choices=WRITERS, help="only these kinds (and TIFF)")
    parser.add_argument("--images", nargs="+", default=list(KINDS), choices=KINDS, help="only these kinds")
    args = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    failures: list[str] = []
    begun, tables = time.perf_counter(), []
    with tempfile.TemporaryDirectory() as name:
        for number, title in enumerate(args.images):
            tables += of_kind(title, KINDS[title], Path(name) / str(number), failures, args.files)
            print(f"{title}: {time.perf_counter() - begun:.0f} s", file=sys.stderr)
    words = [word.strip(" *") for line in tables if line.startswith("|") for word in line.split("|")[2:-2]]
    counted = {word: words.count(word) for word in ("equal", "ran", "differs", "error", "refused", "not reached", "-")}
    counted["regions that differ from the whole in float32 alone"] = sum(
        "e-" in word and "equal" in word for word in words
    )
    lines = [
        "# Any image: kinds of file, kinds of image, and commands",
        "",
        f"- Command: `python {shlex.join([Path(sys.argv[0]).name and 'benchmarks/any_image.py', *sys.argv[1:]])}`",
        f"- Date: {datetime.date.today()}",
        f"- Machine: {where_it_ran('monai-unet', 'torch', 'monai')}; one process, one thread",
        f"- {SIZE[0]} x {SIZE[1]} pixels, two images of each kind, features {FEATURES}",
        f"- Time: {time.perf_counter() - begun:.0f} s",
        f"- Cells: {', '.join(f'{number} {word}' for word, number in counted.items() if number)}",
        "",
        *__doc__.split("\n\n")[2].strip().splitlines(),
        "",
        "- *equal*: run, and the same bit for bit: pixels as they were written; settings of `new` (but for paths and",
        "  names of channels); weights after two iterations; every score of the evaluation; every file of inference",
        "  (labels, objects, probabilities); the probabilities of `predict`; a region, and that part of the whole; the",
        "  scores of labels that are written in this kind of file too.",
        "- *ran*: the reference itself.",
        "- *6e-08; equal* of a region: the largest difference to the whole's probabilities in float32, on a processor",
        "  whose kernels depend on a pixel's place (README, on large images); then the same in bfloat16.",
        "- *refused*: no labels are read from such a file, by design ([formats](../../docs/formats.md)).",
        "- *-*: the format cannot hold such an image, or there is no common way to put one into it.",
        "- *error* and *differs* are explained below the tables. *not reached*: an earlier command failed.",
        "- RGB and RGBA have labels in colour (`--colours`), three classes, and `score --metric classes`; the others",
        "  have numbered cells, and `--metric seg`. RGBA is read as RGB. `score` of a file a channel reads a TIFF.",
        "- Training, evaluation and inference are what `python -m monai.bundle run` runs, in one process.",
        "- That grey images are computed as before there were channels: [one channel](one_channel_cpu_2026-11.md).",
        "- ND2 and LIF are missing: ND2 cannot be written here, and of LIF the tests write one kind alone.",
        "",
        *tables,
    ]
    if failures:
        lines += ["## Errors", "", *(f"- {failure}" for failure in failures)]
    publish(lines, args.out)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
