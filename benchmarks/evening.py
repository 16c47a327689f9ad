"""An evening with the plugin, simulated: a score on images that nobody painted in, against the number of strokes.

Strokes are drawn from the truth of three images: short ones inside and over background, half of them where the last
prediction is least sure ("uncertain places next"), the others anywhere; of cells, borders between touching ones are
traced, or cells are painted whole. After each round the training goes on from the weights of the round before, and
predicts images of a later block of the film or stack. Painting all of the three images is the end of the scale.

    python benchmarks/evening.py --data FOLDER --work FOLDER --out benchmarks/results/evening_cpu_2026-11.md

FOLDER has `isbi2012/` (the challenge's format) and `dic_hela_silver/` (the Cell Tracking Challenge's). What is in
`--work` is not computed again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from _measure import publish, where_it_ran
from _strokes import BACKGROUND, INSIDE, Hand
from skimage.measure import label as components

from monai_unet.metrics.isbi2012 import isbi2012_scores
from monai_unet.metrics.seg import seg_of_sections
from monai_unet.prediction.out_of_core import predict
from monai_unet.viewer.painted import Meaning, Painted
from monai_unet.viewer.prepare import prepare
from monai_unet.viewer.training import Training
from monai_unet.viewer.uncertain import uncertain_places

ROUNDS = (8, 24, 64)  # strokes after each round, of the three images together
ITERATIONS = 60  # of a round
START = {"dic": "phc_u373_compact", "isbi": "dic_hela_compact"}  # weights that have not seen these images
SMALLEST = 500  # pixels of an object in the films, as in the bundle `dic_hela`
PAINTED = {"isbi": (0, 6, 12), "dic": (0, 4, 8)}
SCORED = {"isbi": (18, 20, 22), "dic": (14, 15, 17, 19)}  # frames 056, 060, 068 and 076, annotated whole


@dataclass(frozen=True)
class Way:
    """One way through the evening: what is painted, how, and where."""

    data: str
    meaning: Meaning
    where: str  # "uncertain", "anywhere" or "all"
    start: str = "trained"  # or "random" weights

    @property
    def name(self) -> str:
        """Of its row and its files."""
        return f"{self.data} {self.meaning} {self.where}" + (" random" if self.start == "random" else "")


WAYS = [
    Way("isbi", "classes", "uncertain"),
    Way("dic", "cells", "uncertain"),
    Way("dic", "classes", "uncertain"),
    Way("dic", "classes", "uncertain", "random"),
    Way("isbi", "classes", "all"),
    Way("dic", "cells", "all"),
    Way("isbi", "classes", "anywhere"),
    Way("dic", "classes", "anywhere"),
]


def read(data: str, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images and cells, (N, H, W) each; of membranes, cells are the 4-connected parts of what is inside."""
    if data == "isbi":
        images = tifffile.imread(folder / "isbi2012" / "train-volume.tif")
        labels = tifffile.imread(folder / "isbi2012" / "train-labels.tif")
        return images, np.stack([components(section, background=0, connectivity=1) for section in labels])
    files = sorted((folder / "dic_hela_silver" / "01_ST" / "SEG").glob("*.tif"))
    images = [tifffile.imread(folder / "dic_hela_silver" / "01" / f"t{file.stem[-3:]}.tif") for file in files]
    return np.stack(images), np.stack([tifffile.imread(file) for file in files]).astype(np.int32)


def all_painted(truth: np.ndarray, meaning: Meaning) -> np.ndarray:
    """Every pixel; classes as `Hand` has them, with a border between touching cells."""
    if meaning == "cells":
        return truth.astype(np.int32) + BACKGROUND
    hand = Hand(truth, 1, False, np.random.default_rng(0))
    return np.where(hand.outside, BACKGROUND, INSIDE).astype(np.int32)


