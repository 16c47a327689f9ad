"""Instances: the connected parts of the foreground, numbered, in memory or block by block at any size.

The number of an object follows from its first pixel alone, and an object is small or not as a whole. So both forms give
the same labels to the last bit, and the size of a block is a matter of memory only.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from monai.config import DtypeLike
from scipy import ndimage, sparse
from skimage.segmentation import watershed


class SlicedArray(Protocol):
    """What is read and written by boxes: a NumPy array, `np.memmap`, Zarr array, or anything else with these four."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""

    @property
    def dtype(self) -> Any:
        """What `np.dtype` understands."""

    def __getitem__(self, box: Any, /) -> Any: ...

    def __setitem__(self, box: Any, value: Any, /) -> None: ...


Box = tuple[slice, ...]


def label_instances(foreground: np.ndarray, min_size: int = 0, connectivity: int = 1) -> np.ndarray:
    """Number the connected parts of the foreground.

    Args:
        foreground: true (or not 0) inside cells; shape (H, W) or (D, H, W).
        min_size: objects of fewer pixels are background.
        connectivity: along how many axes at once a pixel may be away from its neighbour: 1 connects over edges (over
            faces in 3-D), 2 over corners (edges in 3-D) too, 3 over the corners of a volume too.

    Returns:
        int32, same shape: 0 for background, objects from 1 on without a gap, in the order of their first pixels row by
        row (section by section). A smaller object that is dropped leaves no gap.

    Raises:
        ValueError: when the shape has not 2 or 3 axes, or `min_size` or `connectivity` is out of range.
        OverflowError: when there are more objects than int32 can number.

    Example:
        >>> label_instances(np.array([[0, 0, 1], [1, 0, 1], [1, 0, 0], [0, 1, 0]]), min_size=2)
        array([[0, 0, 1],
               [2, 0, 1],
               [2, 0, 0],
               [0, 0, 0]], dtype=int32)
    """
    foreground = np.asarray(foreground)
    _check_parameters(foreground.ndim, min_size, connectivity)
    labels, num_objects = ndimage.label(foreground, _neighbours(foreground.ndim, connectivity))
    return _numbers(*_measured(labels, num_objects), min_size, np.int32)[labels]


def watershed_instances(
    probability: np.ndarray, threshold: float = 0.5, seed_threshold: float = 0.8, min_size: int = 0
) -> np.ndarray:
    """Objects that grow from where the probability is high, so that cells which touch at a weak place stay apart.

    Seeds are the parts above `seed_threshold`. They grow over the foreground from the highest probability down, and
    meet where it is lowest between them. Foreground that no seed reaches is background. Neighbours share an edge (a
    face in 3-D). For arrays in memory only: where two objects meet depends on the image far around, so there is no
    form of it that goes block by block and gives the same.

    Args:
        probability: of the foreground, shape (H, W) or (D, H, W); NaN is background.
        threshold: a pixel is foreground above it.
        seed_threshold: a pixel belongs to a seed above it; not below `threshold`.
        min_size: objects of fewer pixels, when grown, are background; of the seeds none is too small.

    Returns:
        int32, same shape, numbered as `label_instances` does.

    Raises:
        ValueError: when the shape has not 2 or 3 axes, `min_size` is negative, or `seed_threshold` below `threshold`.
        OverflowError: when there are more objects than int32 can number.

    Source: scikit-image's `watershed` (Soille and Ansoult, 1990), on the negative probability.

    Example:
        >>> watershed_instances(np.array([[0.9, 0.9, 0.6, 0.7, 0.9, 0.2, 0.6]]))
        array([[1, 1, 1, 2, 2, 0, 0]], dtype=int32)
    """
    probability = np.asarray(probability)
    _check_parameters(probability.ndim, min_size, connectivity=1)
    if not seed_threshold >= threshold:
        raise ValueError(f"seed_threshold is {seed_threshold}, expected {threshold} (the threshold) or more")
    seeds, num_seeds = ndimage.label(probability > seed_threshold)
    # float64 is what watershed computes in; an unsigned type has no negative numbers
    labels = watershed(-probability.astype(np.float64), seeds, mask=probability > threshold)
    return _numbers(*_measured(labels, num_seeds), min_size, np.int32)[labels]


