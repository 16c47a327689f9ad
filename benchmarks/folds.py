"""The networks of `monai-unet train --folds` and their ensemble on a block of sections that none of them saw.

    OMP_NUM_THREADS=1 python benchmarks/folds.py --dataset-dir DIR --work build/folds --out PAGE

A block of sections is kept apart: it trains nothing and chooses nothing. On the others the folds are trained; and, to
compare with, one network on all these sections without validation for as many iterations as a fold, and one with the
validation sections of the last fold for as many as all folds together. All are scored on the block, by the threshold
that their own held-out sections chose (that of the folds for the network without any). The same command goes on where
it was stopped.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from _measure import publish, where_it_ran

from monai_unet.data.sections import read_labelled_sections
from monai_unet.inferers import OverlapTileInferer
from monai_unet.io import read_found
from monai_unet.metrics import isbi2012_scores
from monai_unet.prediction.load import load_model
from monai_unet.report import Fold, folds_table

BUNDLE = Path(__file__).parents[1] / "bundles" / "isbi"
SCORES = {"v_rand_macro": "V_rand", "v_info": "V_info", "rand_error": "Rand error", "pixel_error": "pixel error"}


def train(bundle: Path, *options: object) -> float:
    """Run `monai-unet train`, or go on with it; seconds."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "monai_unet.cli", "train", str(bundle), *map(str, options)], check=True)
    return time.perf_counter() - start


def predicted(bundle: Path, weights: Path, features: str, images: torch.Tensor) -> np.ndarray:
    """Probabilities of inside, (sections, H, W)."""
    overrides = {"ckpt_path": str(weights.resolve()), "features": json.loads(features)}
    model = load_model(str(bundle), json.dumps(overrides))
    with torch.inference_mode():
        logits = [OverlapTileInferer()(model.normalised(image[None]), model.network) for image in images]
    return torch.cat(logits).softmax(1)[:, 1].numpy()


def _cross_validation(output: Path, number: int) -> list[str]:
    """The scores that the command itself reports, as a table."""
    folds = []
    for index in range(1, number + 1):
        lines = (output / f"fold_{index}" / "metrics.csv").read_text(encoding="utf-8").splitlines()
        folds.append(Fold(f"fold {index}", "", {name: float(value) for name, value in csv.reader(lines)}, {}, ""))
    head, *rows = folds_table(folds)
    return [f"| {' | '.join(head)} |", "|---|" + "--:|" * (len(head) - 1), *(f"| {' | '.join(row)} |" for row in rows)]


