"""SEG, the Cell Tracking Challenge's score of a segmentation into objects; plain function, metric, Ignite handler.

`docs/metrics.md` has the definition, what it leaves open, and the agreement with `py-ctcmetrics`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from monai.handlers import IgniteMetricHandler

from monai_unet.metrics.frames import sections
from monai_unet.metrics.overlaps import overlaps
from monai_unet.metrics.section_metric import SectionMetric


@dataclass(frozen=True)
class SegScores:
    """SEG of a stack; no unit, 1 is best.

    Args:
        seg: mean Jaccard index over all cells of all sections; 1 when there is no cell.
        per_section: SEG of each section alone; 1 where a section has no cell.
        jaccard: for each section the Jaccard index of its cells by their ids, 0 where no object matches.
    """

    seg: float
    per_section: tuple[float, ...]
    jaccard: tuple[Mapping[int, float], ...]

    @property
    def num_cells(self) -> int:
        """Number of cells in the labels, over all sections."""
        return sum(len(of_section) for of_section in self.jaccard)

    @property
    def num_matched(self) -> int:
        """Number of those that an object matches."""
        return sum(value > 0 for of_section in self.jaccard for value in of_section.values())


def seg_score(labels: np.ndarray | str | os.PathLike[str], proposal: np.ndarray | str | os.PathLike[str]) -> SegScores:
    """Score proposed objects against true cells.

    An object matches a cell when it covers *more than* half of its pixels. The cell then has their Jaccard index,
    intersection by union, and 0 without a match; SEG is the mean over the cells. At most one object matches a cell; one
    that covers several cells may match them all. Objects that match no cell cost nothing, and so cells that are not
    annotated cost nothing either.

    A stack is taken section by section, as the challenge takes the frames of a film (2-D + t): the same id in two
    sections is two cells. Objects are not followed through volumes.

    Args:
        labels: one integer per cell, 0 (or less) outside; shape (H, W) or (D, H, W), sections first; the path of a TIFF
            stack; or a folder of the challenge's `man_segNNN.tif`. A cell is its id, in one piece or not.
        proposal: one integer per object, 0 (or less) in none; same shape, the path of a TIFF stack, or a folder of the
            challenge's `maskNNN.tif`, of which those without labels are left out.

    Returns:
        The scores. No cells, no error: a section without cells adds nothing to the mean, and when there is no cell at
        all SEG is 1, whatever is proposed, as with the other scores here (py-ctcmetrics says 0).

    Raises:
        TypeError: when labels or proposal are not of an integer type.
        ValueError: when shapes differ or are neither (H, W) nor (D, H, W), an id is above 2**31 - 1, or only one of the
            two is a folder.
        FileNotFoundError: when a file is missing, or the proposal for a frame that has labels.

    Source: Maška et al. (2014), doi:10.1093/bioinformatics/btu080; Ulman et al. (2017), doi:10.1038/nmeth.4473.

    Example:
        >>> scores = seg_score(np.array([[1, 1, 1, 0, 2, 2]]), np.array([[0, 7, 7, 7, 8, 0]]))
        >>> scores.seg, scores.jaccard
        (0.25, ({1: 0.5, 2: 0.0},))
    """
    return seg_of_sections(section for _, *section in sections(labels, proposal))


def seg_of_sections(pairs: Iterable[tuple[np.ndarray, np.ndarray] | list[np.ndarray]]) -> SegScores:
    """The scores of labels and proposals, (H, W) each, one pair a section; see `seg_score`."""
    jaccard = [_jaccard(*pair) for pair in pairs]
    rows = np.array([_row(values) for _, values in jaccard], np.float64).reshape(-1, 2)
    return SegScores(
        seg=_seg(rows),
        per_section=tuple(_seg(row[None]) for row in rows),
        jaccard=tuple(dict(zip(cells.tolist(), values.tolist(), strict=True)) for cells, values in jaccard),
    )


class SegMetric(SectionMetric):
    """SEG, accumulated over batches of sections; equal to `seg_score` on their stack.

    Proposed objects and true cells of shape (B, 1, H, W), integers, 0 (or less) in none, or lists of both without B.
    The buffer holds the sum of the Jaccard indices and the number of cells of each section, so that the score is the
    mean over all cells however they are spread over batches.

    Example:
        >>> metric = SegMetric()
        >>> _ = metric(torch.tensor([[[[7, 7, 0, 8]]]]), torch.tensor([[[[1, 1, 0, 2]]]]))
        >>> _ = metric(torch.tensor([[[[0, 7, 0, 8]]]]), torch.tensor([[[[1, 1, 0, 0]]]]))
        >>> round(metric.aggregate().item(), 3)
        0.667
    """

    def section_row(self, labels: np.ndarray, proposal: np.ndarray) -> tuple[float, ...]:
        """Sum of the cells' Jaccard indices, and their number."""
        return _row(_jaccard(labels, proposal)[1])

    def score_of(self, rows: np.ndarray) -> float:
        """Mean over all cells; 1 when there is none."""
        return _seg(rows)


class SegScoreHandler(IgniteMetricHandler):
    """SEG for an Ignite engine, such as MONAI's `SupervisedEvaluator`.

    Args:
        output_transform: takes `engine.state.output` to proposed objects and true cells, such as
            `monai.handlers.from_engine(["instances", "cells"])`.
        save_details: whether `engine.state.metric_details` gets the sum of Jaccard indices and the number of cells of
            every section.

    Example:
        >>> type(SegScoreHandler().metric_fn).__name__
        'SegMetric'
    """

    def __init__(self, output_transform: Callable = lambda x: x, save_details: bool = True) -> None:
        super().__init__(metric_fn=SegMetric(), output_transform=output_transform, save_details=save_details)


def _jaccard(labels: np.ndarray, proposal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ids of the cells of a section, and the Jaccard index of each with the object that matches it."""
    found = overlaps(labels, proposal)
    matches = found.matches
    cell, other, shared = found.pair_cells[matches], found.pair_objects[matches], found.pair_pixels[matches]
    values = np.zeros(len(found.cells))
    values[cell] = shared / (found.cell_sizes[cell] + found.object_sizes[other] - shared)
    return found.cells, values


def _row(jaccard: np.ndarray) -> tuple[float, float]:
    return float(jaccard.sum()), len(jaccard)


def _seg(rows: np.ndarray) -> float:
    """Mean Jaccard index from the sums and numbers of sections; 1 for no cell."""
    total, num_cells = rows.sum(0)
    return float(total / num_cells) if num_cells else 1.0