def predicted(image: Path, bundle: Path, output: str, meaning: Meaning) -> np.ndarray:
    """The stack that a bundle predicts."""
    out = image.with_name(f"{image.stem}_{output}.tif")
    out.unlink(missing_ok=True)
    smallest = SMALLEST if output == "instances" and meaning == "classes" else None
    return tifffile.imread(predict(image, out, bundle, output=output, min_size=smallest, progress=False))


def score(way: Way, images: np.ndarray, truth: np.ndarray, bundle: Path, work: Path) -> dict[str, float]:
    """Of the images that nobody painted in; at the threshold 0.5, but V_rand by its definition at the best one."""
    file = work / "scored.tif"
    tifffile.imwrite(file, images, photometric="minisblack")
    probability = predicted(file, bundle, "probability", way.meaning)
    if way.data == "isbi":
        scores = isbi2012_scores(truth, probability, warping=False)
        at_half = isbi2012_scores(truth, probability, [0.5], warping=False)
        return {"V_rand": scores.v_rand_macro, "at 0.5": at_half.v_rand_macro, "pixel error": at_half.pixel_error}
    inside, is_cell = probability > 0.5, truth > 0
    both = float((inside & is_cell).sum())
    objects = predicted(file, bundle, "instances", way.meaning)
    return {
        "SEG": seg_of_sections(list(zip(truth, objects, strict=True))).seg,
        "Dice": 2 * both / float(inside.sum() + is_cell.sum()),
    }


def evening(way: Way, folder: Path, work: Path, threads: int) -> list[dict[str, Any]]:
    """The rounds of one way: strokes, painted share, minutes of training so far, scores."""
    record = work / f"{way.name.replace(' ', '_')}.json"
    if record.exists():
        return json.loads(record.read_text())
    images, truth = read(way.data, folder)
    rng = np.random.default_rng(0)
    here = work / way.name.replace(" ", "_")
    shutil.rmtree(here, ignore_errors=True)
    here.mkdir(parents=True)
    chosen = PAINTED[way.data]
    hands = [Hand(truth[i], 1 if way.data == "isbi" else 3, way.meaning == "cells", rng) for i in chosen]
    bundle, minutes, strokes, rounds = here / "bundle", 0.0, 0, []
    if way.where == "all":
        for hand in hands:
            hand.labels = all_painted(hand.truth, way.meaning)
    for target in ROUNDS if way.where != "all" else (0,):
        sure = rounds and way.where == "uncertain"
        places = least_sure(images, chosen, hands, bundle, here, way) if sure else []
        while strokes < target:
            at, place = places.pop(0) if places and strokes % 4 < 2 else (int(rng.integers(len(hands))), None)
            for number in (INSIDE, BACKGROUND):
                strokes += hands[at].draw(number, place)
        painted = [Painted(f"{way.data}{i:02d}", images[i], hand.labels) for i, hand in zip(chosen, hands, strict=True)]
        length = ITERATIONS * (len(ROUNDS) if way.where == "all" else 1)
        weights = START[way.data] if way.start == "trained" else None
        run = prepare(bundle, painted, way.meaning, iterations=length, start=weights)
        start = time.perf_counter()
        for _ in Training(run, threads).steps():
            pass
        minutes += (time.perf_counter() - start) / 60
        rounds.append(
            {
                "strokes": strokes,
                "painted": float(np.mean([(hand.labels > 0).mean() for hand in hands])),
                "minutes": minutes,
                **score(way, images[list(SCORED[way.data])], truth[list(SCORED[way.data])], bundle, here),
            }
        )
        print(way.name, rounds[-1], flush=True)
    record.write_text(json.dumps(rounds))
    return rounds


def least_sure(
    images: np.ndarray, chosen: Sequence[int], hands: Sequence[Hand], bundle: Path, work: Path, way: Way
) -> list[tuple[int, Any]]:
    """The places of the painted images that are least sure and not painted yet, with the number of their image."""
    file = work / "painted.tif"
    tifffile.imwrite(file, images[list(chosen)], photometric="minisblack")
    probability = predicted(file, bundle, "probability", way.meaning)
    painted = np.stack([hand.labels for hand in hands])
    return [(place.section, place) for place in uncertain_places(probability, painted)]