def main() -> None:
    """Train what is not trained yet, score, write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset-dir", type=Path, required=True, help="the ISBI 2012 files")
    parser.add_argument("--work", type=Path, required=True, help="folder of what is trained")
    parser.add_argument("--features", default="[8,16,32,64,128]")
    parser.add_argument("--epochs", type=int, default=40, help="of a fold")
    parser.add_argument("--val-interval", type=int, default=5)
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--compare", nargs="*", choices=("all", "longer"), default=["all", "longer"])
    parser.add_argument("--test", type=int, nargs="+", default=list(range(6)), help="sections that are kept apart")
    parser.add_argument("--note", action="append", default=[], help="a line above the table; may be repeated")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()

    every = read_labelled_sections(args.dataset_dir / "train-volume.tif", args.dataset_dir / "train-labels.tif")
    others = [index for index in range(len(every)) if index not in args.test]
    bundle = args.work / "bundle"
    if not bundle.is_dir():
        shutil.copytree(BUNDLE, bundle, ignore=shutil.ignore_patterns("models", "output"))
    last = others[-(len(others) // args.folds) :]
    common = ("--dataset_dir", args.dataset_dir, "--features", args.features)
    places = {name: args.work / name for name in ("folds", "longer", "all")}
    rest = [index for index in others if index not in last]
    as_a_fold = ["--epochs", args.epochs, "--val_interval", args.val_interval]
    longer = ["--epochs", args.epochs * args.folds, "--val_interval", args.val_interval * args.folds]
    on_all = args.epochs * len(rest) // len(others)  # epochs of as many iterations
    for name, options in (
        ("folds", [*as_a_fold, "--folds", args.folds, "--training_sections", others]),
        ("all", ["--epochs", on_all, "--val_interval", on_all, "--validation", 0, "--training_sections", others]),
        ("longer", [*longer, "--validation", last, "--training_sections", rest]),
    ):
        done = places[name] / "done"  # the seconds that it took
        if done.is_file() or name not in ("folds", *args.compare):
            continue
        seconds = train(bundle, *common, *options, "--ckpt_dir", places[name], "--output_dir", places[name] / "output")
        done.write_text(f"{seconds:.0f}\n", encoding="utf-8")

    folds = [places["folds"] / f"fold_{number}" / "model.pt" for number in range(1, args.folds + 1)]
    networks = {f"fold {number}": path for number, path in enumerate(folds, start=1)}
    networks["the ensemble of the folds"] = places["folds"] / "model.pt"
    if "all" in args.compare:
        networks["all these sections, as long as a fold"] = places["all"] / "model.pt"
    if "longer" in args.compare:
        networks[f"fold {args.folds}, {args.folds} times as long"] = places["longer"] / "model.pt"
    images = torch.stack([torch.as_tensor(every[index]["image"]) for index in args.test])
    labels = np.stack([every[index]["label"][0].numpy() for index in args.test])
    together = read_found(places["folds"] / "model.pt")["values"]["threshold"]
    head = ["network", "threshold", *SCORES.values()]
    lines = [f"| {' | '.join(head)} |", "|---|" + "--:|" * (len(head) - 1)]
    per_section = {}
    for name, weights in networks.items():
        found = read_found(weights)
        threshold = found["values"]["threshold"] if found else together
        scores = isbi2012_scores(labels, predicted(bundle, weights, args.features, images), [threshold], warping=False)
        per_section[name] = np.array(scores.per_section["v_rand_macro"])
        values = [f"{getattr(scores, score):.4f}" for score in SCORES]
        lines.append(f"| {' | '.join([name, f'{threshold:g}', *values])} |")
    names = list(networks)
    singles = np.mean([per_section[name] for name in names[: args.folds]], axis=0)
    ensemble = per_section[names[args.folds]]
    compared = {"the mean of the folds": singles, **{name: per_section[name] for name in names[args.folds + 1 :]}}
    differences = [
        f"{np.mean(ensemble - other):+.4f} ± {np.std(ensemble - other, ddof=1):.4f} to {name}"
        for name, other in compared.items()
    ]
    options = f"--features '{args.features}' --epochs {args.epochs} --val-interval {args.val_interval}"
    options += f" --folds {args.folds} --compare {' '.join(args.compare)}"
    publish(
        [
            "# The folds of a cross-validation and their ensemble, on sections that none of them saw",
            "",
            f"- Date: {datetime.date.today()}",
            f"- Machine: {where_it_ran('torch', 'monai', 'numpy')}, {torch.get_num_threads()} thread(s)",
            f"- Data: ISBI 2012, sections {args.test} kept apart and scored; {args.folds} folds of {others}",
            f"- Command: `OMP_NUM_THREADS=1 python benchmarks/folds.py --dataset-dir DIR --work build/folds {options}`",
            *(f"- {note}" for note in args.note),
            "",
            *lines,
            "",
            "V_rand of the ensemble, section by section, mean and standard deviation of the difference: "
            f"{'; '.join(differences)}.",
            "",
            "## The cross-validation itself",
            "",
            "Each section by the network that was not trained on it, at the threshold that was found on all of them:",
            "",
            *_cross_validation(places["folds"] / "output", args.folds),
        ],
        args.out,
    )


if __name__ == "__main__":
    main()
