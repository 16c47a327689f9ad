"""What normalising each image by itself is worth on a film that was not trained on, and at other exposures.

Fluo-N2DL-HeLa has two films of nuclei, 16-bit, with few and with many in a frame. A network trains on one (its last
frame chooses the weights, threshold and depth) and is scored by SEG on the other, all its frames, in both directions;
then on the other film as a camera of another gain or offset would have recorded it.

    python benchmarks/exposure.py --data fluo_n2dl_hela --out benchmarks/results/exposure_cpu_2026-11.md
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from _measure import where_it_ran

from monai_unet.metrics.seg import seg_of_sections
from monai_unet.prediction.out_of_core import predict
from monai_unet.recipes.create import new_bundle

WAYS: dict[str, dict[str, Any]] = {
    "dataset": {"normalise": "dataset"},
    "image, mean and deviation": {"normalise": "image", "percentiles": None},
    "image, percentiles 1 and 99.8": {"normalise": "image", "percentiles": [1, 99.8]},
}
OFFSET = 33000  # of this camera
EXPOSURES = {
    "as it is": lambda image: image,
    "half the gain": lambda image: OFFSET + (image - OFFSET) // 2,
    "twice the gain": lambda image: OFFSET + (image - OFFSET) * 2,
    "an offset of 500": lambda image: image - OFFSET + 500,
}
NETWORK = {"features": [8, 16, 32, 64]}


def train(film: str, data: Path, folder: Path, way: dict[str, Any], epochs: int) -> tuple[Path, float]:
    """A bundle trained on a film, and the seconds that it took."""
    dataset = folder / f"film {film}"
    dataset.mkdir(exist_ok=True)
    for part in (film, f"{film}_ST"):
        if not (dataset / part).exists():
            (dataset / part).symlink_to((data / part).resolve())
    name = f"{film}_{len(list(folder.glob('bundle*')))}"
    bundle = new_bundle(name, dataset, out=folder / f"bundle {name}", normalise=way["normalise"]).folder
    values = {**NETWORK, **way, "epochs": epochs, "val_interval": 25, "tile": 188}
    options = [text for name, value in values.items() for text in (f"--{name}", json_or_none(value))]
    command = [sys.executable, "-m", "monai.bundle", "run", "training", "--config_file", str(bundle / "train.json")]
    begun = time.perf_counter()
    subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL)
    return bundle, time.perf_counter() - begun


def json_or_none(value: Any) -> str:
    """As MONAI's command line takes it."""
    return str(value) if value is None or isinstance(value, str) else json.dumps(value)


def score(film: str, data: Path, folder: Path, bundle: Path, way: dict[str, Any], exposure: str) -> float:
    """SEG over all cells of all frames of a film, against the silver truth."""
    pairs = []
    for truth in sorted((data / f"{film}_ST" / "SEG").glob("*.tif")):
        frame = truth.stem.removeprefix("man_seg")
        image, out = folder / f"t{frame}.tif", folder / f"mask{frame}.tif"
        grey = tifffile.imread(data / film / f"t{frame}.tif").astype(np.int64)
        tifffile.imwrite(image, EXPOSURES[exposure](grey).clip(0, 65535).astype(np.uint16))
        out.unlink(missing_ok=True)
        predict(image, out, bundle, {**NETWORK, **way}, output="instances", progress=False)
        pairs.append((tifffile.imread(truth), tifffile.imread(out)))
    cells = [jaccard for frame in seg_of_sections(pairs).jaccard for jaccard in frame.values()]
    return float(np.mean(cells))


def main() -> None:
    """Train, score, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder with 01, 01_ST, 02 and 02_ST")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=200)
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for trained, other in (("01", "02"), ("02", "01")):
            for what, way in WAYS.items():
                bundle, taken = train(trained, args.data, folder, way, args.epochs)
                scores = [score(other, args.data, folder, bundle, way, exposure) for exposure in EXPOSURES]
                row = [trained, other, what, *(f"{each:.3f}" for each in scores), f"{taken:.0f}"]
                rows.append(f"| {' | '.join(row)} |")
                print(rows[-1], flush=True)
    columns = ["trained on film", "scored on film", "`normalise`", *EXPOSURES, "training, s"]
    text = [
        "# Films of another exposure",
        "",
        f"`python benchmarks/exposure.py --data fluo_n2dl_hela --epochs {args.epochs}`",
        "",
        where_it_ran("torch", "monai"),
        "",
        "Fluo-N2DL-HeLa, four frames a film, silver truth. SEG over all cells of the film that was not trained on; the",
        "last frame of the film that was trained on chose weights, threshold and depth. Features 8 to 64, tiles of 188",
        f"pixels, {3 * args.epochs} iterations, one seed.",
        "",
        f"| {' | '.join(columns)} |",
        f"|---|---|---|{'--:|' * (len(columns) - 3)}",
        *rows,
        "",
    ]
    args.out.write_text("\n".join(text), encoding="utf-8")


if __name__ == "__main__":
    main()
