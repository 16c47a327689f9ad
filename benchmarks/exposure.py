"""What normalising each image by itself is worth on a film that was not trained on, and at other exposures.

Fluo-N2DL-HeLa has two films of nuclei, 16-bit, with few and with many in a frame. A network trains on one (its last
frame chooses the weights, threshold and depth) and is scored by SEG on the other, all its frames, in both directions;
then on the other film as a camera of another gain or offset would have recorded it.

    python benchmarks/exposure.py --data fluo_n2dl_hela --work FOLDER --out benchmarks/results/exposure_cpu_2026-11.md
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
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
EXPOSURES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as it is": lambda grey: grey,
    "offset 500": lambda grey: grey - OFFSET + 500,
    "gain / 2": lambda grey: OFFSET + (grey - OFFSET) // 2,
    "gain x 2": lambda grey: OFFSET + (grey - OFFSET) * 2,
    "gain / 8": lambda grey: OFFSET + (grey - OFFSET) // 8,
    "gain x 8": lambda grey: OFFSET + (grey - OFFSET) * 8,
    "8 bits, offset 0, gain / 10": lambda grey: ((grey - OFFSET) // 10).clip(0, 255).astype(np.uint8),
}
NETWORK = {"features": [8, 16, 32, 64]}


def train(film: str, data: Path, bundle: Path, way: dict[str, Any], epochs: int) -> None:
    """Make a bundle and train it on a film; nothing where that has been done."""
    if bundle.exists():
        return
    dataset = bundle.parent / f"film {film}"
    dataset.mkdir(exist_ok=True)
    for part in (film, f"{film}_ST"):
        if not (dataset / part).exists():
            (dataset / part).symlink_to((data / part).resolve())
    new_bundle(bundle.name, dataset, out=bundle, normalise=way["normalise"])
    values = {**NETWORK, **way, "epochs": epochs, "val_interval": 25, "tile": 188}
    options = [text for name, value in values.items() for text in (f"--{name}", json_or_none(value))]
    command = [sys.executable, "-m", "monai.bundle", "run", "training", "--config_file", str(bundle / "train.json")]
    subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL)


def json_or_none(value: Any) -> str:
    """As MONAI's command line takes it."""
    return str(value) if value is None or isinstance(value, str) else json.dumps(value)


def score(film: str, data: Path, bundle: Path, way: dict[str, Any], exposure: str) -> str:
    """SEG over all cells of all frames of a film, against the silver truth; or that the images are refused."""
    pairs = []
    with tempfile.TemporaryDirectory() as name:
        for truth in sorted((data / f"{film}_ST" / "SEG").glob("*.tif")):
            frame = truth.stem.removeprefix("man_seg")
            image, out = Path(name, f"t{frame}.tif"), Path(name, f"mask{frame}.tif")
            grey = EXPOSURES[exposure](tifffile.imread(data / film / f"t{frame}.tif").astype(np.int64))
            tifffile.imwrite(image, grey if grey.dtype == np.uint8 else grey.clip(0, 65535).astype(np.uint16))
            try:
                predict(image, out, bundle, {**NETWORK, **way}, output="instances", progress=False)
            except ValueError as error:
                if "scaled" not in str(error):  # grey values that the bundle is not made for
                    raise
                return "refused"
            pairs.append((tifffile.imread(truth), tifffile.imread(out)))
    cells = [jaccard for frame in seg_of_sections(pairs).jaccard for jaccard in frame.values()]
    return f"{np.mean(cells):.3f}"


def main() -> None:
    """Train, score, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder with 01, 01_ST, 02 and 02_ST")
    parser.add_argument("--work", type=Path, required=True, help="folder for the bundles; those in it are not trained")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=200)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    rows = []
    for trained, other in (("01", "02"), ("02", "01")):
        for number, (what, way) in enumerate(WAYS.items()):
            bundle = args.work / f"film_{trained}_{number}"
            train(trained, args.data, bundle, way, args.epochs)
            scores = [score(other, args.data, bundle, way, exposure) for exposure in EXPOSURES]
            rows.append(f"| {' | '.join([trained, other, what, *scores])} |")
            print(rows[-1], flush=True)
    columns = ["trained on film", "scored on film", "`normalise`", *EXPOSURES]
    text = [
        "# Films of another exposure",
        "",
        f"`python benchmarks/exposure.py --data fluo_n2dl_hela --work FOLDER --epochs {args.epochs}`",
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
