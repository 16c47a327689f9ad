"""Our recipe, the paper's, and what a MONAI user would take instead, on one split at equal time.

    python benchmarks/recipes.py --dataset-dir DIR --out benchmarks/results/recipes_cpu_2026-11.md

The peer is MONAI's `BasicUNet` (padded, InstanceNorm) by MONAI's usual pipeline: DiceCE, Adam, crops of 384, mirror
images, quarter turns, `Rand2DElasticd`, a Gaussian sliding window at an overlap of a half. It runs in single precision,
as MONAI does unless told, and once more with the bfloat16, the memory layout and the kept memory that our recipe has.
Every run has one thread; `--iterations` says how long each trains, and the table how many seconds of processor time and
how many network operations that was. Scores are those of the last weights, on sections that chose nothing but the
threshold.
"""

from __future__ import annotations

import argparse
import datetime
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from _isbi_runs import SCORES, THRESHOLDS, spread, train_bundle
from _measure import publish, where_it_ran
from tqdm import tqdm

ADAM = {"_target_": "torch.optim.Adam", "params": "$@network.parameters()", "lr": "@learning_rate"}
FEATURES = [16, 32, 64, 128, 256]


def run(job: tuple[str, dict[str, Any]]) -> tuple[str, dict[str, float]]:
    """Train and score one arm with one seed."""
    arm, settings = job
    if arm.startswith("peer"):
        return arm, train_peer(**settings, bfloat16="bfloat16" in arm)
    epochs = max(round(settings.pop("iterations") / settings.pop("num_training")), 1)
    recipe = {
        "fast": ((), {}),
        "fast, single precision": ((), {"precision": "float32"}),
        "paper": (("paper",), {"precision": "float32"}),
        "paper with Adam": (("paper",), {"precision": "float32", "optimizer": ADAM, "learning_rate": 3e-4}),
    }
    configs, overrides = recipe[arm.removesuffix(", a tenth")]
    settings = {"features": FEATURES, "epochs": epochs, **settings, **overrides}
    return arm, train_bundle(settings, ("train", *configs))


def train_peer(
    dataset_dir: str, validation: list[int], seed: int, iterations: int, num_training: int, bfloat16: bool = False
) -> dict[str, float]:
    """MONAI's BasicUNet by its usual pipeline."""
    import numpy as np
    import torch
    from monai.data import CacheDataset, DataLoader
    from monai.inferers import SlidingWindowInferer
    from monai.losses import DiceCELoss
    from monai.networks.nets import BasicUNet
    from monai.transforms import Compose, Rand2DElasticd, RandFlipd, RandRotate90d, RandSpatialCropd, SelectItemsd
    from monai.utils import set_determinism

    from monai_unet.data.sections import read_labelled_sections
    from monai_unet.malloc import keep_freed_blocks
    from monai_unet.metrics import isbi2012_scores

    torch.set_num_threads(1)
    set_determinism(seed)
    keys = ["image", "label"]
    transform = Compose(
        [
            SelectItemsd(keys),
            RandSpatialCropd(keys, roi_size=(384, 384), random_size=False),
            RandFlipd(keys, prob=0.5, spatial_axis=0),
            RandFlipd(keys, prob=0.5, spatial_axis=1),
            RandRotate90d(keys, prob=0.75),
            Rand2DElasticd(
                keys,
                spacing=(64, 64),
                magnitude_range=(0, 2),
                prob=0.5,
                mode=["bilinear", "nearest"],
                padding_mode="reflection",
            ),
        ]
    )
    sections = read_labelled_sections(f"{dataset_dir}/train-volume.tif", f"{dataset_dir}/train-labels.tif")
    for section in sections:
        section["image"] = (section["image"] - 128) / 45
    chosen = [section for index, section in enumerate(sections) if index not in validation]
    loader = DataLoader(CacheDataset(chosen, transform, progress=False), batch_size=1, shuffle=True)
    network = BasicUNet(spatial_dims=2, in_channels=1, out_channels=2, features=(*FEATURES, FEATURES[0]))
    if bfloat16:
        keep_freed_blocks()
        network = network.to(memory_format=torch.channels_last)
    loss, optimizer = DiceCELoss(to_onehot_y=True, softmax=True), torch.optim.Adam(network.parameters(), lr=1e-3)
    network.train()
    start, done = time.process_time(), 0
    while done < iterations:
        for batch in loader:
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                logits = network(batch["image"].as_tensor())
            loss(logits.float(), batch["label"].as_tensor()).backward()
            optimizer.step()
            done += 1
            if done == iterations:
                break
    seconds = time.process_time() - start
    network.eval()
    inferer = SlidingWindowInferer((384, 384), sw_batch_size=1, overlap=0.5, mode="gaussian")
    with torch.no_grad():
        predicted = [inferer(sections[index]["image"][None], network).softmax(1)[0, 1].numpy() for index in validation]
    labels = np.stack([sections[index]["label"][0].numpy() for index in validation])
    found = isbi2012_scores(labels, np.stack(predicted), THRESHOLDS, warping=False)
    names = {"v_rand": "v_rand_macro"}
    scores = {score: float(getattr(found, names.get(score, score))) for score in SCORES}
    return {**scores, "seconds": seconds, "iterations": float(done)}


