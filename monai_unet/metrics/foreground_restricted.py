"""Compare segments with cells on the pixels inside cells: pair counts, and membranes thinned to lines beforehand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.segmentation import watershed

from monai_unet.metrics.overlaps import joint_counts, sums_by_id


@dataclass(frozen=True)
class PairCounts:
    """Numbers of pixels inside cells, by cell and by segment; arrays of integers, one entry each that is not empty.

    Args:
        in_pairs: pixels that a cell and a segment share.
        in_cells: pixels of a cell.
        in_segments: pixels of a segment, as far as they are inside cells.
        num_singletons: pixels inside cells that lie in no segment; each counts as a segment of its own.
    """

    in_pairs: np.ndarray
    in_cells: np.ndarray
    in_segments: np.ndarray
    num_singletons: int

    def rand_sums(self) -> tuple[float, float, float]:
        """Pairs of pixels together in both, in the cells, and in the segments; pixels**2, in either order, with self.

        Precision is the first by the third (it falls with mergers), recall the first by the second (with splits).
        """
        together, in_cells, in_segments = (
            float(np.square(counts, dtype=float).sum()) for counts in (self.in_pairs, self.in_cells, self.in_segments)
        )
        return together + self.num_singletons, in_cells, in_segments + self.num_singletons

    def information(self) -> tuple[float, float, float]:
        """Mutual information of cells and segments, entropy of the cells, entropy of the segments; nats.

        Precision is the first by the second, recall the first by the third; all three are 0 where no pixel counts.
        """
        num_pixels = int(self.in_cells.sum())
        both, cells, segments = (
            _entropy(counts, self.num_singletons * of_one, num_pixels)
            for counts, of_one in ((self.in_pairs, 1), (self.in_cells, 0), (self.in_segments, 1))
        )
        return max(cells + segments - both, 0.0), cells, segments  # rounding can leave -1e-16


def pair_counts(cells: np.ndarray, segments: np.ndarray) -> PairCounts:
    """Count the pixels that each cell shares with each segment.

    Args:
        cells: one integer per cell, 0 outside, where pixels do not count; shape (H, W).
        segments: one integer a segment, 0 in none; same shape.

    Returns:
        The counts; scikit-image's `adapted_rand_error` is of no use here, as it returns precision and recall swapped
        (scikit-image#6485).

    Source: Arganda-Carreras et al. (2015), doi:10.3389/fnana.2015.00142, the foreground-restricted scores.

    Example:
        >>> pair_counts(np.array([[1, 1, 1, 0, 2]]), np.array([[1, 1, 0, 1, 1]])).rand_sums()
        (6.0, 10.0, 10.0)
    """
    counted = cells > 0
    cell, segment, pixels = joint_counts(cells[counted], segments[counted])
    in_a_segment = segment > 0
    return PairCounts(
        in_pairs=pixels[in_a_segment],
        in_cells=sums_by_id(cell, pixels)[2],
        in_segments=sums_by_id(segment, pixels)[2],
        num_singletons=int(pixels[~in_a_segment].sum()),
    )


def components(foreground: np.ndarray) -> np.ndarray:
    """4-connected components of a section; bool (H, W) in, integers from 1 out, 0 outside."""
    return ndimage.label(foreground)[0]


def thinned(foreground: np.ndarray) -> np.ndarray:
    """Segments grown until only lines one pixel wide are left between them.

    The foreground's 4-connected components are flooded outwards, 4-connected, a pixel at a time; a pixel that meets
    two segments is line, and one more may be where lines meet. They start column by column, which decides ties on the
    way only: the definition leaves them open, and `docs/metrics.md` says how much hangs on it.

    Args:
        foreground: bool, shape (H, W).

    Returns:
        Integers, same shape: one from 1 on for each segment, 0 on lines; all 0 when there is no foreground.

    Source: Arganda-Carreras et al. (2015), doi:10.3389/fnana.2015.00142, border thinning.

    Example:
        >>> thinned(np.array([[1, 0, 0, 0, 0, 1]], bool))
        array([[1, 1, 1, 0, 2, 2]], dtype=int32)
    """
    segments = components(foreground)
    inner = ndimage.binary_erosion(foreground, border_value=1)  # floods nothing; leaving it out saves half the time
    flooded = watershed(
        np.where(foreground, -1, _order_of_the_start(foreground)),
        np.where(inner, 0, segments),
        connectivity=1,
        mask=~inner,
        watershed_line=True,
    )
    return np.where(inner, segments, flooded)


def _order_of_the_start(foreground: np.ndarray) -> np.ndarray:
    """Rank of the background at the foreground by the first pixel that floods it, then by its own; higher elsewhere.

    With equal values all around, the order would be that of scikit-image's heap, which differs between its versions.
    """
    height, width = foreground.shape
    column_by_column = np.arange(foreground.size, dtype=float).reshape(width, height).T
    outside = foreground.size
    first = ndimage.minimum_filter(np.where(foreground, column_by_column, outside), footprint=_CROSS, mode="nearest")
    return np.where(first < outside, first * foreground.size + column_by_column, outside * foreground.size)


_CROSS = ndimage.generate_binary_structure(2, 1)


def _entropy(counts: np.ndarray, num_singletons: int, num_pixels: int) -> float:
    """Entropy of parts of `counts` pixels and `num_singletons` parts of one pixel; nats, 0 for no pixel at all."""
    if num_pixels == 0:
        return 0.0
    shares = counts / num_pixels
    return float(num_singletons / num_pixels * np.log(num_pixels) - (shares * np.log(shares)).sum())
