"""Overlap tiles beside the untiled network and MONAI's sliding window: seams, and time.

    python benchmarks/overlap_tile.py --trained runs/adam/model.pt --image IMAGE.tif \
        --out benchmarks/results/overlap_tile_HARDWARE_DATE.md

Seams: the largest difference of a probability between the tiled and the untiled prediction, over random sizes; with
random weights, whose logits reach 50 and more and so round coarsely, and with trained weights on places of a real
image. The peer is a padded U-Net of the same widths (MONAI's `BasicUNet` without normalisation) in
`SlidingWindowInferer`, beside that network run on the whole image. Time: one image, the same layout (channels last) and
threads for all; a window of the peer has the size of the unpadded network's input of the paper, 572.
"""

from __future__ import annotations

import argparse
import datetime
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from _measure import publish, time_runs, where_it_ran
from _peer import padded
from monai.inferers import SlidingWindowInferer

from monai_unet.inferers import OverlapTileInferer
from monai_unet.io import read_stack
from monai_unet.networks import OriginalUNet

WINDOW = 572


def seams(num_sizes: int, seed: int, trained: Path | None, photograph: Path | None) -> dict[str, tuple[float, int]]:
    """Largest difference of a probability, and over how many images, by method."""
    rng = np.random.default_rng(seed)
    found: dict[str, tuple[float, int]] = {}

    def compare(name: str, one: torch.Tensor, other: torch.Tensor) -> None:
        difference = (one.softmax(1) - other.softmax(1)).abs().max().item()
        largest, count = found.get(name, (0.0, 0))
        found[name] = max(largest, difference), count + 1

    if trained is not None and photograph is not None:
        weights = torch.load(trained, weights_only=True)
        features = [weights[f"contracting.{level}.0.weight"].shape[0] for level in range(5)]
        network = OriginalUNet(features=features).eval()
        network.load_state_dict(weights)
        pixels = torch.from_numpy((read_stack(photograph)[:1].astype(np.float32) - 128) / 45)[None]
        for _ in range(num_sizes):
            height, width = rng.integers(1, 700, 2)
            top, left = (int(rng.integers(n - size)) for n, size in zip(pixels.shape[2:], (height, width), strict=True))
            image = pixels[..., top : top + height, left : left + width]
            tile = int(rng.integers(16, 400))
            whole = OverlapTileInferer(tile=10_000)(image, network)
            compare("overlap tiles, 2-D, trained", OverlapTileInferer(tile=tile)(image, network), whole)
    for index in range(num_sizes):
        dims = 3 if index % 5 == 4 else 2
        torch.manual_seed(index)
        ours = OriginalUNet(dims, features=(4, 8, 16, 32, 64) if dims == 2 else (4, 8, 16)).eval()
        sizes = rng.integers(1, 500, 2) if dims == 2 else rng.integers(1, 60, 3)
        image = torch.randn(1, 1, *sizes.tolist())
        tile = int(rng.integers(16, 400)) if dims == 2 else int(rng.integers(8, 40))
        whole = OverlapTileInferer(tile=10_000, spatial_dims=dims)(image, ours)
        compare(
            f"overlap tiles, {dims}-D, random weights",
            OverlapTileInferer(tile=tile, spatial_dims=dims)(image, ours),
            whole,
        )
        if dims == 2:
            theirs = padded(2, (4, 8, 16, 32, 64)).eval()
            sizes = 16 * rng.integers(10, 30, 2)  # sizes that the padded network takes without padding of its own
            image = torch.randn(1, 1, *sizes.tolist())
            whole = theirs(image)
            for overlap in (0.25, 0.5):
                window = SlidingWindowInferer(128, overlap=overlap, mode="gaussian")
                compare(f"sliding window, overlap {overlap}, Gaussian, random weights", window(image, theirs), whole)
    return found


def times(size: int, width: int, memory: list[str], runs: int) -> list[tuple[str, str, float]]:
    """Time of each way to predict one image, and the factor to the untiled network."""
    torch.manual_seed(0)
    features = tuple(width * 2**level for level in range(5))
    ours = OriginalUNet(features=features).eval().to(memory_format=torch.channels_last)
    theirs = padded(2, features).eval().to(memory_format=torch.channels_last)
    image = torch.randn(1, 1, size, size).contiguous(memory_format=torch.channels_last)
    tasks: dict[str, Callable[[], object]] = {
        "untiled, unpadded network": lambda: OverlapTileInferer(tile=size)(image, ours),
        "overlap tiles of the paper, 572 to 388": lambda: OverlapTileInferer(tile=388)(image, ours),
        "untiled, padded network": lambda: theirs(image),
    }
    for budget in memory:
        tasks[f"overlap tiles, memory={budget}"] = lambda b=budget: OverlapTileInferer(memory=b)(image, ours)
    for overlap in (0.25, 0.5):
        window = SlidingWindowInferer(WINDOW, overlap=overlap, mode="gaussian")
        tasks[f"sliding window, overlap {overlap}"] = lambda window=window: window(image, theirs)
    timings = time_runs(*tasks.values(), num_runs=runs)
    reference = timings[0].median
    return [(name, str(timing), timing.median / reference) for name, timing in zip(tasks, timings, strict=True)]


def main() -> None:
    """Measure, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, default=60, help="random sizes (default 60)")
    parser.add_argument("--size", type=int, default=2048, help="of the timed image (default 2048)")
    parser.add_argument("--width", type=int, default=32, help="features at the top (default 32)")
    parser.add_argument("--memory", nargs="+", default=["8GB", "1GB"], help="budgets (default 8GB 1GB)")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trained", type=Path, help="weights of a network of five levels, for the seams")
    parser.add_argument("--image", type=Path, help="grey image of 700 pixels or more, for the trained network")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with torch.inference_mode():
        found = seams(args.sizes, args.seed, args.trained, args.image)
        timed = times(args.size, args.width, args.memory, args.runs)
    lines = [
        "# Overlap tiles: seams and time",
        "",
        f"- Command: `python {shlex.join(sys.argv)}`",
        f"- Date: {datetime.date.today()}",
        f"- Machine: {where_it_ran('torch', 'monai', 'numpy')}; {torch.get_num_threads()} threads",
        "",
        "| largest difference of a probability to the untiled prediction | images | difference |",
        "|---|--:|--:|",
        *(f"| {name} | {count} | {largest:.1e} |" for name, (largest, count) in sorted(found.items())),
        "",
        f"One image of {args.size} x {args.size}, {args.width} features at the top, single precision, channels last;",
        f"{args.runs} runs each, taking turns, after one that is not counted.",
        "",
        "| prediction | time, median (range) | of the untiled |",
        "|---|--:|--:|",
        *(f"| {name} | {time} | {factor:.2f} |" for name, time, factor in timed),
    ]
    publish(lines, args.out)


if __name__ == "__main__":
    main()
