"""What an iteration of training costs beside the network: bare step, the bundle, MONAI's usual pipeline, in turns.

    python benchmarks/training.py --dataset-dir DIR --out benchmarks/results/training_cpu_2026-11.md

- bare: forward, loss, backward, clipping and the optimiser's step on one batch that lies on the device.
- bundle: the iterations of the isbi bundle's own trainer, with its data, augmentation and handlers.
- usual: the same network, loss and trainer, fed as MONAI's tutorials do: CacheDataset, `Rand2DElasticd` and the other
  transforms on the CPU, a DataLoader with workers, items moved to the device in each iteration.

They take turns, some iterations each, so that a machine that slows down slows all of them. Each has a process of its
own, as in real life: threads and memory that they shared would make all of them slower.
"""

from __future__ import annotations

import argparse
import datetime
import math
import tempfile
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

import torch
from _bundle_step import bare_step, bundle
from _measure import Timing, publish, where_it_ran
from ignite.engine import Events
from monai.bundle import ConfigWorkflow
from monai.data import CacheDataset, DataLoader
from monai.engines import SupervisedTrainer
from monai.transforms import (
    Compose,
    DeleteItemsd,
    NormalizeIntensityd,
    Rand2DElasticd,
    RandFlipd,
    RandRotate90d,
    RandScaleIntensityd,
    RandShiftIntensityd,
    RandSpatialCropd,
    SpatialPadd,
)

from monai_unet.data.sections import read_labelled_sections
from monai_unet.losses import PrepareWeightedBatch
from monai_unet.transforms import WeightMapd


class Turns:
    """Let a process go on by some iterations when it is told to, and report how long they took.

    Args:
        connection: gives the number of iterations of a turn, takes seconds; 0 iterations end the process.
        device: that computes.
    """

    def __init__(self, connection: Connection, device: str) -> None:
        self.connection = connection
        self.device = device
        self.left, self.start = 1, time.perf_counter()

    def __call__(self) -> None:
        """To be called after each iteration."""
        self.left -= 1
        if self.left:
            return
        if self.device.startswith("cuda"):
            torch.cuda.synchronize()
        self.connection.send(time.perf_counter() - self.start)
        self.left = self.connection.recv()
        if not self.left:
            raise SystemExit
        self.start = time.perf_counter()


