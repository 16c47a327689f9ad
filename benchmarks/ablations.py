"""What the paper's ingredients are worth: the isbi bundle with each of them left out, some seeds each.

    python benchmarks/ablations.py --dataset-dir DIR --out benchmarks/results/ablations_cpu_2026-11.md

Every run is the bundle's own training, by the same workflow as `python -m monai.bundle run training`, with the
overrides that the table shows. The scores are those of the last weights, on sections that were not trained on and
chose nothing but the threshold.
"""

from __future__ import annotations

import argparse
import datetime
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from _isbi_runs import SCORES, spread, train_bundle
from _measure import publish, where_it_ran
from tqdm import tqdm

ARMS: dict[str, dict[str, Any]] = {
    "all of it": {},
    "no elastic deformation": {"elastic_sigma": 0.0},
    "no rotations or mirror images": {"rotation": 0.0, "quarter_turns": False, "flip": 0.0},
    "no resampling at all": {"elastic_prob": 0.0, "quarter_turns": False},
    "no border term (w0 = 0)": {"w0": 0.0},
    "no weight map (w = 1)": {"w0": 0.0, "class_balance": False},
    "dropout of 0.5": {"dropout": 0.5},
    "no weight normalisation": {"normalisation": "none"},
}


def main() -> None:
    """Run all arms with all seeds, write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset-dir", required=True, help="the ISBI 2012 files")
    parser.add_argument("--training-sections", type=int, nargs="+", default=[0, 6, 12], help="few, as the paper has it")
    parser.add_argument("--validation-sections", type=int, nargs="+", default=[18, 19, 20, 21, 22, 23])
    parser.add_argument("--features", type=int, nargs="+", default=[8, 16, 32, 64, 128])
    parser.add_argument("--iterations", type=int, default=600)
    parser.add_argument("--tile", type=int, default=228)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()

    common = {
        "dataset_dir": args.dataset_dir,
        "training_sections": args.training_sections,
        "validation": args.validation_sections,
        "features": args.features,
        "tile": args.tile,
        "epochs": max(args.iterations // len(args.training_sections), 1),
    }
    start = time.perf_counter()
    found: dict[str, list[dict[str, float]]] = {arm: [] for arm in ARMS}
    with ProcessPoolExecutor(args.processes, mp_context=get_context("spawn")) as pool:
        # seed by seed, so that a run that is stopped has whole rounds
        jobs = {
            pool.submit(train_bundle, {**common, **changes, "seed": seed}): arm
            for seed in args.seeds
            for arm, changes in ARMS.items()
        }
        for job in tqdm(as_completed(jobs), total=len(jobs), unit="run"):
            found[jobs[job]].append(job.result())
    minutes = (time.perf_counter() - start) / 60
    iterations = common["epochs"] * len(args.training_sections)

    lines = [
        "# What the paper's ingredients are worth",
        "",
        f"- Date: {datetime.date.today()}",
        f"- Machine: {where_it_ran('torch', 'monai', 'numpy')}",
        f"- Data: ISBI 2012, trained on sections {args.training_sections}, scored on {args.validation_sections}",
        f"- Network: features {args.features}; {iterations} iterations of one tile of {args.tile} px, all else as the "
        "bundle has it (`benchmarks/ablations.py`)",
        f"- Seeds {args.seeds}: mean and, in brackets, lowest to highest; {minutes:.0f} minutes in all on "
        f"{args.processes} cores",
        "- Scores of the last weights, each at the best of ten thresholds for these sections",
        "",
        "| left out | overrides | " + " | ".join(SCORES) + " |",
        "|---|---|" + "--:|" * len(SCORES),
    ]
    for arm, runs in found.items():
        overrides = ", ".join(f"`{name} {value}`" for name, value in ARMS[arm].items()) or "none"
        cells = [spread([one[score] for one in runs]) for score in SCORES]
        lines.append(f"| {arm} | {overrides} | " + " | ".join(cells) + " |")
    publish(lines, args.out)


if __name__ == "__main__":
    main()
