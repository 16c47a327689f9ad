"""Read the labels of an image, whatever they are stored as: numbers, or colours that stand for classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from monai_unet.colours import UNKNOWN, in_numbers
from monai_unet.data.labels import whole_labels
from monai_unet.io import UNKNOWN_NUMBER, ImageInfo, read_numbers, read_onto

Colours = Mapping[str, Sequence[int]]
"""Red, green and blue by the names of the classes, in their order, see `monai_unet.colours`."""


def read_labels(
    path: str | Path, image: str | Path | ImageInfo | None = None, colours: Colours | None = None
) -> np.ndarray:
    """The labels of a file as whole numbers.

    Args:
        path: the label file; where it is in colour, the classes' numbers are read, see `read_numbers`.
        image: that they belong to, whose grid they are put on, see `read_onto`; their own without it.
        colours: of label files in colour.

    Returns:
        int64, (D, H, W).

    Raises:
        FileNotFoundError, ValueError: when a file cannot be used; the message names it.
    """
    found = read_numbers(path, colours) if image is None else read_onto(path, image, colours)
    return whole_labels(found, path)


def unknown_value(ignore_label: int | None, colours: Colours | None) -> int | None:
    """The number that unknown pixels have in `read_labels`; None where all are known.

    Raises:
        ValueError: when both a number and a colour are given for them.
    """
    if colours is None or UNKNOWN not in colours:
        return ignore_label
    if ignore_label is not None:
        raise ValueError(
            f"unknown pixels are named twice, by ignore_label {ignore_label} and in colours by "
            f"{UNKNOWN}={in_numbers(colours[UNKNOWN])}; leave one of them out"
        )
    return UNKNOWN_NUMBER
