"""Where a prediction is least sure: the places that are worth painting next."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

SIZE = 96
"""Side of a place, pixels: what an eye takes in, and a few strokes cover."""

_READ = 1024  # pixels of a side that are read together


@dataclass(frozen=True)
class Place:
    """A square of an image.

    Attributes:
        section: of a stack; 0 of a single picture.
        y, x: its first row and column, pixels.
        size: its side, pixels; at the image's end there may be less.
        entropy: mean of its pixels, 0 where the network is sure and 1 where all classes are as likely.
    """

    section: int
    y: int
    x: int
    size: int
    entropy: float


def uncertain_places(
    probability: Any, painted: Any | None = None, size: int = SIZE, channels: bool = False
) -> list[Place]:
    """The places of a prediction, the least sure one first, without those where something is painted.

    Args:
        probability: of class 1, (H, W) or (D, H, W), or of each class, (C, H, W) or (C, D, H, W); floating point from 0
            to 1, or uint8 from 0 to 255. An array or a Zarr: it is read block by block. Where a store has not been
            filled yet it holds zeros, which are sure.
        painted: labels of the image, (H, W) or (D, H, W), 0 where nothing is painted; nothing is when left out.
        size: side of a place, pixels.
        channels: whether the first axis is of the classes.

    Raises:
        ValueError: when the shapes do not fit.

    Example:
        >>> probability = np.zeros((4, 4)); probability[2:, :2] = 0.5
        >>> uncertain_places(probability, size=2)[0]
        Place(section=0, y=2, x=0, size=2, entropy=1.0)
    """
    spatial = tuple(probability.shape)[channels:]
    if len(spatial) not in (2, 3) or (painted is not None and tuple(painted.shape) != spatial):
        what = "nothing" if painted is None else f"labels of shape {tuple(painted.shape)}"
        raise ValueError(f"{what} and a prediction of shape {spatial}: expected two or three axes, the same of both")
    of_classes = (slice(None),) * channels
    places = []
    for section in range(spatial[0]) if len(spatial) == 3 else (0,):
        at = (section,) if len(spatial) == 3 else ()
        for y, x in _blocks(spatial[-2:], size):
            here = (*at, y, x)
            of_each = (*of_classes, *here)
            means = _means(entropy(np.asarray(probability[of_each]), channels), size)
            free = np.ones(means.shape, bool)
            if painted is not None:
                free = _means((np.asarray(painted[here]) > 0).astype(np.float32), size) == 0
            rows, columns = np.nonzero(free)
            places += [
                Place(section, y.start + int(row) * size, x.start + int(column) * size, size, float(means[row, column]))
                for row, column in zip(rows, columns, strict=True)
            ]
    return sorted(places, key=lambda place: -place.entropy)


def is_painted(painted: Any, place: Place) -> bool:
    """Whether something is painted in a place of labels, (H, W) or (D, H, W)."""
    at = (place.section,) if len(painted.shape) == 3 else ()
    square = (*at, slice(place.y, place.y + place.size), slice(place.x, place.x + place.size))
    return bool(np.asarray(painted[square]).any())


def entropy(probability: np.ndarray, channels: bool = False) -> np.ndarray:
    """Of each pixel, in units of its largest value.

    Args:
        probability: of class 1, any shape, or of each class along the first axis; uint8 counts 255 as 1.
        channels: whether the first axis is of the classes.

    Returns:
        float32, without the axis of the classes.
    """
    values = probability.astype(np.float32) / (255 if probability.dtype == np.uint8 else 1)
    each = values if channels else np.stack([values, 1 - values])
    each = each.clip(1e-7, 1)
    return -(each * np.log(each)).sum(0) / np.log(len(each))


def _means(values: np.ndarray, size: int) -> np.ndarray:
    """Of squares of `size` pixels, cut off at the end: (rows, columns)."""
    starts = [np.arange(0, n, size) for n in values.shape]
    sums = np.add.reduceat(np.add.reduceat(values, starts[0], axis=0), starts[1], axis=1)
    counts = [np.diff([*first, n]) for first, n in zip(starts, values.shape, strict=True)]
    return sums / np.outer(*counts)


def _blocks(shape: tuple[int, ...], size: int) -> Iterator[tuple[slice, slice]]:
    """Blocks of whole places that cover a section."""
    step = size * max(_READ // size, 1)
    for y, x in itertools.product(*(range(0, n, step) for n in shape)):
        yield slice(y, min(y + step, shape[0])), slice(x, min(x + step, shape[1]))
