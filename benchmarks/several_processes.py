"""Two processes with batches of one beside one process with batches of two, by the isbi bundle's own commands.

    python benchmarks/several_processes.py --dataset-dir DIR --out benchmarks/results/several_processes_cpu_2026-11.md

Without dropout and augmentation, so that both see the same data; gloo on a CPU.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from _measure import publish, where_it_ran

REPOSITORY = Path(__file__).parents[1]
SETTINGS = {
    "dropout": 0.0,
    "elastic_prob": 0.0,
    "quarter_turns": False,
    "grey_scale": 0.0,
    "grey_shift": 0.0,
    "tile": 516,
    "precision": "float32",
    "device": "cpu",
    "validation": 4,
}


def train(folder: Path, processes: int, settings: dict[str, object]) -> tuple[dict, float]:
    """The checkpoint that a training leaves, and its seconds."""
    config = ["bundles/isbi/configs/train.json"]
    start = [sys.executable]
    if processes > 1:
        config.append("bundles/isbi/configs/multi_gpu_train.json")
        start += ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    values = {**SETTINGS, **settings, "ckpt_dir": str(folder), "output_dir": str(folder)}
    arguments = [part for name, value in values.items() for part in (f"--{name}", str(value))]
    begin = time.perf_counter()
    subprocess.run(
        [*start, "-m", "monai.bundle", "run", "training", "--config_file", json.dumps(config), *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=True,
        capture_output=True,
    )
    return torch.load(folder / "checkpoint.pt", weights_only=True), time.perf_counter() - begin


def main() -> None:
    """Run both, write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset-dir", type=Path, required=True, help="sections in the format of ISBI 2012")
    parser.add_argument("--features", default="[8, 16, 32]")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()

    common = {
        "dataset_dir": str(args.dataset_dir.resolve()),
        "features": args.features,
        "epochs": args.epochs,
        "val_interval": args.epochs,
    }
    with tempfile.TemporaryDirectory() as root:
        one, seconds_one = train(Path(root, "one"), 1, {**common, "batch_size": 2})
        two, seconds_two = train(Path(root, "two"), 2, {**common, "batch_size": 1})
    difference = max((one["network"][name] - two["network"][name]).abs().max().item() for name in one["network"])
    largest = max(value.abs().max().item() for value in one["network"].values())
    lines = [
        "# Training in two processes beside one",
        "",
        f"- Date: {datetime.date.today()}",
        f"- Machine: {where_it_ran('torch', 'monai', 'pytorch-ignite')}; gloo, one thread a process",
        f"- Features {args.features}, {args.epochs} epochs, whole sections, no dropout, no augmentation, single "
        "precision (`benchmarks/several_processes.py`)",
        "",
        "| | iterations | V_rand of the validation, shared out | seconds, start included |",
        "|---|--:|--:|--:|",
    ]
    for name, state, seconds in (
        ("one process, batches of two", one, seconds_one),
        ("two processes, batches of one", two, seconds_two),
    ):
        lines.append(
            f"| {name} | {state['trainer']['iteration']} | {state['best']['best_metric']:.6f} | {seconds:.0f} |"
        )
    lines += ["", f"Largest difference of a weight: {difference:.1e}, where the largest weight is {largest:.2f}."]
    publish(lines, args.out)


if __name__ == "__main__":
    main()
