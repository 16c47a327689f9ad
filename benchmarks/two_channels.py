"""Whether a network uses both of two channels: synthetic cells, nuclei in one channel and bodies in the other.

Bodies touch, and where one ends follows from the nuclei alone; how far they reach, from the bodies alone. The same
recipe (`monai-unet new`) trains on each channel by itself and on both, and is scored by SEG on images that it has not
seen and that chose nothing.

    python benchmarks/two_channels.py --out benchmarks/results/two_channels_cpu_2026-11.md
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile
from skimage.filters import gaussian

from monai_unet.metrics.seg import seg_of_sections
from monai_unet.prediction.out_of_core import predict
from monai_unet.recipes.create import new_bundle

SIZE = (220, 260)
CHANNELS = {"nuclei alone": "nuclei", "bodies alone": "bodies", "both": "nuclei,bodies"}


def section(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Nuclei and bodies, (2, H, W), and the cells."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    middles: list[np.ndarray] = []
    for _ in range(2000):
        middle = rng.uniform(15, np.subtract(SIZE, 15))
        if all(np.hypot(*(middle - other)) > 24 for other in middles):
            middles.append(middle)
    distances = np.stack([np.hypot(y - middle[0], x - middle[1]) for middle in middles])
    reach = rng.uniform(13, 20, len(middles))
    nearest = distances.argmin(0)
    inside = distances.min(0) < reach[nearest]
    cells = np.where(inside, nearest + 1, 0).astype(np.uint16)
    masks = {"nuclei": distances.min(0) < 6, "bodies": inside}
    channels = [gaussian(mask.astype(float), 1.5) * 90 + rng.normal(40, 12, SIZE) for mask in masks.values()]
    return np.clip(channels, 0, 255).astype(np.uint8), cells


def write(folder: Path, seeds: range) -> None:
    """Images as OME-TIFF with named channels, and their labels."""
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)
    for seed in seeds:
        pixels, cells = section(seed)
        described = {"axes": "CYX", "Channel": {"Name": ["nuclei", "bodies"]}}
        tifffile.imwrite(
            folder / "images" / f"c{seed}.tif", pixels, photometric="minisblack", ome=True, metadata=described
        )
        tifffile.imwrite(folder / "labels" / f"c{seed}.tif", cells)


def main() -> None:
    """Train, score, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=250)
    parser.add_argument("--features", default="[8,16,32,64]")
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "train", range(6))
        write(folder / "test", range(100, 106))
        for what, channels in CHANNELS.items():
            bundle = new_bundle(what.replace(" ", "_"), folder / "train", out=folder / what, channels=channels).folder
            begun = time.perf_counter()
            options = ["--epochs", str(args.epochs), "--features", args.features, "--val_interval", "25"]
            command = [sys.executable, "-m", "monai.bundle", "run", "training", "--config_file", bundle / "train.json"]
            subprocess.run([*map(str, command), *options], check=True, stdout=subprocess.DEVNULL)
            taken = time.perf_counter() - begun
            pairs = []
            for image in sorted((folder / "test" / "images").iterdir()):
                out = folder / f"{what} {image.name}"
                overrides = {"features": [int(each) for each in args.features.strip("[]").split(",")]}
                predict(image, out, bundle, overrides, output="instances", progress=False)
                pairs.append((tifffile.imread(folder / "test" / "labels" / image.name), tifffile.imread(out)))
            scores = [float(np.mean(list(cells.values()))) for cells in seg_of_sections(pairs).jaccard]
            rows.append((what, np.mean(scores), min(scores), max(scores), taken))
    text = [
        "# Two channels: are both used?",
        "",
        f"`python benchmarks/two_channels.py --epochs {args.epochs} --features {args.features}`, on one or two CPU "
        "cores; 6 synthetic images train and choose the weights, 6 others are scored.",
        "",
        "| channels | SEG, mean of 6 images | lowest | highest | training, s |",
        "|---|--:|--:|--:|--:|",
        *(f"| {what} | {mean:.3f} | {low:.3f} | {high:.3f} | {taken:.0f} |" for what, mean, low, high, taken in rows),
        "",
    ]
    args.out.write_text("\n".join(text), encoding="utf-8")
    print("\n".join(text))


if __name__ == "__main__":
    main()