def label_blocks(
    source: SlicedArray,
    target: SlicedArray,
    blocks: int | Sequence[int],
    threshold: float = 0.5,
    min_size: int = 0,
    connectivity: int = 1,
) -> int:
    """Number the objects of an array that need not fit into memory; the labels are those of the whole array.

    `target` becomes equal to `label_instances(source[:] > threshold, min_size, connectivity)`, numbers included,
    whatever the blocks. Blocks are read and labelled one after the other, parts that touch across a border are united,
    and then the final numbers are written, block by block again. Memory is that of some blocks plus a few numbers for
    each part of an object in a block.

    Args:
        source: probability, or foreground of 0 and 1; shape (H, W) or (D, H, W). Read once. NaN is background.
        target: where the labels go, an integer type, same shape. It is written twice and read between: a store that is
            compressed by chunks is fast when `blocks` are its chunks or multiples of them.
        blocks: pixels of a block, one number or one per axis; they need not divide the shape.
        threshold: a pixel is foreground above it, as in `isbi2012_scores`, not where it is equal.
        min_size: objects of fewer pixels, counted over all blocks, are background.
        connectivity: see `label_instances`; it reaches over edges and corners of blocks too.

    Returns:
        The number of objects.

    Raises:
        TypeError: when the type of `target` is not an integer type.
        ValueError: when the shapes differ or have not 2 or 3 axes, or a parameter is out of range.
        OverflowError: when there are more objects than the type of `target` can number, in all or in one block on the
            way; the content of `target` is then of no use.

    Example:
        >>> labels = np.zeros((2, 5), np.uint16)
        >>> label_blocks(np.array([[0.9, 0.2, 0.8, 0.8, 0.7], [0.6, 0.9, 0.1, 0.1, 0.7]]), labels, blocks=2)
        2
        >>> labels
        array([[1, 0, 2, 2, 2],
               [1, 1, 0, 0, 2]], dtype=uint16)
    """
    shape = tuple(source.shape)
    size = (blocks,) * len(shape) if isinstance(blocks, int) else tuple(blocks)
    _check_parameters(len(shape), min_size, connectivity)
    _check_target(target, shape)
    if len(size) != len(shape) or min(size) < 1:
        raise ValueError(f"blocks are {blocks}, expected one number of pixels above 0, or one for each of {shape}")
    neighbours = _neighbours(len(shape), connectivity)

    # In the first pass a part has its number within the block, which fits narrow types, and a block knows how many
    # parts came before it; the sum of the two is the part's place in the tables.
    num_before = np.zeros([-(-length // step) for length, step in zip(shape, size, strict=True)], np.int64)
    num_parts = 0
    sizes, firsts, pairs = [], [], []
    for place, box in _boxes(shape, size):
        labels, num_here = ndimage.label(np.asarray(source[box]) > threshold, neighbours)
        _check_range(num_here, target.dtype, "a smaller block")
        target[box] = labels.astype(target.dtype)
        num_before[place] = num_parts
        pixels, first = _measured(labels, num_here)
        sizes.append(pixels)
        firsts.append(_index_in_whole(first, labels.shape, box, shape))
        for axis in range(len(shape)):
            if box[axis].start > 0:
                pairs.append(_touching(labels, target, box, axis, num_before, size, connectivity))
        num_parts += num_here
    if num_parts == 0:
        return 0
    # csgraph counts in int32
    _check_range(num_parts, np.int32, "a larger block or a higher threshold")

    first_part, second_part = np.concatenate([np.zeros((2, 0), np.int64), *pairs], axis=1) - 1
    touch = sparse.coo_matrix((np.ones(len(first_part)), (first_part, second_part)), shape=(num_parts, num_parts))
    num_objects, owner = sparse.csgraph.connected_components(touch, directed=False)
    object_sizes = np.zeros(num_objects, np.int64)
    object_firsts = np.full(num_objects, np.iinfo(np.int64).max)
    np.add.at(object_sizes, owner, np.concatenate(sizes))
    np.minimum.at(object_firsts, owner, np.concatenate(firsts))
    numbers = _numbers(object_sizes, object_firsts, min_size, target.dtype)

    for (place, box), pixels in zip(_boxes(shape, size), sizes, strict=True):
        if len(pixels):
            parts = slice(num_before[place], num_before[place] + len(pixels))
            numbers_here = np.concatenate([numbers[:1], numbers[1 + owner[parts]]])
            target[box] = numbers_here[np.asarray(target[box])]
    return int(numbers.max())


def _boxes(shape: Sequence[int], size: Sequence[int]) -> Iterator[tuple[tuple[int, ...], Box]]:
    """Blocks with their places in the grid of blocks, the last axis fastest."""
    axes = [
        list(enumerate(slice(start, min(start + step, length)) for start in range(0, length, step)))
        for length, step in zip(shape, size, strict=True)
    ]
    for block in itertools.product(*axes):
        yield tuple(index for index, _ in block), tuple(span for _, span in block)


def _touching(
    labels: np.ndarray,
    target: SlicedArray,
    box: Box,
    axis: int,
    num_before: np.ndarray,
    size: Sequence[int],
    connectivity: int,
) -> np.ndarray:
    """Parts that touch where the block in `box` begins along `axis`: (2, pairs), each pair once, parts from 1 on.

    Two pixels in different blocks are found at the first axis along which their blocks differ. So on the other side one
    pixel more is looked at along the later axes, and none along the earlier ones; all that lies there is labelled.
    """
    other_side = tuple(
        slice(span.start - 1, span.start)
        if index == axis
        else slice(max(span.start - 1, 0), min(span.stop + 1, length))
        if index > axis
        else span
        for index, (span, length) in enumerate(zip(box, target.shape, strict=True))
    )
    theirs = np.asarray(target[other_side]).astype(np.int64)
    blocks = (np.arange(span.start, span.stop) // step for span, step in zip(other_side, size, strict=True))
    theirs[theirs > 0] += num_before[np.ix_(*blocks)][theirs > 0]
    rim = [
        (1 - (inside.start - around.start), 1 - (around.stop - inside.stop))
        for index, (inside, around) in enumerate(zip(box, other_side, strict=True))
        if index != axis
    ]
    theirs = np.pad(theirs.squeeze(axis), rim)  # a rim of one pixel on all sides, background where not looked at

    mine = labels.take(0, axis)
    place = tuple(span.start // step for span, step in zip(box, size, strict=True))
    found = []
    for shift in itertools.product((0, 1, 2), repeat=mine.ndim):
        if sum(step != 1 for step in shift) < connectivity:  # one axis is the step across the border
            beside = theirs[tuple(slice(step, step + length) for step, length in zip(shift, mine.shape, strict=True))]
            both = (mine > 0) & (beside > 0)
            found.append(np.stack([mine[both] + num_before[place], beside[both]]))
    return np.unique(np.concatenate(found, axis=1), axis=1)


def _measured(labels: np.ndarray, num_objects: int) -> tuple[np.ndarray, np.ndarray]:
    """Number of pixels of the objects 1 to `num_objects`, and the index of the first pixel in the flattened array."""
    flat = labels.ravel()
    # by runs of equal pixels, which are far fewer than the pixels
    starts = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    starts = np.concatenate([np.zeros(min(1, flat.size), np.int64), starts])
    owner = flat[starts]
    sizes = np.zeros(num_objects + 1, np.int64)
    firsts = np.full(num_objects + 1, np.iinfo(np.int64).max)
    np.add.at(sizes, owner, np.diff(starts, append=flat.size))
    np.minimum.at(firsts, owner, starts)
    return sizes[1:], firsts[1:]


def _index_in_whole(index: np.ndarray, block_shape: Sequence[int], box: Box, shape: Sequence[int]) -> np.ndarray:
    """Index in the flattened array for one in the flattened block."""
    inside = np.unravel_index(index, block_shape)
    return np.ravel_multi_index([axis + span.start for axis, span in zip(inside, box, strict=True)], tuple(shape))


def _numbers(sizes: np.ndarray, firsts: np.ndarray, min_size: int, dtype: DtypeLike) -> np.ndarray:
    """Final number of background (at 0) and of each object: 0 for small ones, the others by their first pixels."""
    order = np.argsort(firsts)
    kept = order[sizes[order] >= min_size]
    _check_range(len(kept), dtype, "a larger min_size")
    numbers = np.zeros(len(sizes) + 1, dtype)
    numbers[kept + 1] = np.arange(1, len(kept) + 1)
    return numbers


def _neighbours(ndim: int, connectivity: int) -> np.ndarray:
    return ndimage.generate_binary_structure(ndim, connectivity)


def _check_parameters(ndim: int, min_size: int, connectivity: int) -> None:
    if ndim not in (2, 3):
        raise ValueError(f"an array of {ndim} axes: expected (H, W) or (D, H, W), without a channel")
    if min_size < 0:
        raise ValueError(f"min_size is {min_size}, expected a number of pixels, 0 or more")
    if not 1 <= connectivity <= ndim:
        raise ValueError(f"connectivity is {connectivity}, expected 1 to {ndim} in an image of {ndim} axes")


def _check_target(target: SlicedArray, shape: tuple[int, ...]) -> None:
    if tuple(target.shape) != shape:
        raise ValueError(f"target has the shape {tuple(target.shape)}, expected that of the source, {shape}")
    if np.dtype(target.dtype).kind not in "ui":
        raise TypeError(f"target is {target.dtype}, expected an integer type with one number per object, such as int32")


def _check_range(num_objects: int, dtype: DtypeLike, remedy: str) -> None:
    last = np.iinfo(np.dtype(dtype)).max
    if num_objects > last:
        raise OverflowError(
            f"{num_objects} objects do not fit {np.dtype(dtype)}, which ends at {last}; a wider type for the labels "
            f"or {remedy} would do"
        )
