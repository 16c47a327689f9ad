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
from skimage.morphology import h_maxima, local_maxima
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

_SMOOTHING = 1.5  # pixels; the standard deviation of the Gaussian before peaks are looked for


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
    inside: np.ndarray,
    foreground: np.ndarray | None = None,
    threshold: float = 0.5,
    seed_depth: float = 0.1,
    min_size: int = 0,
) -> np.ndarray:
    """Objects that grow from the peaks of a distance, so that cells which touch stay apart.

    Seeds are the peaks of `inside` that rise by `seed_depth` or more above the highest way to a higher one, in each
    connected part of the foreground, after a Gaussian of 1.5 pixels against the noise of single pixels; a part without
    two of them is one object. They grow over their part from the highest `inside` down, and meet where it is lowest
    between them. Then holes are filled: pixels that an object encloses and that are not foreground; of nested objects
    the inner one fills its own. Neighbours share an edge (a face in 3-D).

    What becomes of a part of the foreground depends on that part alone, so `watershed_blocks` gives the same.

    Args:
        inside: how far inside its object a pixel lies, highest in the middle of each object, shape (H, W) or (D, H, W).
        foreground: probability of lying in an object at all, same shape; `inside` when left out. NaN is background.
        threshold: a pixel is foreground above it.
        seed_depth: how far `inside` falls between two peaks that are two objects, in its unit.
        min_size: objects of fewer pixels, when grown and filled, are background.

    Returns:
        int32, same shape, numbered as `label_instances` does.

    Raises:
        ValueError: when the shape has not 2 or 3 axes, the shapes differ, or `min_size` is negative.
        OverflowError: when there are more objects than int32 can number.

    Source: scikit-image's `h_maxima` and `watershed` (Soille, Morphological Image Analysis, 2003).

    Example:
        >>> inside = np.array([[0.3, 0.6, 0.9, 0.9, 0.6, 0.3, 0.3, 0.6, 0.9, 0.9, 0.6, 0.3]])
        >>> watershed_instances(inside, foreground=np.ones((1, 12)))
        array([[1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2]], dtype=int32)
    """
    inside = np.asarray(inside)
    foreground = inside if foreground is None else np.asarray(foreground)
    _check_parameters(inside.ndim, min_size, connectivity=1)
    if inside.shape != foreground.shape:
        raise ValueError(f"inside has the shape {inside.shape} and foreground {foreground.shape}: expected the same")
    mask = foreground > threshold
    parts, _ = ndimage.label(mask)
    grown = np.zeros(inside.shape, np.int32)
    count = 0
    for number, box in enumerate(ndimage.find_objects(parts), start=1):
        if inside[box].size < min_size:  # too small, even with its holes filled
            continue
        count = _grow(inside[box], mask[box], parts[box] == number, seed_depth, grown[box], count)
    sizes, firsts = _measured(grown, count)
    return _numbers(sizes, firsts, min_size, np.int32)[grown]


def watershed_blocks(
    inside: SlicedArray,
    foreground: SlicedArray,
    parts: SlicedArray,
    target: SlicedArray,
    blocks: int | Sequence[int],
    threshold: float = 0.5,
    seed_depth: float = 0.1,
    min_size: int = 0,
    largest: int = 1 << 28,
) -> int:
    """`watershed_instances` of arrays that need not fit into memory; the labels are those of the whole arrays.

    The parts of the foreground are numbered block by block, as `label_blocks` does, and then grown one after the other,
    each in its bounding box; those that begin in one block are read together where the memory allows it.

    Args:
        inside: see `watershed_instances`.
        foreground: see there.
        parts: for the numbers of the parts on the way, an integer type, same shape.
        target: where the labels go, the same.
        blocks: pixels of a block, see `label_blocks`.
        threshold: see `watershed_instances`.
        seed_depth: see there.
        min_size: see there.
        largest: pixels that the bounding box of a part may have; some 20 bytes each are needed.

    Returns:
        The number of objects.

    Raises:
        ValueError: as `label_blocks`, and when a part's bounding box is larger than allowed: a higher `threshold`
            divides it, or more memory holds it.
        OverflowError: as `label_blocks`.
    """
    shape = tuple(target.shape)
    num_parts = label_blocks(foreground, parts, blocks, threshold)
    size = (blocks,) * len(shape) if isinstance(blocks, int) else tuple(blocks)
    for _, box in boxes(shape, size):
        target[box] = np.zeros([part.stop - part.start for part in box], target.dtype)
    starts, stops = (
        np.full((num_parts + 1, len(shape)), np.iinfo(np.int64).max),
        np.zeros((num_parts + 1, len(shape)), int),
    )
    for _, box in boxes(shape, size):
        here = np.asarray(parts[box])
        corner = np.array([part.start for part in box])
        for number, found in enumerate(ndimage.find_objects(here), start=1):
            if found is not None:
                starts[number] = np.minimum(starts[number], corner + [part.start for part in found])
                stops[number] = np.maximum(stops[number], corner + [part.stop for part in found])
    count = 0
    for numbers in _by_block(starts, size):
        numbers = numbers[(stops[numbers] - starts[numbers]).prod(1) >= min_size]
        for low, high, together in _windows(starts, stops, numbers, largest):
            window = tuple(slice(int(start), int(stop)) for start, stop in zip(low, high, strict=True))
            there, near = np.asarray(parts[window]), np.asarray(inside[window])
            grown = np.asarray(target[window]).astype(np.int64)
            for number in together:
                where = tuple(
                    slice(int(start), int(stop))
                    for start, stop in zip(starts[number] - low, stops[number] - low, strict=True)
                )
                part = there[where]
                count = _grow(near[where], part > 0, part == number, seed_depth, grown[where], count)
            _check_range(count, target.dtype, "a higher seed_depth")
            target[window] = grown.astype(target.dtype)
    sizes, firsts = np.zeros(count, np.int64), np.full(count, np.iinfo(np.int64).max)
    for _, box in boxes(shape, size):
        here = np.asarray(target[box])
        pixels, first = _measured(here, count)
        present = pixels > 0
        sizes += pixels
        firsts[present] = np.minimum(firsts[present], _index_in_whole(first[present], here.shape, box, shape))
    numbers = _numbers(sizes, firsts, min_size, target.dtype)
    for _, box in boxes(shape, size):
        target[box] = numbers[np.asarray(target[box])]
    return int(numbers.max())


