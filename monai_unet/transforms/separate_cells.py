"""Background between cells that touch, so that a network of two classes can keep them apart."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.transforms import MapTransform
from monai.utils import TransformBackends, convert_data_type, convert_to_dst_type
from scipy import ndimage


def separate_cells(cells: np.ndarray) -> np.ndarray:
    """Take the outer pixels of cells away where they touch another cell.

    Where two cells meet, each loses the pixels that share an edge or a corner with the other, so that two pixels of
    background lie between them; where a cell borders on background nothing changes.

    Args:
        cells: one integer per cell, 0 for background; shape (H, W) or (D, H, W).

    Returns:
        The same type and shape.

    Source: Ronneberger et al. (2015), section 3, force the network to learn small borders between touching cells; how
    wide a border their labels have is not said, and two pixels is our reading.

    Example:
        >>> separate_cells(np.array([[0, 1, 1, 1, 2, 2, 0]]))
        array([[0, 1, 1, 0, 0, 2, 0]])
    """
    cells = np.asarray(cells)
    largest = ndimage.maximum_filter(cells, 3)
    # background as large as the cells beside it, so that it is never the smallest number around
    smallest = ndimage.minimum_filter(np.where(cells == 0, largest, cells), 3)
    return np.where((cells != 0) & (largest == cells) & (smallest == cells), cells, 0).astype(cells.dtype)


class SeparateCellsd(MapTransform):
    """Put background between the cells of a sample that touch, and into its map of classes; see `separate_cells`.

    Args:
        keys: of the cells, each (1, H, W) or (1, D, H, W), one integer per cell.
        class_key: of the map of classes that becomes 0 (background) where a cell was taken away.
        allow_missing_keys: whether a sample may lack the cells.
    """

    backend = [TransformBackends.NUMPY]  # noqa: RUF012 - MONAI's attribute

    def __init__(
        self, keys: KeysCollection = "cells", class_key: Hashable = "label", allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.class_key = class_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """A copy of the sample."""
        sample = dict(data)
        for key in self.key_iterator(sample):
            cells = convert_data_type(sample[key], np.ndarray)[0]
            apart = separate_cells(cells[0])[None]
            classes = convert_data_type(sample[self.class_key], np.ndarray)[0]
            sample[self.class_key] = convert_to_dst_type(
                np.where((cells != 0) & (apart == 0), 0, classes), sample[self.class_key]
            )[0]
            sample[key] = convert_to_dst_type(apart, sample[key], dtype=apart.dtype)[0]
        return sample
