"""The picture of the README: a section, its probability and its objects; and what tiles change of a prediction.

    python benchmarks/picture.py --out docs/picture.png

A synthetic section and the weights of `isbi_compact`. Above: the section, the probability of being inside a cell, and
the objects. Below: the prediction of MONAI's `SlidingWindowInferer` in windows of 256 pixels (overlap 0.25, Gaussian),
with the same weights in padded convolutions; its difference from that network's prediction of the whole image at once;
and the difference that this project's overlap tiles make. The largest differences stand in the captions.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from monai.inferers import SlidingWindowInferer

from monai_unet.data import synthetic_sections
from monai_unet.inferers import OverlapTileInferer
from monai_unet.io import written_aside
from monai_unet.prediction.load import load_model
from monai_unet.report.montage import MontageRow, Tile, montage
from monai_unet.report.pictures import distinct_colours, png
from monai_unet.transforms.instances import label_instances

SIDE, SHOWN, WINDOW = 768, 384, 256
SCALE = 0.25  # a difference of this much is white


def main() -> int:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    model = load_model("isbi_compact")
    section = synthetic_sections(1, SIDE, seed=3)[0][0]
    pixels = model.normalised(torch.from_numpy(section.astype(np.float32))[None, None])
    with torch.inference_mode():
        whole = OverlapTileInferer(tile=10_000)(pixels, model.network).softmax(1)[0, 1].numpy()
        tiled = OverlapTileInferer(tile=WINDOW)(pixels, model.network).softmax(1)[0, 1].numpy()
        model.network._check = lambda image: None  # of sizes, which are others with padding
        for module in model.network.modules():
            if isinstance(module, torch.nn.Conv2d) and module.kernel_size == (3, 3):
                module.padding = (1, 1)
        padded = model.network(pixels).softmax(1)[0, 1].numpy()
        window = SlidingWindowInferer(WINDOW, overlap=0.25, mode="gaussian")
        slid = window(pixels, lambda x: model.network(x)).softmax(1)[0, 1].numpy()
    theirs, ours = np.abs(slid - padded), np.abs(tiled - whole)
    objects = distinct_colours(label_instances(middle(whole) > model.decoding.threshold))
    most = f"up to {ours.max():.1g}" if ours.any() else "not a bit"
    rows = [
        MontageRow(
            "a section of 768 x 768 pixels, its middle",
            [Tile("image", grey(section / 255)), Tile("probability of inside", grey(whole)), Tile("objects", objects)],
        ),
        MontageRow(
            f"in windows of {WINDOW} pixels, beside the whole image at once; white: {SCALE} and more",
            [
                Tile("MONAI's sliding window", grey(slid)),
                Tile(f"what its windows change: up to {theirs.max():.2g}", grey(theirs / SCALE)),
                Tile(f"what overlap tiles change: {most}", grey(ours / SCALE)),
            ],
        ),
    ]
    print(f"sliding window {theirs.max():.3g}, overlap tiles {ours.max():.3g}")
    with written_aside(out) as temporary:
        temporary.write_bytes(png(montage(rows)))
    return 0


def middle(image: np.ndarray) -> np.ndarray:
    """Its middle, SHOWN pixels high and wide."""
    first = (SIDE - SHOWN) // 2
    return image[first : first + SHOWN, first : first + SHOWN]


def grey(image: np.ndarray) -> np.ndarray:
    """Values of 0 to 1 as a picture of the middle."""
    values = np.rint(np.clip(middle(image), 0, 1) * 255).astype(np.uint8)
    return np.repeat(values[..., None], 3, axis=2)


if __name__ == "__main__":
    sys.exit(main())