def _by_block(starts: np.ndarray, size: Sequence[int]) -> Iterator[np.ndarray]:
    """The parts that begin in each block, in ascending order; `starts` has a row for each part, from part 1 on.

    A part that another one encloses comes after it, as in the order of the numbers.
    """
    if len(starts) < 2:
        return
    blocks = starts[1:] // np.array(size)
    order = np.lexsort((np.arange(len(blocks)), *blocks.T[::-1]))
    changes = np.flatnonzero((np.diff(blocks[order], axis=0) != 0).any(1)) + 1
    yield from np.split(order + 1, changes)


def _windows(
    starts: np.ndarray, stops: np.ndarray, numbers: np.ndarray, largest: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """First and last corner of what is read at once, and the parts in it: all of them, or one by one.

    Raises:
        ValueError: when a part is larger than `largest` pixels.
    """
    if not len(numbers):
        return
    low, high = starts[numbers].min(0), stops[numbers].max(0)
    if np.prod(high - low) <= largest // 2:  # what a part takes to grow comes on top
        yield low, high, numbers
        return
    for number in numbers:
        extent = stops[number] - starts[number]
        if np.prod(extent) > largest:
            raise ValueError(
                f"a connected part of the foreground spans {' x '.join(map(str, extent))} pixels, more than the memory "
                "allows: give a higher threshold, which divides it, or more memory"
            )
        yield starts[number], stops[number], np.array([number])


def _grow(
    inside: np.ndarray,
    mask: np.ndarray,
    part: np.ndarray,
    seed_depth: float,
    grown: np.ndarray,
    count: int,
) -> int:
    """Write the objects of one part of the foreground into `grown`, numbered from `count` + 1 on; their last number.

    All arrays are of the part's bounding box; `mask` is the whole foreground in it.
    """
    # float64 is what watershed computes in; an unsigned type has no negative numbers
    height = np.where(part, inside, 0).astype(np.float64)
    near = ndimage.gaussian_filter(part.astype(np.float64), _SMOOTHING, mode="constant")
    smooth = ndimage.gaussian_filter(height, _SMOOTHING, mode="constant")
    smooth = np.divide(smooth, near, out=np.zeros_like(near), where=part)
    peaks = h_maxima(smooth, seed_depth) if seed_depth else local_maxima(smooth)
    seeds, num_seeds = ndimage.label((peaks > 0) & part)
    if num_seeds == 0:  # too flat for a peak of this depth
        seeds = part.astype(np.int32)
    labels = watershed(-height, seeds, mask=part)
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        count += 1
        own = labels[box] == number
        grown[box][own | (ndimage.binary_fill_holes(own) & ~mask[box])] = count
    return count


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
    for place, box in boxes(shape, size):
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

    for (place, box), pixels in zip(boxes(shape, size), sizes, strict=True):
        if len(pixels):
            parts = slice(num_before[place], num_before[place] + len(pixels))
            numbers_here = np.concatenate([numbers[:1], numbers[1 + owner[parts]]])
            target[box] = numbers_here[np.asarray(target[box])]
    return int(numbers.max())


def boxes(shape: Sequence[int], size: Sequence[int]) -> Iterator[tuple[tuple[int, ...], Box]]:
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
