"""The montage of a bundle that restores images: each image, its target, and tiles of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from monai_unet.report.montage import MontageRow, Tile
from monai_unet.report.overlays import OUTLINE_COLOUR, framed, in_colour, resized

LOOK = "image and target must show the same place: else the target belongs to another image or is transposed"
LOOK_AT_TILES = "the tiles are what the network gets; pixels in yellow are hidden from it"
HINTS = (
    "A target must show what its image shows, at the same place. If it does not, it belongs to another image, or its "
    "rows are its columns.",
    "Each picture has contrast of its own: from its dark to its bright grey values.",
    "The tiles are what the network gets, drawn at random. It predicts what is in the frame; around it is context.",
    "Yellow pixels, where there are any, are hidden from the network, which learns to tell them from their neighbours.",
)


def restored_rows(
    names: Sequence[str],
    raw: Sequence[Mapping[str, Any]],
    drawn: Sequence[Sequence[Mapping[str, Any]]],
    has_target: bool,
    side: int,
) -> list[MontageRow]:
    """The rows of some sections.

    Args:
        names: of the sections.
        raw: the sections as they were read: image and label (C, H, W).
        drawn: of each section, the random tiles that are shown.
        has_target: whether a section's target is another picture than its image.
        side: pixels of a picture's longer side.
    """
    rows = []
    for name, section, tiles in zip(names, raw, drawn, strict=True):
        pictures = [Tile("image", picture_of(section["image"], side))]
        if has_target:
            pictures.append(Tile("target", picture_of(section["label"], side)))
        for number, tile in enumerate(tiles, start=1):
            pictures += restored_tile(tile, side, f"tile {number}")
        rows.append(MontageRow(name, pictures))
    return rows


def small_tile(name: str, section: Mapping[str, Any], has_target: bool, side: int) -> Tile:
    """A section in small: its image, and beside it its target."""
    parts = [section["image"], *([section["label"]] if has_target else [])]
    return Tile(name, np.concatenate([picture_of(part, side) for part in parts], axis=1))


def picture_of(pixels: Any, side: int) -> np.ndarray:
    """Grey values (C, H, W) as a picture, uint8 (h, w, 3)."""
    return in_colour(resized(np.asarray(pixels), side))


def restored_tile(sample: Mapping[str, Any], side: int, name: str) -> list[Tile]:
    """A random tile: its input with the frame of the output, in which hidden pixels are marked; else with its target.

    Args:
        sample: `image` (C, H, W), and its middle: `label` (c, h, w) and `weight` (1, h, w), 0 where nothing is learned.
        side: pixels of the pictures.
        name: of the tile.
    """
    image, label, weight = (torch.as_tensor(sample[key]).cpu().numpy() for key in ("image", "label", "weight"))
    size, inner = image.shape[-1], label.shape[-1]
    shown = round(inner * side / size)
    picture = framed(picture_of(image, side), shown, shown)
    if weight.min() < weight.max():
        margin = (size - inner) // 2
        hidden = np.zeros((size, size), np.int32)
        hidden[margin : size - margin, margin : size - margin] = weight[0] > 0
        picture[resized(hidden, side, whole_numbers=True) > 0] = OUTLINE_COLOUR
        share = 100 * float((weight > 0).mean())
        return [Tile(f"{name}: input, {share:.2g} % of the pixels hidden", picture)]
    target = np.full_like(picture, 235)
    start = (side - shown) // 2
    target[start : start + shown, start : start + shown] = picture_of(label, shown)
    return [Tile(f"{name}: input, output in the frame", picture), Tile(f"{name}: target", target)]
