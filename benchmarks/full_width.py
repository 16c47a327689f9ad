"""What keeps a wide network from learning its few sections by heart: arms of one recipe, scored on unseen sections.

    python benchmarks/full_width.py train --dataset-dir DIR --runs FILE --features 32 64 128 256 512 --epochs 110 \
        --train 0-11,18-23 --score 12-17 --arms base dropout
    python benchmarks/full_width.py page --runs FILE --out benchmarks/results/full_width_cpu_2026-11.md

Each arm trains the isbi bundle and is scored twice, by its last weights and by their running average (Ignite's
`EMAHandler`). A line of JSON for each is added to FILE. Cross entropy is without weights, calibration MONAI's expected
error over 15 bins.
"""

from __future__ import annotations

import argparse
import datetime
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from _bundle_step import bundle
from _isbi_runs import THRESHOLDS
from _measure import publish, where_it_ran

GREY = {"gamma": 0.3, "noise": 0.1, "blur": 1.0}
ARMS: dict[str, dict[str, Any]] = {
    "base": {},
    "dropout": {"dropout": 0.5},
    "grey": GREY,
    "deform": {"elastic_prob": 0.8, "scale": 0.15, "elastic_sigma": 14.0},
    "grey, deform": {**GREY, "elastic_prob": 0.8, "scale": 0.15},
    "grey, deform, dropout": {**GREY, "elastic_prob": 0.8, "scale": 0.15, "dropout": 0.5},
    "unbalanced": {"class_balance": False, "w0": 0.0},
    "weight decay": {"weight_decay": 1e-4},
}
AVERAGE = 0.005  # of the newest weights in their running average, at each iteration


