"""What it costs to measure an image before it is normalised by itself, beside reading it once: time and memory.

python benchmarks/exposure_cost.py --out benchmarks/results/exposure_cost_cpu_2026-11.md
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import tifffile
from _measure import peak_memory, time_runs, where_it_ran

from monai_unet.io import Exposure, open_image

SIDE, ROWS = 8192, 2048
WAYS = {"mean and deviation": None, "percentiles 1 and 99.8": (1, 99.8)}


def read(image: Path) -> None:
    """All pixels once, in the blocks that measuring reads."""
    source = open_image(image)
    for row in range(0, SIDE, ROWS):
        source.read((slice(0, 1), slice(row, row + ROWS), slice(0, SIDE)))


def measured(image: Path, exposure: Exposure) -> None:
    """The numbers that normalise it."""
    exposure.of_source(open_image(image))


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        grey = np.random.default_rng(0).gamma(2, 500, (SIDE, SIDE)).astype(np.float32)
        for dtype in ("uint8", "uint16", "float32"):
            image = Path(name, f"{dtype}.tif")
            pixels = (grey / 20).clip(0, 255).astype(dtype) if dtype == "uint8" else grey.astype(dtype)
            tifffile.imwrite(image, pixels, tile=(256, 256), compression="zlib", photometric="minisblack")
            for what, ends in WAYS.items():
                measure = partial(measured, image, Exposure("image", percentiles=ends))
                alone, taken = time_runs(partial(read, image), measure, num_runs=3)
                memory = peak_memory(measure) / 1e6
                ratio = taken.median / alone.median
                rows.append(f"| {dtype} | {what} | {ratio:.2f} | {alone} | {taken} | {memory:.0f} MB |")
                print(rows[-1], flush=True)
    text = [
        "# Measuring an image that is normalised by itself",
        "",
        f"`python benchmarks/exposure_cost.py`; {SIDE} x {SIDE} pixels, a TIFF of zlib-compressed tiles, 3 runs each",
        "that take turns: the median, the fastest and the slowest. Memory is the peak of Python and NumPy.",
        "",
        where_it_ran("numpy", "tifffile"),
        "",
        "| type | by | times reading alone | reading alone | measuring | memory |",
        "|---|---|--:|--:|--:|--:|",
        *rows,
        "",
    ]
    args.out.write_text("\n".join(text), encoding="utf-8")


if __name__ == "__main__":
    main()
