"""Colour images and labels in colour, from a folder alone: is the colour used, and which classes are found.

    python benchmarks/colour.py --out benchmarks/results/colour_cpu_2026-11.md

scikit-image's immunohistochemistry picture `ihc.png` (512 x 512, RGB), labelled by colour deconvolution (Ruifrok and
Johnston 2001, `skimage.color.rgb2hed`): DAB where its channel is above Otsu's threshold, haematoxylin where that is and
DAB is not. The thresholds are those of the left half.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import skimage
from _measure import publish, where_it_ran
from PIL import Image
from skimage.color import rgb2gray, rgb2hed
from skimage.filters import threshold_otsu

from monai_unet.recipes.create import new_bundle
from monai_unet.score import class_report

PICTURE = Path(skimage.__file__).parent / "data" / "ihc.png"
TOP, BOTTOM, LEFT, RIGHT = slice(0, 256), slice(256, 512), slice(0, 256), slice(256, 512)
TRAINING = {f"a{y}{x}": (slice(y, y + 128), slice(x, x + 128)) for y in range(0, 512, 128) for x in range(0, 256, 128)}
BLOCKS = {**TRAINING, "b": (TOP, RIGHT)}  # the last one chooses the weights
SCORED = (BOTTOM, RIGHT)
TASKS = {
    "DAB": "background=255,255,255 dab=150,75,0",
    "three classes": "background=255,255,255 haematoxylin=0,0,255 dab=150,75,0",
}
FEATURES = "[8,16,32]"
OPTIONS = ("--tile", 124, "--dropout", 0.0, "--learning_rate", 0.004, "--warm_up", 20, "--val_interval", 20)
LITTLE = ("--grey_scale", 0.1, "--grey_shift", 0.1)
MUCH = ("--grey_scale", 0.4, "--grey_shift", 0.5)
"""Variation of brightness and contrast, of each channel by itself: what `new` sets for RGB, and for grey images."""
NETWORKS = {  # what it sees, and the variation in training
    "U-Net on RGB": ("RGB", LITTLE),
    "U-Net on grey": ("grey", LITTLE),
    "U-Net on RGB, the variation of grey images": ("RGB", MUCH),
}


@dataclass(frozen=True)
class Result:
    """Of a training.

    Attributes:
        report: of the scored block, as `monai-unet score` has it.
        metrics: of the scored block, as the evaluation has them.
        seconds: of the training.
        picture: of the report.
    """

    report: dict[str, Any]
    metrics: dict[str, float]
    seconds: float
    picture: Path


def picture() -> np.ndarray:
    """Red, green and blue, uint8, (H, W, 3)."""
    return np.asarray(Image.open(PICTURE).convert("RGB"))


def grey(pixels: np.ndarray) -> np.ndarray:
    """The luminance, uint8, (H, W)."""
    return np.rint(rgb2gray(pixels) * 255).astype(np.uint8)


def classes(pixels: np.ndarray, task: str) -> np.ndarray:
    """The class of each pixel in the order of the task's colours, (H, W)."""
    stains = rgb2hed(pixels)
    haematoxylin, dab = (stains[..., stain] > threshold_otsu(stains[:, LEFT, stain]) for stain in (0, 2))
    if task == "DAB":
        return dab.astype(np.uint8)
    return np.where(dab, 2, haematoxylin).astype(np.uint8)


def drawn(numbers: np.ndarray, task: str) -> np.ndarray:
    """Classes in the colours of the task, uint8, (H, W, 3)."""
    table = [part.partition("=")[2].split(",") for part in TASKS[task].split()]
    return np.array(table, np.uint8)[numbers]


def write(folder: Path, blocks: Mapping[str, tuple[slice, slice]], images: np.ndarray, labels: np.ndarray) -> None:
    """A folder of images and labels, PNG."""
    for part, pixels in (("images", images), ("labels", labels)):
        (folder / part).mkdir(parents=True)
        for name, where in blocks.items():
            Image.fromarray(pixels[where]).save(folder / part / f"{name}.png")


