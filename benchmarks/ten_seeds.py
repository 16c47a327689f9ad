"""Does the paper's momentum of 0.99 converge from any seed? The isbi bundle by `paper.json`, ten seeds.

    python benchmarks/ten_seeds.py --dataset-dir DIR --out benchmarks/results/ten_seeds_cpu_2026-11.md

A run is stuck when its V_rand is hardly above that of "inside" everywhere. The pixel error does not tell: at its best
threshold it may be that of "inside" everywhere for a network that has learned.
"""

from __future__ import annotations

import argparse
import datetime
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from _isbi_runs import SCORES, spread, train_bundle
from _measure import publish, where_it_ran

from monai_unet.data.sections import read_labelled_sections
from monai_unet.metrics import isbi2012_scores

ARMS: dict[str, dict[str, Any]] = {
    "with warm-up and clipping, as the bundle has it": {},
    "without either": {"warm_up": 0, "clip_norm": None},
}


def attempt(overrides: dict[str, Any]) -> dict[str, float] | None:
    """The scores of a run, or None when its loss became no number."""
    try:
        return train_bundle(overrides, ("train", "paper"))
    except ValueError as error:
        if "the loss became" not in str(error):
            raise
        return None


def main() -> None:
    """Run both arms with all seeds, write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset-dir", required=True, help="the ISBI 2012 files")
    parser.add_argument("--validation-sections", type=int, nargs="+", default=[18, 19, 20, 21, 22, 23])
    parser.add_argument("--features", type=int, nargs="+", default=[8, 16, 32, 64, 128])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--tile", type=int, default=228)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()

    every = read_labelled_sections(f"{args.dataset_dir}/train-volume.tif", f"{args.dataset_dir}/train-labels.tif")
    labels = np.stack([every[index]["label"][0].numpy() for index in args.validation_sections])
    constant = isbi2012_scores(labels, np.ones(labels.shape, np.float32), warping=False).v_rand_macro
    common = {
        "dataset_dir": args.dataset_dir,
        "validation": args.validation_sections,
        "features": args.features,
        "tile": args.tile,
        "epochs": args.epochs,
        "precision": "float32",
    }
    lines = [
        "# The paper's momentum of 0.99 from ten seeds",
        "",
        f"- Date: {datetime.date.today()}",
        f"- Machine: {where_it_ran('torch', 'monai', 'numpy')}; one thread a run, {args.processes} runs at a time",
        f"- Data: ISBI 2012, scored on sections {args.validation_sections}, trained on the others",
        f"- `paper.json`: SGD, features {args.features}, {args.epochs} epochs of one tile of {args.tile} px a section",
        f'- Stuck: a V_rand less than 0.1 above {constant:.4f}, that of "inside" everywhere; scores at the best of ten '
        "thresholds, mean and lowest to highest",
        "",
        "| | stuck | " + " | ".join(SCORES) + " |",
        "|---|--:|" + "--:|" * len(SCORES),
    ]
    with ProcessPoolExecutor(args.processes, mp_context=get_context("spawn")) as pool:
        for arm, changes in ARMS.items():
            settings = [{**common, **changes, "seed": seed} for seed in range(args.seeds)]
            runs = list(pool.map(attempt, settings))
            finished = [one for one in runs if one is not None]
            stuck = sum(not one["v_rand"] > constant + 0.1 for one in finished) + len(runs) - len(finished)
            cells = [spread([one[score] for one in finished]) if finished else "no number" for score in SCORES]
            lines.append(f"| {arm} | {stuck} of {len(runs)} | " + " | ".join(cells) + " |")
    publish(lines, args.out)


if __name__ == "__main__":
    main()
