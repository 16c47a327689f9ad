"""How long `monai-unet new` says that a training takes, beside the time it took.

    OMP_NUM_THREADS=1 python benchmarks/trial.py --dataset-dir DIR

The bundle is made for a folder of images, its network and epochs are set, a few iterations are timed, and the training
is run as its users do, in a process of its own. "Taken" is all of that process, from its start to its end.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from _measure import where_it_ran

from monai_unet.recipes import trial
from monai_unet.recipes.create import new_bundle


def compare(dataset_dir: Path, features: list[int], epochs: int, val_interval: int) -> str:
    """A row of the table."""
    with tempfile.TemporaryDirectory() as scratch:
        bundle = new_bundle("bundle", dataset_dir, out=Path(scratch, "bundle")).folder
        config = bundle / "configs" / "train.json"
        values = json.loads(config.read_text(encoding="utf-8"))
        values |= {"features": features, "epochs": epochs, "val_interval": val_interval}
        config.write_text(json.dumps(values), encoding="utf-8")
        start = time.perf_counter()
        paces, _ = trial.pace(bundle, trial.prepare(bundle))
        trial_took = time.perf_counter() - start
        start = time.perf_counter()
        command = [sys.executable, "-m", "monai.bundle", "run", "training", "--config_file", str(config)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
        subprocess.run(command, check=True, capture_output=True, env=environment)
        taken = time.perf_counter() - start
    own = paces[0]
    return (
        f"| {features[0]} | {epochs} | {val_interval} | {own.iteration:.2f} | {own.total:.0f} | {taken:.0f} | "
        f"{own.total / taken:.2f} | {trial_took:.0f} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset-dir", type=Path, required=True)
    parser.add_argument("--features", type=int, nargs="+", default=[8, 16], help="of the top level")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--val-interval", type=int, default=5)
    args = parser.parse_args()
    print(
        where_it_ran("torch", "monai"), f"{torch.get_num_threads()} thread(s), {os.getloadavg()[0]:.1f} load", sep=", "
    )
    print(
        "\n| features | epochs | val_interval | iteration, s | said, s | taken, s | said / taken | it took to say, s |"
    )
    print("|--:|--:|--:|--:|--:|--:|--:|--:|")
    for top in args.features:
        print(compare(args.dataset_dir, [top * 2**n for n in range(5)], args.epochs, args.val_interval), flush=True)


if __name__ == "__main__":
    main()
