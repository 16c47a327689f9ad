"""Labels drawn over the image that they belong to, so that a wrong pairing, a shift or a transposition is seen."""

from __future__ import annotations

import numpy as np
from PIL import Image
from skimage.segmentation import find_boundaries

from monai_unet.report.pictures import colour, distinct_colours, hatched, lighter

OUTLINE_COLOUR = (255, 221, 51)
FRAME_COLOUR = (255, 255, 255)
_TINT = 0.3
_HEAT = np.array([(12, 7, 54), (84, 15, 109), (187, 55, 84), (249, 142, 9), (252, 255, 164)], float)
"""Dark to bright through violet, red and orange; brightness rises all the way, so it reads in black and white too."""


def in_colour(image: np.ndarray) -> np.ndarray:
    """An image as people see it.

    Args:
        image: (C, H, W), see `colour`.

    Returns:
        uint8, (H, W, 3), of one channel too.
    """
    picture = colour(image)
    return picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)


def resized(values: np.ndarray, side: int, whole_numbers: bool = False) -> np.ndarray:
    """Numbers on a grid whose longer side has `side` pixels.

    Args:
        values: (..., H, W).
        side: pixels.
        whole_numbers: of labels, which are picked; other values are averaged when the grid is coarser, and picked when
            it is finer, so that the pixels of a small image are seen as such.

    Returns:
        (..., h, w), float32, or int32 for whole numbers.
    """
    values = np.asarray(values, np.int32 if whole_numbers else np.float32)
    height, width = values.shape[-2:]
    scale = side / max(height, width)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    way = Image.Resampling.NEAREST if whole_numbers or scale > 1 else Image.Resampling.BOX
    planes = [np.asarray(Image.fromarray(plane).resize(size, way)) for plane in values.reshape(-1, height, width)]
    return np.stack(planes).reshape(*values.shape[:-2], size[1], size[0])


def overlaid(
    picture: np.ndarray, labels: np.ndarray, unknown: np.ndarray | None = None, tint: bool = True
) -> np.ndarray:
    """Outlines over a picture, each number tinted in a colour of its own.

    Args:
        picture: uint8, (H, W, 3).
        labels: one integer per cell or class, 0 for background; (H, W).
        unknown: true where the truth is unknown, which is hatched; (H, W).
        tint: whether the inside is tinted; if not, all outlines have one colour.

    Returns:
        uint8, (H, W, 3).
    """
    colours = distinct_colours(labels)
    drawn = picture.copy()
    inside = labels > 0
    if tint:
        drawn[inside] = np.round((1 - _TINT) * picture[inside] + _TINT * colours[inside]).astype(np.uint8)
    edge = find_boundaries(labels, mode="inner")
    drawn[edge] = lighter(colours[edge]) if tint else OUTLINE_COLOUR
    return drawn if unknown is None else hatched(drawn, np.asarray(unknown, bool))


def framed(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """A frame around the middle `height` x `width` pixels of a picture (H, W, 3); what lies outside is darker."""
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    middle = slice(top, top + height), slice(left, left + width)
    drawn = (picture * 0.65).astype(np.uint8)
    drawn[middle] = FRAME_COLOUR
    inner = tuple(slice(part.start + 1, part.stop - 1) for part in middle)
    drawn[inner] = picture[inner]
    return drawn


def heat(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Numbers as colours from dark at `low` to bright at `high`; (H, W) in, uint8 (H, W, 3) out.

    Example:
        >>> heat(np.array([[0.0, 1.0]]), 0, 1).tolist()
        [[[12, 7, 54], [252, 255, 164]]]
    """
    share = np.clip((np.asarray(values, float) - low) / max(high - low, 1e-12), 0, 1)
    steps = np.linspace(0, 1, len(_HEAT))
    return np.stack([np.round(np.interp(share, steps, _HEAT[:, n])) for n in range(3)], axis=-1).astype(np.uint8)


def heat_bar(height: int, width: int = 12) -> np.ndarray:
    """The colours of `heat` from the highest value on top to the lowest; uint8, (height, width, 3)."""
    return heat(np.repeat(np.linspace(1, 0, height)[:, None], width, axis=1), 0, 1)