def usual_trainer(workflow: ConfigWorkflow, dataset_dir: str, workers: int) -> SupervisedTrainer:
    """The bundle's network and loss behind MONAI's usual pipeline."""
    content = workflow.parser.get_parsed_content
    size, label_size, device = content("input_size"), content("label_size"), content("device")
    keys = ["image", "label", "weight"]
    margin = (size - label_size) // 2
    transform = Compose(
        [
            NormalizeIntensityd("image", subtrahend=content("image_mean"), divisor=content("image_std")),
            WeightMapd(keys="cells", ignore_key="ignore", class_key="label"),
            DeleteItemsd(["cells", "ignore", "name"]),
            SpatialPadd(keys, spatial_size=(512 + 2 * margin,) * 2, mode="reflect"),
            RandSpatialCropd(keys, roi_size=(size, size), random_size=False),
            RandFlipd(keys, prob=0.5, spatial_axis=0),
            RandRotate90d(keys, prob=0.75),
            Rand2DElasticd(
                keys,
                spacing=(size / 2, size / 2),
                magnitude_range=(10, 10),
                prob=0.5,
                rotate_range=0.3,
                mode=["bicubic", "nearest", "bilinear"],
                padding_mode="reflection",
            ),
            RandScaleIntensityd("image", factors=content("grey_scale"), prob=1.0),
            RandShiftIntensityd("image", offsets=content("grey_shift"), prob=1.0),
        ]
    )
    sections = read_labelled_sections(f"{dataset_dir}/train-volume.tif", f"{dataset_dir}/train-labels.tif")
    loader = DataLoader(
        CacheDataset(sections, transform, progress=False),
        batch_size=content("batch_size"),
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    network, loss = content("network"), content("loss")
    prepare = PrepareWeightedBatch()

    def prepare_cropped(batchdata: Any, device: Any = None, non_blocking: bool = False, **kwargs: Any) -> Any:
        image, (label, weight) = prepare(batchdata, device, non_blocking, **kwargs)
        middle = (slice(None), slice(None), slice(margin, -margin), slice(margin, -margin))
        return image, (label[middle], weight[middle])

    return SupervisedTrainer(
        device=torch.device(device),
        max_epochs=10**6,
        train_data_loader=loader,
        network=network,
        optimizer=torch.optim.Adam(network.parameters(), lr=1e-4),
        loss_function=lambda logits, target: loss(logits, *target),
        prepare_batch=prepare_cropped,
        inferer=content("train::inferer"),
    )


def run_bare(workflow: ConfigWorkflow, turns: Turns) -> NoReturn:
    """Forward, loss, backward, clipping, step, on a batch that stays where it is."""
    step = bare_step(workflow)
    while True:
        step()
        turns()


def run(arm: str, connection: Connection, args: argparse.Namespace) -> None:
    """One of the three, in a process of its own."""
    turns = Turns(connection, args.device)
    settings = {"features": args.features, "batch_size": args.batch_size, "device": args.device}
    with tempfile.TemporaryDirectory() as folder:
        workflow = bundle(args.dataset_dir, folder, 10**6, **settings)
        if arm == "bare":
            run_bare(workflow, turns)
        elif arm == "bundle":
            trainer = workflow.parser.get_parsed_content("train::trainer")
        else:
            trainer = usual_trainer(workflow, args.dataset_dir, args.workers)
        trainer.add_event_handler(Events.ITERATION_COMPLETED, turns)
        trainer.run()


def main() -> None:
    """Time the three, write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset-dir", required=True, help="the ISBI 2012 files")
    parser.add_argument("--features", type=int, nargs="+", default=[16, 32, 64, 128, 256])
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--workers", type=int, default=2, help="of the usual pipeline's DataLoader")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--iterations", type=int, default=20, help="of each in a round: an epoch of the bundle")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()

    labels = {
        "bare": "bare forward, backward and step on a resident batch",
        "bundle": "the bundle's training: data, augmentation, handlers and all",
        "usual": f"MONAI's usual pipeline: CacheDataset, CPU transforms, DataLoader with {args.workers} workers",
    }
    context = get_context("spawn")
    connections: dict[str, Connection] = {}
    for arm in labels:
        connections[arm], other = context.Pipe()
        context.Process(target=run, args=(arm, other, args)).start()
        connections[arm].recv()  # the first iteration is not counted

    def turn(arm: str, iterations: int) -> float:
        """Seconds an iteration."""
        connections[arm].send(iterations)
        return connections[arm].recv() / iterations

    for arm in labels:
        turn(arm, 3)  # these pay for memory and workers
    seconds: dict[str, list[float]] = {arm: [] for arm in labels}
    for _ in range(args.rounds):
        for arm in labels:
            seconds[arm].append(turn(arm, args.iterations))
        time.sleep(1)  # until the workers of the usual pipeline have filled their queue
    for connection in connections.values():
        connection.send(0)

    timings = {name: Timing(tuple(values)) for name, values in seconds.items()}
    bare = timings["bare"].median
    lines = [
        "# What an iteration of training costs beside the network",
        "",
        f"- Date: {datetime.date.today()}",
        f"- Machine: {where_it_ran('torch', 'monai', 'pytorch-ignite')}, device {args.device}, "
        f"{torch.get_num_threads()} threads",
        f"- Network: features {args.features}, batches of {args.batch_size} tiles, 572 px in; ISBI 2012 "
        "(`benchmarks/training.py`)",
        f"- Medians of {args.rounds} rounds of {args.iterations} iterations each, taking turns (lowest to highest)",
        "",
        "| | one iteration | beside bare |",
        "|---|--:|--:|",
    ]
    for name, timing in timings.items():
        lines.append(f"| {labels[name]} | {timing} | {timing.median / bare:.3f} |")
    ratios = sorted(b / a for a, b in zip(seconds["bare"], seconds["bundle"], strict=True))
    lines += [
        "",
        f"bundle / bare, round by round: {ratios[0]:.3f} to {ratios[-1]:.3f}, median "
        f"{ratios[math.floor(len(ratios) / 2)]:.3f}",
    ]
    publish(lines, args.out)


if __name__ == "__main__":
    main()
