"""What one grey channel costs since images may have several: the same training here and in another checkout.

    git worktree add ../before 96e9335   # the last commit with grey images alone
    python benchmarks/one_channel.py --other ../before --out benchmarks/results/one_channel_cpu_2026-11.md

A process for each run, of this checkout and of the other in turn, as a busy machine slows both. The seed is that of the
bundle.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

HERE = Path(__file__).parents[1]
SMALL = {"features": [8, 16, 32, 64], "tile": 180, "val_interval": 1000, "device": "cpu", "validation": [3]}
OWN = {"isbi": {}, "dic_hela": {"partly_annotated": [], "min_size": 10}}


def child(bundle: Path, data: Path, out: Path, iterations: int) -> None:
    """Train, predict, and print what came of it as JSON; in the checkout that PYTHONPATH names."""
    import numpy as np
    import torch
    from _bundle_step import bundle as training
    from ignite.engine import Events

    from monai_unet.prediction.out_of_core import predict

    torch.set_num_threads(1)
    workflow = training(data, out, iterations // 3, bundle, **SMALL, **OWN[bundle.name])
    trainer = workflow.parser.get_parsed_content("train::trainer")
    clocks = {"seconds": time.perf_counter, "cpu": time.process_time}
    times: dict[str, list[float]] = {name: [] for name in clocks}

    def started() -> None:
        for name, clock in clocks.items():
            times[name].append(-clock())

    def completed() -> None:
        for name, clock in clocks.items():
            times[name][-1] += clock()

    trainer.add_event_handler(Events.ITERATION_STARTED, started)
    trainer.add_event_handler(Events.ITERATION_COMPLETED, completed)
    workflow.run()
    weights = workflow.parser.get_parsed_content("network").state_dict()
    overrides = {"features": SMALL["features"], "ckpt_dir": str(out)}
    image = next(data.glob("train-volume.*"))
    predicted = predict(image, out / "p.ome.zarr", bundle, overrides, device="cpu", progress=False)
    from monai_unet.io import read_stack

    found = {
        "weights": _digest(*(weights[name].numpy() for name in sorted(weights))),
        "names": sorted(weights),
        "prediction": _digest(np.ascontiguousarray(read_stack(predicted))),
        **{name: median(taken[3:]) for name, taken in times.items()},
        "iterations": len(times["cpu"]),
    }
    print(json.dumps(found))


def _digest(*arrays: object) -> str:
    whole = hashlib.sha256()
    for array in arrays:
        whole.update(array.tobytes())  # type: ignore[attr-defined]
    return whole.hexdigest()[:16]


def run(checkout: Path, bundle: str, data: Path, iterations: int) -> dict:
    """A child, in a checkout."""
    with tempfile.TemporaryDirectory() as out:
        words = ["--child", checkout / "bundles" / bundle, data, out, iterations]
        environment = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, __file__, *map(str, words)], capture_output=True, text=True, env=environment, cwd=checkout
        )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


def compared(pairs: list[list[dict]], clock: str) -> str:
    """Milliseconds before and now, and their ratio."""
    ratios = sorted(now[clock] / before[clock] for before, now in pairs)
    before, now = (1e3 * median(pair[index][clock] for pair in pairs) for index in (0, 1))
    return f"{before:.0f} ms, {now:.0f} ms: {median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})"


def commit(checkout: Path) -> str:
    """Of a checkout."""
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def main() -> None:
    """Compare, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--other", type=Path, required=True, help="checkout of another commit")
    parser.add_argument("--bundles", nargs="+", default=list(OWN), choices=OWN)
    parser.add_argument("--iterations", type=int, default=45)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    from _measure import publish, where_it_ran

    from monai_unet.data import write_synthetic

    other = args.other.resolve()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        write_synthetic(Path(name) / "data", 4, 256, 0, 0)
        for bundle in args.bundles:
            pairs = []
            for _ in range(args.repeats):
                pairs.append(
                    [run(checkout, bundle, Path(name) / "data", args.iterations) for checkout in (other, HERE)]
                )
                print(bundle, *(f"{each['seconds']:.3f}" for each in pairs[-1]), file=sys.stderr)
            everything = [each for pair in pairs for each in pair]
            same = {
                what: len({str(each[what]) for each in everything}) == 1 for what in ("names", "weights", "prediction")
            }
            rows.append(
                f"| {bundle} | {everything[0]['iterations']} | "
                f"{'the same' if same['names'] and same['weights'] else '**others**'} | "
                f"{'the same' if same['prediction'] else '**others**'} | "
                f"{' | '.join(compared(pairs, clock) for clock in ('cpu', 'seconds'))} |"
            )
    lines = [
        "# One grey channel, before and since images may have several",
        "",
        f"- Command: `python {shlex.join(['benchmarks/one_channel.py', *sys.argv[1:]])}`",
        f"- Date: {datetime.date.today()}",
        f"- Machine: {where_it_ran('monai-unet', 'torch', 'monai')}; one thread, beside other work",
        f"- Before: commit {commit(other)}",
        f"- Data: four synthetic sections of 256 x 256 pixels, seed 0; {SMALL}",
        f"- {args.repeats} runs of each, in turn; of a run the median of an iteration, without the first three. Then,",
        "  over the runs: median before, median now, and of now / before the median and the range.",
        "- The same: weights after the iterations, and probabilities of all sections, bit for bit, in all runs.",
        "",
        "| bundle | iterations | weights | probabilities | processor time of an iteration | time on the clock |",
        "|---|--:|---|---|---|---|",
        *rows,
    ]
    publish(lines, args.out)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(Path(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]), int(sys.argv[5]))
    else:
        main()
