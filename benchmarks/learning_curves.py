"""Put the validation curves of several trainings side by side, as a table.

    python benchmarks/learning_curves.py "SGD=runs/sgd" "Adam=runs/adam" --every 100 \
        --title "..." --note "..." --out benchmarks/results/NAME_HARDWARE_DATE.md

A run is the `output_dir` of a bundle's training, read through its TensorBoard events. Scores are rounded, never chosen:
every validation is shown that falls on a multiple of `--every` iterations.
"""

from __future__ import annotations

import argparse
import datetime
from pathlib import Path

from _measure import publish, where_it_ran
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

SCORES = ("v_rand", "v_info", "rand_error", "pixel_error", "dice")


def curve(folder: Path) -> tuple[dict[str, dict[int, float]], float]:
    """The scores by epoch and by name, and the hours from the first event to the last."""
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    scores = {score: {event.step: event.value for event in events.Scalars(score)} for score in SCORES}
    times = [event.wall_time for tag in events.Tags()["scalars"] for event in events.Scalars(tag)]
    return scores, (max(times) - min(times)) / 3600


def main() -> None:
    """Read the runs, write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", metavar="NAME=DIR")
    parser.add_argument("--iterations-per-epoch", type=int, required=True)
    parser.add_argument("--every", type=int, default=100, help="iterations (default 100)")
    parser.add_argument("--title", required=True)
    parser.add_argument("--note", action="append", default=[], help="a line above the table; may be repeated")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()

    runs = {name: curve(Path(folder)) for name, _, folder in (run.partition("=") for run in args.runs)}
    lines = [f"# {args.title}", "", f"- Date: {datetime.date.today()}"]
    lines += [f"- Machine: {where_it_ran('torch', 'monai', 'pytorch-ignite', 'numpy')}"]
    lines += [f"- {note}" for note in args.note]
    lines += [f"- {name}: {hours * 60:.0f} minutes" for name, (_, hours) in runs.items()]
    for name, (scores, _) in runs.items():
        lines += ["", f"## {name}", "", "| iteration | " + " | ".join(SCORES) + " |", "|--:" * (len(SCORES) + 1) + "|"]
        for epoch in sorted(scores[SCORES[0]]):
            iteration = epoch * args.iterations_per_epoch
            if iteration % args.every == 0:
                lines.append(f"| {iteration} | " + " | ".join(f"{scores[s][epoch]:.4f}" for s in SCORES) + " |")
    publish(lines, args.out)


if __name__ == "__main__":
    main()
