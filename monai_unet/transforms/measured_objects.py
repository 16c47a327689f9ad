"""Where the objects of a label image lie, how large they are and how sure the network was of them, block by block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from monai_unet.transforms.instances import SlicedArray, boxes


@dataclass(frozen=True, eq=False)
class MeasuredObjects:
    """A row for each of n objects, in the order of their labels.

    Attributes:
        labels: (n,), whole numbers above 0.
        sizes: (n,), in pixels.
        centres: (n, axes), the mean place of the pixels, in pixels; 0 is the middle of the first one.
        starts: (n, axes), first corner of the bounding box, in pixels.
        stops: (n, axes), last corner, which lies outside, as in a slice.
        means: (n,), mean of the values over the pixels.
    """

    labels: np.ndarray
    sizes: np.ndarray
    centres: np.ndarray
    starts: np.ndarray
    stops: np.ndarray
    means: np.ndarray


def measure_objects(labels: SlicedArray, values: SlicedArray, blocks: Sequence[int]) -> MeasuredObjects:
    """Measure the objects of a label image that need not fit into memory; an object may lie in many blocks.

    Memory is that of a few blocks, and some numbers for each object in a block.

    Args:
        labels: one integer per object, 0 for background; shape (H, W) or (D, H, W).
        values: the probability, say; same shape.
        blocks: pixels of a block, one number per axis; they need not divide the shape.

    Returns:
        What scikit-image's `regionprops` calls label, area, centroid, bbox and intensity_mean.

    Raises:
        ValueError: when the shapes differ.

    Example:
        >>> found = measure_objects(np.array([[0, 7, 7], [0, 7, 2]]), np.eye(2, 3), (1, 2))
        >>> found.labels, found.sizes, found.centres[1].round(2), found.means.round(2)
        (array([2, 7]), array([1, 3]), array([0.33, 1.33]), array([0.  , 0.33]))
    """
    shape = tuple(labels.shape)
    if tuple(values.shape) != shape:
        raise ValueError(f"labels have the shape {shape} and values {tuple(values.shape)}: expected the same")
    found = [_measure_block(labels, values, box) for _, box in boxes(shape, blocks)]
    ids, sizes, sums, starts, stops, totals = (np.concatenate(part) for part in zip(*found, strict=True))
    numbers, owner = np.unique(ids, return_inverse=True)
    shape_of_places = (len(numbers), len(shape))
    size, place, total = np.zeros(len(numbers), np.int64), np.zeros(shape_of_places), np.zeros(len(numbers))
    start, stop = np.full(shape_of_places, np.iinfo(np.int64).max), np.zeros(shape_of_places, np.int64)
    np.add.at(size, owner, sizes)
    np.add.at(place, owner, sums)
    np.add.at(total, owner, totals)
    np.minimum.at(start, owner, starts)
    np.maximum.at(stop, owner, stops)
    return MeasuredObjects(numbers, size, place / size[:, None], start, stop, total / size)


def _measure_block(labels: SlicedArray, values: SlicedArray, box: tuple[slice, ...]) -> tuple[np.ndarray, ...]:
    """Labels, sizes, sums of places, corners and sums of values in a block; places are those in the whole."""
    block = np.asarray(labels[box])
    corner = np.array([part.start for part in box])
    where = np.nonzero(block)
    ids, owner = np.unique(block[where], return_inverse=True)
    sizes = np.bincount(owner, minlength=len(ids))
    # sums of whole numbers are exact in float64 up to 2**53, so that blocks of another size give the same centres
    sums = np.stack([np.bincount(owner, axis, len(ids)) for axis in where], axis=1) + sizes[:, None] * corner
    numbered = np.zeros(block.shape, np.int32)
    numbered[where] = owner + 1
    extents = [[(part.start, part.stop) for part in found] for found in ndimage.find_objects(numbered)]
    corners = np.array(extents, np.int64).reshape(len(ids), block.ndim, 2) + corner[:, None]
    totals = np.bincount(owner, np.asarray(values[box])[where], len(ids)) if len(ids) else np.zeros(0)
    return ids, sizes, sums, corners[..., 0], corners[..., 1], totals