def operations(arm: str) -> float:
    """Floating-point operations of the network in an iteration, forward and backward."""
    import torch
    from monai.networks.nets import BasicUNet
    from torch.utils.flop_counter import FlopCounterMode

    from monai_unet.networks import OriginalUNet

    network: torch.nn.Module
    if arm.startswith("peer"):
        network, size = BasicUNet(2, 1, 2, features=(*FEATURES, FEATURES[0])), 384
    else:
        network, size = OriginalUNet(features=FEATURES, normalisation="none" if "paper" in arm else "weights"), 572
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 1, size, size)).sum().backward()
    return float(counter.get_total_flops())


def main() -> None:
    """Run all arms with all seeds, write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset-dir", required=True, help="the ISBI 2012 files")
    parser.add_argument("--validation-sections", type=int, nargs="+", default=[18, 19, 20, 21, 22, 23])
    parser.add_argument("--num-sections", type=int, default=24)
    parser.add_argument(
        "--iterations",
        nargs="+",
        metavar="ARM=N",
        default=["fast=1080", "fast, a tenth=108", "peer=900", "paper=540"],
        help="how long each trains",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()

    iterations = {arm: int(number) for arm, _, number in (item.rpartition("=") for item in args.iterations)}
    found: dict[str, list[dict[str, float]]] = {arm: [] for arm in iterations}
    common = {
        "dataset_dir": args.dataset_dir,
        "validation": args.validation_sections,
        "num_training": args.num_sections - len(args.validation_sections),
    }
    jobs = [
        (arm, {**common, "seed": seed, "iterations": number})
        for seed in args.seeds
        for arm, number in iterations.items()
    ]
    # a process of its own for each run, as what one sets for its process would help the next
    with get_context("spawn").Pool(args.processes, maxtasksperchild=1) as pool:
        for arm, scores in tqdm(pool.imap_unordered(run, jobs, chunksize=1), total=len(jobs), unit="run"):
            found[arm].append(scores)

    lines = [
        "# Recipes at equal time",
        "",
        f"- Date: {datetime.date.today()}",
        f"- Machine: {where_it_ran('torch', 'monai', 'numpy')}; one thread a run, {args.processes} runs at a time",
        f"- Data: ISBI 2012, {common['num_training']} sections trained on, scored on {args.validation_sections}",
        f"- Networks: features {FEATURES}; `OriginalUNet` 572 px in and 388 out, the peer `BasicUNet` on 384 px "
        "(`benchmarks/recipes.py`)",
        f"- Seeds {args.seeds}: mean, and lowest to highest. Scores of the last weights, each at the best of ten "
        "thresholds for these sections",
        "",
        "| recipe | iterations | processor seconds | network operations | " + " | ".join(SCORES) + " |",
        "|---|--:|--:|--:|" + "--:|" * len(SCORES),
    ]
    for arm, runs in found.items():
        done = runs[0]["iterations"]
        cells = [spread([one[score] for one in runs]) for score in SCORES]
        seconds = spread([one["seconds"] for one in runs], 0)
        lines.append(f"| {arm} | {done:.0f} | {seconds} | {done * operations(arm):.2e} | " + " | ".join(cells) + " |")
    publish(lines, args.out)


if __name__ == "__main__":
    main()