def page(found: dict[str, list[dict[str, Any]]], command: str, picture: str) -> list[str]:
    """The results page."""
    lines = [
        "# A simulated evening in napari",
        "",
        f"`{command}`",
        "",
        where_it_ran("torch", "monai"),
        "",
        f"{ITERATIONS} iterations a round, of two tiles of 188 pixels, on one thread of a machine that others used,",
        "which the minutes tell; where all is painted, as many as in all rounds. One seed. The film starts from the",
        f"weights of `{START['dic']}`, the sections from those of `{START['isbi']}`, which have not seen them. Painted",
        "in are sections 0, 6 and 12 of ISBI 2012 and frames 000, 016 and 032 of DIC-C2DH-HeLa (silver truth); scored",
        "are sections 18, 20 and 22 and frames 056, 060, 068 and 076, at the threshold 0.5; V_rand, as the challenge",
        "defines it, at the best of ten thresholds.",
        "That trainings start from weights of another task, and vary images little, was settled after short trials",
        "that had scored frames of this block; the sections settled nothing. Where classes are painted in the film,",
        f"objects below {SMALLEST} pixels are dropped; where cells are, below a tenth of the median painted cell.",
        "",
        f"![scores against strokes]({picture})",
        "",
        "| painted | where | weights at the start | strokes | share of the pixels | minutes of training | scores |",
        "|---|---|---|--:|--:|--:|---|",
    ]
    for way in WAYS:
        for each in found.get(way.name, []):
            scores = ", ".join(
                f"{name} {value:.3f}" for name, value in each.items() if name not in ("strokes", "painted", "minutes")
            )
            strokes = "all" if way.where == "all" else each["strokes"]
            cells = [f"{way.data}, {way.meaning}", way.where, way.start, strokes, f"{100 * each['painted']:.3g} %"]
            lines.append(f"| {' | '.join(map(str, cells))} | {each['minutes']:.1f} | {scores} |")
    return lines


def draw(found: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """The curves as a PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(12, 3.6), layout="constrained", dpi=100)
    film, sections = "DIC-HeLa, unseen frames", "ISBI 2012, unseen sections"
    panels = [("dic", "Dice", film), ("dic", "SEG", film), ("isbi", "V_rand", sections)]
    labels = {"classes": "strokes", "cells": "whole cells"}
    for axis, (data, name, title) in zip(axes, panels, strict=True):
        for way in WAYS:
            rounds = found.get(way.name, [])
            if way.data != data or not rounds:
                continue
            values = [each[name] for each in rounds]
            colour = "C2" if way.meaning == "cells" else "C3" if way.start == "random" else "C0"
            if way.where == "all":
                axis.axhline(values[0], color=colour, ls=":", label=f"everything painted ({labels[way.meaning]})")
                continue
            where = ", half where it is unsure" if way.where == "uncertain" else ", anywhere"
            text = labels[way.meaning] + (where if way.start == "trained" else ", from random weights")
            style = "o-" if way.where == "uncertain" else "o--"
            axis.plot([each["strokes"] for each in rounds], values, style, color=colour, label=text)
        axis.set(title=title, ylabel=name, xlabel="strokes in three images", xscale="log", ylim=(0, 1))
        axis.set_xticks(ROUNDS, map(str, ROUNDS), minor=False)
        axis.minorticks_off()
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7, loc="best")
    figure.savefig(path, metadata={"Software": None})


def main() -> None:
    """Paint, train, score, and write the page and its picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--ways", type=int, default=len(WAYS), help="the first so many ways (default all)")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[dict[str, Any]]] = {}
    for way in WAYS[: args.ways]:
        found[way.name] = evening(way, args.data, args.work, args.threads)
        picture = args.out.with_suffix(".png")
        draw(found, picture)
        command = f"python benchmarks/evening.py --data FOLDER --work FOLDER --out PAGE --threads {args.threads}"
        publish(page(found, command, picture.name), args.out)


if __name__ == "__main__":
    main()
