"""Which objects of two label images lie over each other, and on how many pixels; every comparison starts from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_LAST_ID = 2**31 - 1  # two ids of 31 bits make one number of 62


@dataclass(frozen=True, eq=False)
class Overlaps:
    """The cells of a section, the objects proposed for them, and the pairs that share pixels; arrays of integers.

    Args:
        cells: ids of the cells, ascending.
        cell_sizes: their pixels.
        objects: ids of the proposed objects, ascending.
        object_sizes: their pixels, outside cells too.
        pair_cells: for each pair that shares a pixel, the place of its cell in `cells`; ascending.
        pair_objects: the place of its object in `objects`.
        pair_pixels: the pixels that the two share.
    """

    cells: np.ndarray
    cell_sizes: np.ndarray
    objects: np.ndarray
    object_sizes: np.ndarray
    pair_cells: np.ndarray
    pair_objects: np.ndarray
    pair_pixels: np.ndarray

    @property
    def covered(self) -> np.ndarray:
        """For each pair the share of its cell that the object covers; float64."""
        return self.pair_pixels / self.cell_sizes[self.pair_cells]

    @property
    def matches(self) -> np.ndarray:
        """Whether the object of a pair covers more than half of its cell; bool. At most one pair of a cell does."""
        return 2 * self.pair_pixels > self.cell_sizes[self.pair_cells]


def overlaps(labels: np.ndarray, proposal: np.ndarray) -> Overlaps:
    """Find the objects over each cell.

    Args:
        labels: one integer per cell, 0 or less outside; shape (H, W). Cells are ids, connected or not.
        proposal: one integer per object, 0 or less in none; same shape.

    Returns:
        The pairs, and the sizes of cells and objects.

    Raises:
        TypeError: when an image is not of an integer type.
        ValueError: when the shapes differ or are not (H, W), or an id is above 2**31 - 1.

    Example:
        >>> found = overlaps(np.array([[7, 7, 7, 0, 9]]), np.array([[0, 4, 4, 4, 0]]))
        >>> found.cells, found.objects, found.pair_pixels, found.matches
        (array([7, 9]), array([4]), array([2]), array([ True]))
    """
    labels, proposal = checked_ids("labels", labels), checked_ids("proposal", proposal)
    if labels.ndim != 2 or labels.shape != proposal.shape:
        raise ValueError(
            f"labels of shape {labels.shape} and a proposal of shape {proposal.shape}: "
            "one section each is expected, (H, W), of the same shape"
        )
    cell, other, pixels = joint_counts(labels.clip(0), proposal.clip(0))
    cells, cell_places, cell_sizes = sums_by_id(cell, pixels)
    objects, object_places, object_sizes = sums_by_id(other, pixels)
    both = (cell > 0) & (other > 0)
    return Overlaps(cells, cell_sizes, objects, object_sizes, cell_places[both], object_places[both], pixels[both])


def joint_counts(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How many pixels have this id in the one image and that id in the other.

    Args:
        first: integers from 0 to 2**31 - 1, any shape; 0 is an id like any other.
        second: the same, same shape.

    Returns:
        Ids of `first`, ids of `second` and numbers of pixels; int64, an entry for each pair that occurs, ascending.

    Example:
        >>> joint_counts(np.array([[3, 3, 3, 0]]), np.array([[5, 5, 0, 5]]))
        (array([0, 3, 3]), array([5, 0, 5]), array([1, 1, 2]))
    """
    width = int(second.max(initial=0)) + 1
    pairs = first.ravel().astype(np.int64) * width + second.ravel().astype(np.int64)
    # by runs of equal pixels, which are far fewer than the pixels
    starts = np.flatnonzero(np.diff(pairs, prepend=-1))
    found, place = np.unique(pairs[starts], return_inverse=True)
    pixels = np.zeros(len(found), np.int64)
    np.add.at(pixels, place, np.diff(starts, append=pairs.size))
    return found // width, found % width, pixels


def sums_by_id(ids: np.ndarray, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The ids above 0, the place of each entry's id among them (-1 for 0), and the pixels of each id; all integers.

    Example:
        >>> sums_by_id(np.array([5, 0, 3, 5]), np.array([1, 20, 300, 4000]))
        (array([3, 5]), array([ 1, -1,  0,  1]), array([ 300, 4001]))
    """
    found = np.unique(ids)
    found = found[found > 0]
    places = np.where(ids > 0, np.searchsorted(found, ids), -1)
    sums = np.zeros(len(found), np.int64)
    np.add.at(sums, places[ids > 0], pixels[ids > 0])
    return found, places, sums


def checked_ids(name: str, ids: np.ndarray) -> np.ndarray:
    """The array, when it may hold ids of objects; errors as `overlaps` has them, with `name` in them."""
    ids = np.asarray(ids)
    if ids.dtype.kind not in "ui":
        raise TypeError(
            f"{name} of type {ids.dtype}: one integer per object is expected; number the parts of a mask or of "
            "probabilities above a threshold by `monai_unet.transforms.instances.label_instances`"
        )
    if ids.max(initial=0) > _LAST_ID:
        raise ValueError(f"{name} with the id {ids.max()}: up to {_LAST_ID} is expected; renumber the objects")
    return ids
