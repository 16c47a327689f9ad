"""SEG of a cell bundle on frames that were not trained on and chose nothing, as the bundle makes objects and as chosen.

    python benchmarks/objects.py --bundle bundles/dic_hela --dataset-dir DIR --choose 10 11 12 --score 0 1 2 \
        --overrides '{"ckpt_dir": "runs/a", "features": [16, 32, 64, 128, 256], "seed_depth": 0.1}'

Frames are counted as `--validation` counts them, over all that have labels. Threshold, seeds and smallest object are
chosen by SEG on the frames of `--choose` alone.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from _measure import where_it_ran

from monai_unet.data import labelled_files
from monai_unet.data.sections import read_labelled_sections
from monai_unet.inferers import OverlapTileInferer
from monai_unet.metrics.seg import seg_of_sections
from monai_unet.prediction.load import load_model
from monai_unet.prediction.model import Model
from monai_unet.transforms import Decoding

Frame = tuple[np.ndarray, np.ndarray]  # probabilities (C, H, W), cells (H, W)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", required=True, type=Path)
    parser.add_argument("--dataset-dir", required=True, type=Path)
    parser.add_argument("--choose", required=True, type=int, nargs="+")
    parser.add_argument("--score", required=True, type=int, nargs="+")
    parser.add_argument("--overrides", default="{}", help="of the bundle's inference.json, as JSON")
    parser.add_argument("--rotations", type=int, default=7)
    args = parser.parse_args()
    model = load_model(
        str(args.bundle.resolve()), json.dumps({**json.loads(args.overrides), "rotations": args.rotations})
    )
    files = labelled_files(args.dataset_dir, truth="both")
    chosen_on, scored = ([frame(model, files[index]) for index in part] for part in (args.choose, args.score))
    gold = [index for index, frame_number in enumerate(args.score) if "_GT" in str(files[frame_number]["label"])]
    best = max(candidates(model.decoding), key=lambda decoding: seg(chosen_on, decoding))
    print(where_it_ran("torch", "monai"))
    print("\n| objects | threshold | seeds | smallest | SEG where chosen | SEG, all truth | SEG, gold |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for name, decoding in (("as the bundle makes them", model.decoding), ("chosen", best)):
        scores = [seg(frames, decoding) for frames in (chosen_on, scored, [scored[index] for index in gold])]
        seeds = f"{decoding.seed_depth:g}" if decoding.by_distance else "-"
        cells = [name, f"{decoding.threshold:g}", seeds, str(decoding.min_size), *(f"{score:.3f}" for score in scores)]
        print(f"| {' | '.join(cells)} |")


def frame(model: Model, files: dict) -> Frame:
    """Probabilities of the mean over rotations, and the cells."""
    (section,) = read_labelled_sections(files["image"], files["label"], instances=True)
    image = model.normalised(torch.as_tensor(section["image"])[None])
    inferer = OverlapTileInferer(rotations=model.rotations, geometry=model.geometry)
    with torch.inference_mode():
        probability = inferer(image, model.network).softmax(1)[0].numpy()
    return probability, np.asarray(section["cells"])[0]


def candidates(decoding: Decoding) -> Iterator[Decoding]:
    """A grid of ways to make objects."""
    seeds = (0.03, 0.06, 0.1, 0.15, 0.2) if decoding.by_distance else (decoding.seed_depth,)
    sizes = [round(decoding.min_size * factor) for factor in (0.5, 1, 2)]
    for threshold, seed, size in itertools.product((0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9), seeds, sizes):
        yield replace(decoding, threshold=threshold, seed_depth=seed, min_size=size)


def seg(frames: list[Frame], decoding: Decoding) -> float:
    """Over all cells of the frames."""
    return seg_of_sections((cells, decoding.instances(probability)) for probability, cells in frames).seg


if __name__ == "__main__":
    main()
