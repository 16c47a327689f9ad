"""Warp one segmentation towards another without changing its topology; what then differs splits or merges cells.

A pixel is *simple* when flipping it changes the number of neither objects nor holes; objects are 4-connected here and
their background 8-connected. Which pixels are simple depends on their eight neighbours only, so it is looked up in a
table of 256 entries.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from scipy import ndimage

_RING = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))  # neighbours, clockwise
_BY_EDGE = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]])
_BY_EDGE_OR_CORNER = np.ones((3, 3), int)


def warped_labels(labels: np.ndarray, target: np.ndarray, certainty: np.ndarray) -> np.ndarray:
    """Labels moved towards a target by flipping simple points only.

    Pixels that differ are visited in descending order of `certainty` and flipped where that is simple at the time, in
    passes over what still differs until a pass flips none. Beyond the image there is background.

    Args:
        labels: bool, shape (H, W).
        target: bool, same shape.
        certainty: float, same shape; larger is visited earlier. Ties are visited column by column, which the
            definition leaves open: `docs/metrics.md` says how much hangs on it.

    Returns:
        bool, same shape: as many objects and holes as `labels`.

    Raises:
        ImportError: when numba is missing.

    Source: Jain et al. (2010), Boundary learning by optimization with topological constraints, CVPR.

    Example:
        >>> thick, thin = np.array([[1, 1, 1]], bool), np.array([[1, 0, 0]], bool)
        >>> warped_labels(thick, thin, np.ones((1, 3))).astype(int)
        array([[1, 0, 0]])
    """
    warped, wanted, height = _edged_columns(labels), _edged_columns(target), labels.shape[0]
    differing = np.flatnonzero(warped != wanted)
    order = np.argsort(-_edged_columns(certainty)[differing], kind="stable")
    _compiled_flips()(warped, differing[order], _offsets(height + 2), simple_points())
    return warped.reshape(-1, height + 2)[1:-1, 1:-1].T


def num_splits_and_mergers(warped: np.ndarray, target: np.ndarray) -> tuple[int, int]:
    """How many of the differing pixels would, flipped one at a time, cut a component in two or join different ones.

    Args:
        warped: bool, shape (H, W), as `warped_labels` gives it.
        target: bool, same shape.

    Returns:
        Number of pixels that split and number of pixels that merge; lone pixels, holes, and bridges from a component
        to itself are neither.
    """
    height = warped.shape[0]
    flat = _edged_columns(warped)
    differing = np.flatnonzero(flat != _edged_columns(target))
    around = differing[:, None] + _offsets(height + 2)
    objects = ndimage.label(flat.reshape(-1, height + 2), _BY_EDGE)[0].reshape(-1)
    gaps = ndimage.label(~flat.reshape(-1, height + 2), _BY_EDGE_OR_CORNER)[0].reshape(-1)

    mergers = ~flat[differing] & (_num_distinct(objects[around[:, 1::2]]) > 1)  # odd places of the ring share an edge
    # Taking a pixel away adds (arcs of object around it - 1) to the number of objects minus holes, whatever the rest
    # looks like, and makes one gap of all that it touches; so arcs - gaps objects are new.
    arcs = _num_arcs()[flat[around] @ (1 << np.arange(8))]
    splits = flat[differing] & (arcs > np.maximum(_num_distinct(gaps[around]), 1))
    return int(splits.sum()), int(mergers.sum())


@cache
def simple_points() -> np.ndarray:
    """Whether a pixel may be flipped, by the bits of its neighbours clockwise from the top left; bool, (256,)."""
    has_gap = np.arange(256) != 255  # a pixel with no background around it would become a hole
    table = (_num_arcs() == 1) & has_gap
    table.flags.writeable = False
    return table


@cache
def _num_arcs() -> np.ndarray:
    """Number of 4-connected components among the eight neighbours that share an edge with the pixel; int, (256,)."""
    arcs = np.zeros(256, int)
    for bits in range(256):
        ring = np.zeros((3, 3), int)
        for place, (row, column) in enumerate(_RING):
            ring[1 + row, 1 + column] = bits >> place & 1
        components = ndimage.label(ring, _BY_EDGE)[0]
        arcs[bits] = len(set(components[_BY_EDGE == 1]) - {0})
    arcs.flags.writeable = False
    return arcs


def _num_distinct(ids: np.ndarray) -> np.ndarray:
    """Number of different ids above 0 in each row."""
    ids = np.sort(ids, axis=1)
    return (np.diff(ids, axis=1, prepend=0) != 0).sum(1)


def _edged_columns(image: np.ndarray) -> np.ndarray:
    """The image with an edge of zeros, one pixel wide, flattened column by column."""
    columns = np.zeros((image.shape[1] + 2, image.shape[0] + 2), image.dtype)
    columns[1:-1, 1:-1] = image.T
    return columns.reshape(-1)


def _offsets(width: int) -> np.ndarray:
    """Steps to the eight neighbours in a flattened image with `width` pixels a line."""
    return np.array([row * width + column for row, column in _RING])


def _flip_simple_points(flat: np.ndarray, differing: np.ndarray, offsets: np.ndarray, simple: np.ndarray) -> None:
    """Flip in place, in the order given, until a pass flips none; plain Python that numba compiles."""
    remaining = differing.copy()
    num_remaining = remaining.size
    while True:
        num_kept = 0
        for i in range(num_remaining):
            bits = 0
            for place in range(8):
                bits |= int(flat[remaining[i] + offsets[place]]) << place
            if simple[bits]:
                flat[remaining[i]] = not flat[remaining[i]]
            else:
                remaining[num_kept] = remaining[i]
                num_kept += 1
        if num_kept == num_remaining:
            return
        num_remaining = num_kept


@cache
def _compiled_flips() -> Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], None]:
    try:
        import numba  # only the warping error needs it: training must run without
    except ImportError as error:
        raise ImportError(
            "the warping error needs numba, which is not installed: `pip install numba`, "
            "or leave the warping error out (`warping=False`)"
        ) from error
    return numba.njit(cache=True)(_flip_simple_points)