def command(run_id: str, *words: object) -> None:
    """`python -m monai.bundle run`."""
    subprocess.run(
        [sys.executable, "-m", "monai.bundle", "run", run_id, *map(str, words)],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def trained(folder: Path, task: str, images: np.ndarray, seed: int, epochs: int, variation: Sequence[object]) -> Result:
    """A bundle made from a folder alone, trained, and scored on the block that it has not seen."""
    numbers = classes(picture(), task)
    write(folder / "data", BLOCKS, images, drawn(numbers, task))
    write(folder / "scored", {"d": SCORED}, images, drawn(numbers, task))
    bundle = new_bundle("ihc", folder / "data", out=folder / "bundle", colours=TASKS[task], labels="classes").folder
    small = ("--features", FEATURES)
    begun = time.perf_counter()
    command(
        "training",
        *("--config_file", bundle / "train.json", *small, "--epochs", epochs, "--seed", seed),
        *("--validation", f"[{len(TRAINING)}]", *OPTIONS, *variation),
    )
    seconds = time.perf_counter() - begun
    configs = f"['{bundle / 'train.json'}','{bundle / 'evaluate.json'}']"
    out = folder / "evaluated"
    of_scored = ("--dataset_dir", folder / "scored", "--validation", 0, "--output_dir", out)
    command("evaluating", "--config_file", configs, *small, *of_scored)
    scored = folder / "scored" / "images"
    command(
        "inference",
        "--config_file",
        bundle / "inference.json",
        *small,
        "--input_dir",
        scored,
        "--output_dir",
        out / "p",
    )
    lines = (line.split(",") for line in (out / "metrics.csv").read_text().splitlines())
    report = class_report(folder / "scored" / "labels", out / "p", colours=TASKS[task])
    return Result(report, {name: float(value) for name, value in lines}, seconds, out / "pictures" / "section_000.png")


def threshold_report(folder: Path, task: str) -> tuple[dict[str, Any], float]:
    """The score of dark pixels, by Otsu's threshold of the luminance of the two training blocks."""
    pixels = grey(picture())
    threshold = float(threshold_otsu(pixels[:, LEFT]))
    numbers = {"truth": classes(picture(), task)[SCORED], "dark": (pixels[SCORED] <= threshold).astype(np.uint8)}
    for name, array in numbers.items():
        (folder / name).mkdir(parents=True)
        Image.fromarray(array).save(folder / name / "d.png")
    return class_report(folder / "truth" / "d.png", folder / "dark" / "d.png", ["background", "dab"]), threshold


def of_class(report: Mapping[str, Any], name: str) -> tuple[float, float]:
    """Dice and IoU."""
    row = next(row for row in report["of_classes"] if row["class"] == name)
    return row["dice"], row["iou"]


def spread(values: Sequence[float]) -> str:
    """The mean, and the lowest and highest of several."""
    mean = f"{np.mean(values):.3f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.3f} to {max(values):.3f})"


def matrix(report: Mapping[str, Any]) -> list[str]:
    """The confusion matrix as a table, shares of the true class."""
    names = report["classes"]
    lines = [f"| true \\ predicted | {' | '.join(names)} | pixels |", f"|---|{'--:|' * (len(names) + 1)}"]
    for name, row in zip(names, report["confusion_matrix"], strict=True):
        shares = " | ".join(f"{100 * pixels / max(sum(row), 1):.1f} %" for pixels in row)
        lines.append(f"| {name} | {shares} | {sum(row)} |")
    return lines


def shown_words(keep: Path | None) -> list[str]:
    """The command's words without `--keep`, which changes no number."""
    words = sys.argv[1:]
    where = words.index("--keep") if keep is not None else len(words)
    return words[:where] + words[where + 2 :]


def main() -> None:
    """Train on colour and on grey, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--keep", type=Path, help="folder for the bundles, their data and their reports")
    args = parser.parse_args()
    results: dict[tuple[str, str], list[Result]] = {}
    inputs = {"RGB": picture(), "grey": grey(picture())}
    with tempfile.TemporaryDirectory() as name:
        folder = args.keep or Path(name)
        bound, threshold = threshold_report(folder / "threshold", "DAB")
        for task, what in itertools.product(TASKS, NETWORKS):
            channels, variation = NETWORKS[what]
            if task != "DAB" and not variation:
                continue
            for seed in args.seeds:
                place = folder / f"{task}_{len(results)}_{seed}".replace(" ", "_")
                found = trained(place, task, inputs[channels], seed, args.epochs, variation)
                results.setdefault((task, what), []).append(found)
                print(f"{task}, {what}: {found.metrics}, {found.seconds:.0f} s", file=sys.stderr)
        shown = None
        if args.out is not None:
            shown = args.out.with_suffix(".png")
            drawn_by_report = Image.open(results["three classes", "U-Net on RGB"][0].picture)
            drawn_by_report.quantize(64).save(shown, optimize=True)
    rows, of_three = (
        [
            f"| {what}{f', {name}' if len(names) > 1 else ''} | "
            f"{' | '.join(map(spread, zip(*(of_class(each.report, name) for each in found), strict=True)))} |"
            for name in names
            for (of_task, what), found in results.items()
            if of_task == task
        ]
        for task, names in {"DAB": ["dab"], "three classes": ["background", "haematoxylin", "dab"]}.items()
    )
    differ = [
        abs(each.metrics[f"mean_{score}"] - each.report["scores"][f"mean_{score}"])
        for found in results.values()
        for each in found
        for score in ("dice", "iou")
    ]
    seconds = [each.seconds for found in results.values() for each in found]
    lines = [
        "# Colour: images in RGB, labels in colour",
        "",
        f"- Command: `python {shlex.join(['benchmarks/colour.py', *shown_words(args.keep)])}`",
        f"- Date: {datetime.date.today()}",
        f"- Machine: {where_it_ran('monai-unet', 'torch', 'monai', 'scikit-image')}; one thread",
        "- Data: scikit-image's `ihc.png`, 512 x 512. The left half trains, in eight blocks of 128 x 128; the top",
        "  right quarter chooses the weights; the bottom right one is scored and chose nothing. One picture of one",
        "  slide: the scores say whether colour is used, not how other slides would fare.",
        "- Labels: made, not drawn by hand, by colour deconvolution and Otsu's thresholds of the left half; each",
        "  pixel's class follows from its colour alone, and is saved as RGB.",
        f"- `monai-unet new` on the folder, then {args.epochs} epochs (2 iterations each), seeds"
        f" {', '.join(map(str, args.seeds))}:",
        f"  `--features {FEATURES} {' '.join(map(str, (*OPTIONS, *LITTLE)))}`.",
        "  The last two are a smaller variation of brightness and contrast than that of grey images (0.4, 0.5), which",
        "  is of each channel by itself, and hides of a stain how strong it is; a row has that.",
        f"- {min(seconds):.0f} to {max(seconds):.0f} s a training, beside other work.",
        "",
        "## DAB or not",
        "",
        "| on the scored block | Dice | IoU |",
        "|---|--:|--:|",
        f"| dark pixels, Otsu's threshold of the training blocks' grey ({threshold:.0f}) | "
        f"{' | '.join(f'{value:.3f}' for value in of_class(bound, 'dab'))} |",
        *rows,
        "",
        "## Three classes in colour",
        "",
        f'`--colours "{TASKS["three classes"]}"`',
        "",
        "| on the scored block | Dice | IoU |",
        "|---|--:|--:|",
        *of_three,
        "",
    ]
    for (task, what), found in results.items():
        if task != "DAB":
            lines += [f"Confusion, {what}, seed {args.seeds[0]}:", "", *matrix(found[0].report), ""]
    lines += [
        "The scores are those of `monai-unet score` on the files of inference; the evaluation of the bundle has",
        f"the same means, to {max(differ):.0e}.",
    ]
    if shown is not None:
        lines += [
            "",
            f"![image, truth, prediction, probability, errors]({shown.name})",
            "",
            "The scored block in the report of the network on RGB: image, truth, prediction, probability of the",
            "predicted class, errors. The file has 64 colours, to be small.",
        ]
    publish(lines, args.out)


if __name__ == "__main__":
    main()
