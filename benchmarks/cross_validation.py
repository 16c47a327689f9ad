"""Score a cross-validation of the compact model: every section predicted by a network that was not trained on it.

    python benchmarks/cross_validation.py --dataset-dir DIR --out benchmarks/results/isbi_compact_cpu_2026-11.md \
        --folds "18-23=runs/a/model.pt" "12-17=runs/b/model.pt" ...

The sections of all folds are put together into one stack and scored as one, by the organisers' definitions, so a
score's threshold is one for all of them.
"""

from __future__ import annotations

import argparse
import datetime
import json
from pathlib import Path

import numpy as np
import torch
from _measure import publish, where_it_ran

from monai_unet.data.sections import read_labelled_sections
from monai_unet.inferers import OverlapTileInferer
from monai_unet.metrics import IsbiScores, isbi2012_scores
from monai_unet.prediction.load import load_model

BUNDLE = Path(__file__).parents[1] / "bundles" / "isbi_compact"
SCORES = ("v_rand_macro", "v_info", "warping_error", "rand_error", "pixel_error")
NAMES = {"v_rand_macro": "V_rand", "v_info": "V_info", "warping_error": "warping", "rand_error": "Rand error"}


def predict(dataset_dir: Path, weights: Path, sections: list[int], rotations: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities of the sections of a fold."""
    model = load_model(str(BUNDLE), json.dumps({"ckpt_path": str(weights.resolve()), "rotations": rotations}))
    every = read_labelled_sections(dataset_dir / "train-volume.tif", dataset_dir / "train-labels.tif")
    inferer = OverlapTileInferer(rotations=rotations)
    labels, probabilities = [], []
    with torch.inference_mode():
        for index in sections:
            image = model.normalised(torch.as_tensor(every[index]["image"])[None])
            probabilities.append(inferer(image, model.network).softmax(1)[0, 1].numpy())
            labels.append(every[index]["label"][0].numpy())
    return np.stack(labels), np.stack(probabilities)


def row(name: str, scores: IsbiScores) -> str:
    """A line of the table."""
    values = [getattr(scores, score) for score in SCORES]
    return f"| {name} | " + " | ".join(f"{value:.6f}" if value < 0.01 else f"{value:.4f}" for value in values) + " |"


def main() -> None:
    """Predict all folds with and without rotations, write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset-dir", type=Path, required=True, help="the ISBI 2012 files")
    parser.add_argument("--folds", nargs="+", required=True, metavar="FIRST-LAST=WEIGHTS")
    parser.add_argument("--note", action="append", default=[], help="a line above the table; may be repeated")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()

    lines = [
        "# The compact model, cross-validated over blocks of sections",
        "",
        f"- Date: {datetime.date.today()}",
        f"- Machine: {where_it_ran('torch', 'monai', 'numpy')}, {torch.get_num_threads()} threads",
        "- Every section was predicted by a network that had not been trained on it (`benchmarks/cross_validation.py`)",
        *(f"- {note}" for note in args.note),
    ]
    for rotations in (1, 7):
        folds = {}
        for fold in args.folds:
            name, _, weights = fold.partition("=")
            first, last = map(int, name.split("-"))
            folds[name] = predict(args.dataset_dir, Path(weights), list(range(first, last + 1)), rotations)
        labels, probabilities = (np.concatenate(parts) for parts in zip(*folds.values(), strict=True))
        whole = isbi2012_scores(labels, probabilities)
        lines += ["", f"## {'The mean of 7 rotated versions' if rotations > 1 else 'One version'}", ""]
        lines += ["| sections | " + " | ".join(NAMES.get(score, "pixel error") for score in SCORES) + " |"]
        lines += ["|---|" + "--:|" * len(SCORES), row("all", whole)]
        lines += [row(name, isbi2012_scores(*stacks)) for name, stacks in folds.items()]
        sections = [index for name in folds for index in range(int(name.split("-")[0]), int(name.split("-")[1]) + 1)]
        per_section = sorted(zip(whole.per_section["v_rand_macro"], sections, strict=True))
        worst = ", ".join(f"{index} ({value:.3f})" for value, index in per_section[:4])
        lines += [
            "",
            f"Thresholds for all: V_rand {whole.best_threshold['v_rand_macro']}, V_info "
            f"{whole.best_threshold['v_info']}. Worst sections by V_rand: {worst}; median "
            f"{per_section[len(per_section) // 2][0]:.3f}.",
        ]
    publish(lines, args.out)


if __name__ == "__main__":
    main()
