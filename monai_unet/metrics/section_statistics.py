"""What each score of the ISBI 2012 challenge is made of: a few numbers for a section at a threshold.

They are summed over the sections, or the scores are averaged, and the best threshold counts; so the numbers of every
section can be gathered over batches and processes, and nothing but the scores asked for is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from monai_unet.metrics.foreground_restricted import PairCounts, components, pair_counts, thinned
from monai_unet.metrics.warping import num_splits_and_mergers, warped_labels


class Comparison:
    """One section at one threshold; each part is computed when a score first asks for it.

    Args:
        inside: bool, shape (H, W); the labels.
        cells: their 4-connected components; integers, same shape.
        proposal: probability of "inside"; floating point, same shape.
        threshold: a pixel is foreground above it.
    """

    def __init__(self, inside: np.ndarray, cells: np.ndarray, proposal: np.ndarray, threshold: float) -> None:
        self.inside, self.cells, self.proposal, self.threshold = inside, cells, proposal, threshold
        self.foreground = proposal > threshold

    @cached_property
    def pairs(self) -> PairCounts:
        """Pixels by cell and component of the proposal."""
        return pair_counts(self.cells, components(self.foreground))

    @cached_property
    def thinned_pairs(self) -> PairCounts:
        """Pixels by cell and segment of the thinned proposal."""
        return pair_counts(self.cells, thinned(self.foreground))

    @cached_property
    def warped(self) -> np.ndarray:
        """Labels warped towards the proposal; bool (H, W)."""
        return warped_labels(self.inside, self.foreground, certainty=np.abs(self.proposal - self.threshold))

    def pixels(self) -> tuple[float, ...]:
        """Pixels inside by both, by the labels, and by the proposal."""
        return (self.inside & self.foreground).sum(), self.inside.sum(), self.foreground.sum()

    def wrong_pixels(self) -> tuple[float, ...]:
        """Pixels of the wrong class, and all."""
        return (self.inside != self.foreground).sum(), self.inside.size

    def mismatches(self) -> tuple[float, ...]:
        """Pixels that differ after warping, and all."""
        return (self.warped != self.foreground).sum(), self.inside.size

    def splits_and_mergers(self) -> tuple[float, ...]:
        """Pixels that split or merge cells after warping, and all."""
        return sum(num_splits_and_mergers(self.warped, self.foreground)), self.inside.size


@dataclass(frozen=True)
class Score:
    """How a score is made of numbers for a section at a threshold.

    Args:
        statistics: those numbers.
        value: the score from such numbers along the last axis, be they of one section or sums over sections.
        pooled: whether numbers are summed over the sections first; if not, the score is the mean of theirs.
        higher_is_better: which threshold is the best one.
        thresholds: the only ones, where the score's definition says so.
    """

    statistics: Callable[[Comparison], tuple[float, ...]]
    value: Callable[[np.ndarray], np.ndarray]
    pooled: bool
    higher_is_better: bool
    thresholds: tuple[float, ...] = ()

    def best(self, statistics: np.ndarray) -> tuple[float, int]:
        """Value at, and place of, the best threshold; shape (sections, thresholds, numbers) in."""
        values = self.value(statistics.sum(0)) if self.pooled else self.value(statistics).mean(0)
        best = int(values.argmax() if self.higher_is_better else values.argmin())
        return float(values[best]), best


def _f_score(statistics: np.ndarray) -> np.ndarray:
    """Harmonic mean of what two sides share by each side; (..., 3) in: shared, of one, of the other. 1 for 0 by 0."""
    shared, one, other = np.moveaxis(statistics, -1, 0)
    return np.divide(2 * shared, one + other, out=np.ones_like(shared), where=one + other > 0)


def _f_error(statistics: np.ndarray) -> np.ndarray:
    return 1 - _f_score(statistics)


def _share(statistics: np.ndarray) -> np.ndarray:
    return statistics[..., 0] / statistics[..., 1]


SCORES: Mapping[str, Score] = {
    "rand_error": Score(lambda c: c.pairs.rand_sums(), _f_error, pooled=True, higher_is_better=False),
    "v_rand_micro": Score(lambda c: c.thinned_pairs.rand_sums(), _f_score, pooled=True, higher_is_better=True),
    "v_rand_macro": Score(lambda c: c.thinned_pairs.rand_sums(), _f_score, pooled=False, higher_is_better=True),
    "v_info": Score(lambda c: c.thinned_pairs.information(), _f_score, pooled=False, higher_is_better=True),
    "pixel_error": Score(Comparison.pixels, _f_error, pooled=True, higher_is_better=False),
    "pixel_error_min_mse": Score(Comparison.wrong_pixels, _share, pooled=True, higher_is_better=False),
    "warping_mismatch_fraction_at_0_5": Score(Comparison.mismatches, _share, False, False, thresholds=(0.5,)),
    "warping_error": Score(Comparison.splits_and_mergers, _share, pooled=True, higher_is_better=False),
}


def section_statistics(
    labels: np.ndarray, proposal: np.ndarray, names: Sequence[str], thresholds: tuple[float, ...]
) -> dict[str, np.ndarray]:
    """What the named scores are made of for one section.

    Args:
        labels: whether inside a cell; bool, shape (H, W).
        proposal: probability of "inside"; floating point, same shape.
        names: keys of `SCORES`.
        thresholds: used by every score that does not bring its own.

    Returns:
        By name: float64, shape (thresholds, 3) for F-scores or (thresholds, 2) for shares.
    """
    cells = components(labels)
    comparisons: dict[float, Comparison] = {}  # scores share them, as thinning and warping take long
    statistics = {}
    for name in names:
        wanted = SCORES[name].thresholds or thresholds
        for threshold in wanted:
            if threshold not in comparisons:
                comparisons[threshold] = Comparison(labels, cells, proposal, threshold)
        statistics[name] = np.array([SCORES[name].statistics(comparisons[t]) for t in wanted], dtype=np.float64)
    return statistics
