"""Which cells of a section are found, split, merged or missed: what one wants to see of a segmentation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from monai_unet.metrics.overlaps import overlaps

HIT, SPLIT, MERGED, MISSED = 1, 2, 3, 4
"""The codes of `SplitMerge.code`; 0 is background."""


@dataclass(frozen=True, eq=False)
class SplitMerge:
    """The cells of a section by what became of them; arrays of ids, ascending.

    A cell may be both split and in a merger. Hits and missed cells are nothing else, and every cell is something.

    Args:
        hits: cells of which one object holds more than half, neither split nor in a merger.
        splits: cells of which two or more objects hold a share each.
        mergers: cells that lie in a merger, an object that holds a share of two or more cells.
        missed: the others: cells of which no object holds more than half, neither split nor in a merger.
        merging_objects: the mergers themselves, ids in the proposal.
        extra_objects: objects of which cells hold less than half, ids in the proposal.
        labels: the cells as given, (H, W).
    """

    hits: np.ndarray
    splits: np.ndarray
    mergers: np.ndarray
    missed: np.ndarray
    merging_objects: np.ndarray
    extra_objects: np.ndarray
    labels: np.ndarray

    @cached_property
    def code(self) -> np.ndarray:
        """What became of the cell at each pixel: `HIT`, `SPLIT`, `MERGED`, `MISSED`, or 0 outside; uint8, (H, W).

        A cell that is both split and in a merger is `MERGED`.
        """
        code = np.zeros(self.labels.shape, np.uint8)
        for value, ids in ((HIT, self.hits), (SPLIT, self.splits), (MERGED, self.mergers), (MISSED, self.missed)):
            code[np.isin(self.labels, ids)] = value
        return code


def split_merge(labels: np.ndarray, proposal: np.ndarray, share: float = 0.1) -> SplitMerge:
    """Find the cells of a section that are split, merged or missed.

    Args:
        labels: one integer per cell, 0 or less outside; shape (H, W). Cells are ids, connected or not.
        proposal: one integer per object, 0 or less in none; same shape.
        share: of a cell's pixels, that an object must cover at least to hold a share of the cell; above 0, at most 0.5.
            So a boundary that is off by a pixel makes neither a split nor a merger.

    Returns:
        The cells by what became of them.

    Raises:
        TypeError: when an image is not of an integer type.
        ValueError: when the shapes differ or are not (H, W), an id is above 2**31 - 1, or `share` is out of range.

    Source: none; "more than half" is the Cell Tracking Challenge's rule, see `seg_score`.

    Example:
        >>> cells = split_merge(np.array([[1, 1, 0, 2, 2, 3, 3, 4, 8]]), np.array([[5, 5, 5, 5, 5, 6, 7, 0, 9]]))
        >>> cells.mergers, cells.splits, cells.missed, cells.hits
        (array([1, 2]), array([3]), array([4]), array([8]))
        >>> cells.code
        array([[3, 3, 0, 3, 3, 2, 2, 4, 1]], dtype=uint8)
    """
    if not 0 < share <= 0.5:
        raise ValueError(f"share is {share}, expected above 0 and at most 0.5 of a cell")
    found = overlaps(labels, proposal)
    num_cells, num_objects = len(found.cells), len(found.objects)
    held = found.covered >= share
    is_split = np.bincount(found.pair_cells[held], minlength=num_cells) >= 2
    is_merging = np.bincount(found.pair_objects[held], minlength=num_objects) >= 2
    is_merged, is_matched = np.zeros((2, num_cells), bool)
    is_merged[found.pair_cells[held & is_merging[found.pair_objects]]] = True
    is_matched[found.pair_cells[found.matches]] = True
    is_whole = ~is_split & ~is_merged
    in_cells = np.bincount(found.pair_objects, found.pair_pixels, minlength=num_objects)
    return SplitMerge(
        hits=found.cells[is_whole & is_matched],
        splits=found.cells[is_split],
        mergers=found.cells[is_merged],
        missed=found.cells[is_whole & ~is_matched],
        merging_objects=found.objects[is_merging],
        extra_objects=found.objects[2 * in_cells < found.object_sizes],
        labels=np.asarray(labels),
    )
