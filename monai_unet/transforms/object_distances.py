"""How far inside its cell each pixel lies, so that the network learns where one cell ends and the next begins."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.transforms import MapTransform
from monai.utils import TransformBackends, convert_data_type, convert_to_dst_type
from scipy import ndimage

INSIDE, BORDER = 1, 2


def object_distances(cells: np.ndarray) -> np.ndarray:
    """Distance of each pixel to the border of its cell, as a share of the largest one in the cell.

    Args:
        cells: one integer per cell, 0 for background; shape (H, W) or (D, H, W).

    Returns:
        float32, same shape: 0 outside cells; in a cell the Euclidean distance to the nearest pixel that is not of this
        cell, divided by the largest such distance in the cell, so above 0 and up to 1. The edge of the image is not a
        border, as the cell goes on behind it; a cell that fills the image is 1.

    Source: Scherr et al. (2020), doi:10.1371/journal.pone.0243219, whose network learns such a distance for each cell
    (KIT-GE in the Cell Tracking Challenge).

    Example:
        >>> object_distances(np.array([[0, 1, 1, 1, 1, 1, 2, 2, 2]])).round(2)
        array([[0.  , 0.33, 0.67, 1.  , 0.67, 0.33, 0.33, 0.67, 1.  ]],
              dtype=float32)
    """
    distances = np.zeros(cells.shape, np.float32)
    for number, box in enumerate(ndimage.find_objects(cells), start=1):
        if box is None:
            continue
        around = tuple(
            slice(max(part.start - 1, 0), min(part.stop + 1, size)) for part, size in zip(box, cells.shape, strict=True)
        )
        own = cells[around] == number
        distance = np.ones(own.shape) if own.all() else ndimage.distance_transform_edt(own)  # else it fills the image
        distances[around][own] = (distance / distance.max())[own]
    return distances


class ObjectDistancesd(MapTransform):
    """Put the distances of a sample's cells into its map of classes, as classes that are met in part.

    With the distance d of `object_distances`, a pixel of a cell is of class 1, inside, by d and of class 2, border, by
    1 - d, and its number is 2 - d; see `WeightedCrossEntropyLoss`. So the network's probability of inside learns the
    distance, and that of inside and border together learns the cell.

    Args:
        keys: of the cells, each (1, H, W) or (1, D, H, W), one integer per cell.
        class_key: of the map of classes, of a floating type, 0 outside cells.
        allow_missing_keys: as in MONAI.
    """

    backend = [TransformBackends.NUMPY]  # noqa: RUF012 - MONAI's attribute

    def __init__(self, keys: KeysCollection, class_key: Hashable = "label", allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.class_key = class_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """A copy of the sample."""
        sample = dict(data)
        for key in self.key_iterator(sample):
            cells = convert_data_type(sample[key], np.ndarray)[0]
            classes = np.where(cells > 0, BORDER - object_distances(cells[0])[None], 0).astype(np.float32)
            sample[self.class_key] = convert_to_dst_type(classes, sample[self.class_key])[0]
        return sample
