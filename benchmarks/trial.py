"""How long `monai-unet new` says that a training takes, beside the time it took.

    OMP_NUM_THREADS=1 python benchmarks/trial.py --dataset-dir DIR [DIR ...]

The bundle is made for a folder of images, its network and epochs are set, the trial is made, and the training is run as
its users do, in a process of its own. "Taken" is all of that process, from its start to its end.

Both are measured by two clocks: the one on the wall, and the processor's time of the process. With a single thread the
latter is the time on a core that nobody else uses, but for caches and memory that other processes take; so it tells an
error of what is said from the load of the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import torch
from _measure import where_it_ran

from monai_unet.handlers import work
from monai_unet.recipes import timing, trial
from monai_unet.recipes.create import new_bundle

_HEAD = (
    "data",
    "features",
    "epochs",
    "val_interval",
    "iteration, s",
    "said, s",
    "taken, s",
    "said / taken",
    "said, CPU s",
    "taken, CPU s",
    "said / taken, CPU",
    "it took to say, s",
    "load",
)


def cpu_seconds() -> float:
    """Of this process and of those that it started and that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def said(bundle: Path, clock: Callable[[], float]) -> timing.Pace:
    """The bundle's own width, everything being timed by `clock`."""
    timing.time = trial.time = work.time = SimpleNamespace(perf_counter=clock)  # type: ignore[assignment,attr-defined]
    paces, _ = trial.pace(bundle, trial.prepare(bundle))
    return paces[0]


def small_bundle(dataset_dir: Path, like: str, top: int, epochs: int, val_interval: int, scratch: str) -> Path:
    """A bundle for a folder of images, with a network of `top` features at its top level."""
    bundle = new_bundle("bundle", dataset_dir, like=like, out=Path(scratch, "bundle")).folder
    config = bundle / "configs" / "train.json"
    values = json.loads(config.read_text(encoding="utf-8"))
    values |= {"features": [top * 2**n for n in range(5)], "epochs": epochs, "val_interval": val_interval}
    for copy in (config, bundle / "train.json"):
        copy.write_text(json.dumps(values), encoding="utf-8")
    return bundle


def compare(dataset_dir: Path, like: str, top: int, epochs: int, val_interval: int) -> str:
    """A row of the table."""
    loads = [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory() as scratch:
        bundle = small_bundle(dataset_dir, like, top, epochs, val_interval, scratch)
        start = time.perf_counter()
        wall = said(bundle, time.perf_counter)
        trial_took = time.perf_counter() - start
        loads.append(os.getloadavg()[0])
        cpu = said(bundle, cpu_seconds)
        starts = time.perf_counter(), cpu_seconds()
        command = [sys.executable, "-m", "monai.bundle", "run", "training", "--config_file", str(bundle / "train.json")]
        environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
        subprocess.run(command, check=True, capture_output=True, env=environment)
        taken, taken_cpu = time.perf_counter() - starts[0], cpu_seconds() - starts[1]
        loads.append(os.getloadavg()[0])
    cells = (
        f"{dataset_dir.name}, {like}",
        f"{top}",
        f"{epochs}",
        f"{val_interval}",
        f"{wall.iteration:.2f}",
        f"{wall.total:.0f}",
        f"{taken:.0f}",
        f"{wall.total / taken:.2f}",
        f"{cpu.total:.0f}",
        f"{taken_cpu:.0f}",
        f"{cpu.total / taken_cpu:.2f}",
        f"{trial_took:.0f}",
        " ".join(f"{load:.1f}" for load in loads),
    )
    return f"| {' | '.join(cells)} |"


def print_table(description: str, head: Sequence[str], row: Callable[[Path, str, int, int, int], str]) -> None:
    """Read the options that both scripts have, and print a row for each folder and width."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--dataset-dir", type=Path, nargs="+", required=True)
    parser.add_argument("--like", nargs="+", default=["dic_hela_compact"], help="one for all, or one for each folder")
    parser.add_argument("--features", type=int, nargs="+", default=[8, 16], help="of the top level")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--val-interval", type=int, default=4)
    args = parser.parse_args()
    likes = args.like * len(args.dataset_dir) if len(args.like) == 1 else args.like
    print(where_it_ran("torch", "monai"), f"{torch.get_num_threads()} thread(s)", sep=", ")
    print(f"\n| {' | '.join(head)} |\n|--|{'--:|' * (len(head) - 1)}", flush=True)
    for folder, like in zip(args.dataset_dir, likes, strict=True):
        for top in args.features:
            print(row(folder, like, top, args.epochs, args.val_interval), flush=True)


if __name__ == "__main__":
    print_table(__doc__, _HEAD, compare)