def sections_of(text: str) -> list[int]:
    """0-2,7 -> [0, 1, 2, 7]."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def score(network: Any, sections: list[dict[str, Any]], rotations: int) -> dict[str, float]:
    """Scores at the best of ten thresholds and at 0.5, mean cross entropy and calibration error of sections."""
    import torch
    from monai.metrics import CalibrationErrorMetric

    from monai_unet.inferers import OverlapTileInferer
    from monai_unet.metrics import isbi2012_scores

    inferer = OverlapTileInferer(rotations=rotations)
    network.eval()
    with torch.inference_mode():
        logits = [inferer((one["image"][None] - 128) / 45, network) for one in sections]
    labels = [one["label"] for one in sections]
    probability = torch.cat([part.float().softmax(1)[:, 1:] for part in logits])
    label = torch.stack(labels)
    entropy = torch.nn.functional.binary_cross_entropy(probability, label)
    calibration = CalibrationErrorMetric(num_bins=15, calibration_reduction="expected")
    calibration(probability.reshape(1, 1, -1, 1), label.reshape(1, 1, -1, 1))
    found: dict[str, float] = {"cross_entropy": float(entropy), "ece": float(calibration.aggregate())}
    arrays = (label[:, 0].numpy().astype(np.uint8), probability[:, 0].numpy())
    best = isbi2012_scores(*arrays, thresholds=THRESHOLDS, warping=False)
    half = isbi2012_scores(*arrays, thresholds=(0.5,), warping=False)
    for name in ("v_rand_macro", "v_info", "pixel_error"):
        found[name] = float(getattr(best, name))
        found[f"{name}_threshold"] = float(best.best_threshold[name])
        found[f"{name}_at_half"] = float(getattr(half, name))
    return found


def train(args: argparse.Namespace) -> None:
    """Train and score the arms, one after the other."""
    import torch
    from ignite.handlers import EMAHandler

    from monai_unet.data.sections import read_labelled_sections

    torch.set_num_threads(args.threads)
    every = read_labelled_sections(args.dataset_dir / "train-volume.tif", args.dataset_dir / "train-labels.tif")
    trained, unseen = sections_of(args.train), sections_of(args.score)
    for arm in args.arms:
        with tempfile.TemporaryDirectory() as folder:
            workflow = bundle(
                str(args.dataset_dir),
                folder,
                args.epochs,
                device="cpu",
                features=args.features,
                val_interval=args.epochs,
                batch_size=args.batch_size,
                seed=args.seed,
                training_sections=trained,
                validation=unseen[:1],
                **ARMS[arm],
            )
            network = workflow.parser.get_parsed_content("network")
            trainer = workflow.parser.get_parsed_content("train::trainer")
            average = EMAHandler(network, momentum=AVERAGE)
            average.attach(trainer)
            start = time.process_time()
            workflow.run()
            seconds = time.process_time() - start
            for weights, of in (("last", network), ("average", average.ema_model)):
                line = {
                    "arm": arm,
                    "weights": weights,
                    "features": args.features,
                    "iterations": trainer.state.iteration,
                    "batch_size": args.batch_size,
                    "seed": args.seed,
                    "train": args.train,
                    "score": args.score,
                    "rotations": args.rotations,
                    "seconds": round(seconds),
                    "unseen": score(of, [every[index] for index in unseen], args.rotations),
                    "trained_on": score(of, [every[index] for index in trained[::3]], 1),
                }
                with args.runs.open("a") as file:
                    file.write(json.dumps(line) + "\n")
                print(json.dumps(line), flush=True)
            if args.keep:
                args.keep.mkdir(parents=True, exist_ok=True)
                name = f"{arm.replace(', ', '-').replace(' ', '-')}-{args.features[0]}-{args.score}-{args.seed}"
                torch.save(network.state_dict(), args.keep / f"{name}.pt")
                torch.save(average.ema_model.state_dict(), args.keep / f"{name}-average.pt")


def page(args: argparse.Namespace) -> None:
    """The table of all runs."""
    runs = [json.loads(line) for line in args.runs.read_text().splitlines()]
    lines = [
        "# What keeps a wide network from learning its sections by heart",
        "",
        f"- Date: {datetime.date.today()}",
        f"- Machine: {where_it_ran('torch', 'monai', 'numpy')}",
        "",
        "| features | arm, weights | iterations | trained on | scored, versions | V_rand (at) | at 0.5 | V_info (at) | "
        "at 0.5 | pixel error | cross entropy | of trained on | calibration |",
        "|---|---|--:|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for run in runs:
        unseen = run["unseen"]
        cells = [
            str(run["features"][0]),
            f"{run['arm']}, {run['weights']}",
            str(run["iterations"]),
            run["train"],
            f"{run['score']}, {run.get('rotations', 1)}",
            f"{unseen['v_rand_macro']:.4f} ({unseen['v_rand_macro_threshold']})",
            f"{unseen['v_rand_macro_at_half']:.4f}",
            f"{unseen['v_info']:.4f} ({unseen['v_info_threshold']})",
            f"{unseen['v_info_at_half']:.4f}",
            f"{unseen['pixel_error']:.4f}",
            f"{unseen['cross_entropy']:.4f}",
            f"{run['trained_on']['cross_entropy']:.4f}",
            f"{unseen['ece']:.4f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    publish(lines, args.out)


def main() -> None:
    """Train, or write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    training = commands.add_parser("train")
    training.set_defaults(command=train)
    training.add_argument("--dataset-dir", type=Path, required=True, help="the ISBI 2012 files")
    training.add_argument("--runs", type=Path, required=True, help="file that takes a line for each result")
    training.add_argument("--keep", type=Path, help="folder that takes the weights")
    training.add_argument("--features", type=int, nargs="+", default=[64, 128, 256, 512, 1024])
    training.add_argument("--epochs", type=int, default=110)
    training.add_argument("--batch-size", type=int, default=1)
    training.add_argument("--seed", type=int, default=0)
    training.add_argument("--threads", type=int, default=1)
    training.add_argument("--rotations", type=int, default=1)
    training.add_argument("--train", default="0-11,18-23", help="sections")
    training.add_argument("--score", default="12-17", help="sections")
    training.add_argument("--arms", nargs="+", default=list(ARMS), choices=list(ARMS), metavar="ARM")
    writing = commands.add_parser("page")
    writing.set_defaults(command=page)
    writing.add_argument("--runs", type=Path, required=True)
    writing.add_argument("--out", type=Path)
    args = parser.parse_args()
    args.command(args)


if __name__ == "__main__":
    main()
