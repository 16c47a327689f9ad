"""Scores of the ISBI 2012 challenge, as its organisers' software computes them; plain function, metric, Ignite handler.

`docs/metrics.md` has the definitions, what they leave open, and the agreement with the organisers' values.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from monai.handlers import IgniteMetricHandler
from monai.metrics import CumulativeIterationMetric

from monai_unet.metrics.frames import as_arrays
from monai_unet.metrics.section_metric import buffer_rows
from monai_unet.metrics.section_statistics import SCORES, section_statistics

THRESHOLDS = tuple(tenth / 10 for tenth in range(10))
"""The organisers' thresholds: 0.0, 0.1 ... 0.9."""


@dataclass(frozen=True)
class IsbiScores:
    """Scores of a stack, each at its own best threshold; no unit.

    Args:
        rand_error: 1 - Rand F-score of 4-connected components, pairs of pixels pooled over sections; 0 is best.
        v_rand_micro: Rand F-score after thinning, pooled over sections; 1 is best.
        v_rand_macro: the same, mean over sections, the one on the challenge's board; 1 is best.
        v_info: F-score of the information after thinning, mean over sections; 1 is best.
        pixel_error: 1 - F-score of the pixels inside, pooled over sections; 0 is best.
        pixel_error_min_mse: share of wrong pixels; 0 is best.
        warping_mismatch_fraction_at_0_5: share of pixels that differ after warping, threshold 0.5; 0 is best.
        warping_error: share of pixels that split or merge cells after warping; 0 is best.
        per_section: by score, the value of each section alone at that score's best threshold.
        best_threshold: by score; the first in the order given among equal ones.

    Both warping scores are None, and not in the mappings, when they were left out.
    """

    rand_error: float
    v_rand_micro: float
    v_rand_macro: float
    v_info: float
    pixel_error: float
    pixel_error_min_mse: float
    warping_mismatch_fraction_at_0_5: float | None
    warping_error: float | None
    per_section: Mapping[str, tuple[float, ...]]
    best_threshold: Mapping[str, float]


def isbi2012_scores(
    labels: np.ndarray | str | os.PathLike[str],
    proposal: np.ndarray | str | os.PathLike[str],
    thresholds: Sequence[float] = THRESHOLDS,
    warping: bool = True,
) -> IsbiScores:
    """Score a stack of probabilities against the labels.

    Args:
        labels: inside a cell where not zero; shape (H, W) or (D, H, W), sections first, or the path of a TIFF stack.
            Cells are the 4-connected components of a section, so ids of touching cells do not keep them apart.
        proposal: probability of "inside", floating point (or bool), same shape, or the path of a TIFF stack. A pixel is
            foreground where it is *greater than* the threshold, compared in the proposal's own precision.
        thresholds: one or more in [0, 1].
        warping: False leaves out the two warping scores, which need numba.

    Returns:
        The scores. They are defined for every input: a fraction of nothing by nothing is a perfect score, so that a
        section without cells is perfect in the scores that look inside cells only, and in the pixel errors too if its
        proposal is empty; `docs/metrics.md` lists the cases.

    Raises:
        TypeError: when the labels are not numbers or the proposal is not of floating point.
        ValueError: when shapes differ or are neither (H, W) nor (D, H, W), when there is no pixel, or when a value is
            NaN, infinite, or no probability; when a threshold is outside [0, 1] or there is none.
        ImportError: when numba is missing and `warping` is set.

    Source: Arganda-Carreras et al. (2015), doi:10.3389/fnana.2015.00142; warping: Jain et al. (2010).

    Example:
        >>> labels = np.array([[1, 1, 0, 1, 1, 1]])
        >>> scores = isbi2012_scores(labels, np.array([[0.9, 0.9, 0.2, 0.9, 0.9, 0.4]]), warping=False)
        >>> scores.v_rand_macro, scores.best_threshold["v_rand_macro"]
        (1.0, 0.2)
    """
    labels, proposal = _sections(labels, proposal)
    thresholds = _checked_thresholds(thresholds)
    names = [name for name in SCORES if warping or not name.startswith("warping")]
    statistics: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for section in zip(labels, proposal, strict=True):
        for name, of_section in section_statistics(*section, names, thresholds).items():
            statistics[name].append(of_section)

    values: dict[str, float | None] = dict.fromkeys(SCORES)
    per_section, best_threshold = {}, {}
    for name in names:
        score, stacked = SCORES[name], np.stack(statistics[name])
        values[name], best = score.best(stacked)
        per_section[name] = tuple(score.value(stacked[:, best]).tolist())
        best_threshold[name] = (score.thresholds or thresholds)[best]
    return IsbiScores(**values, per_section=per_section, best_threshold=best_threshold)  # type: ignore[arg-type]


class IsbiMetric(CumulativeIterationMetric):
    """One score of the challenge, accumulated over batches of sections; equal to `isbi2012_scores` on their stack.

    Probabilities of "inside" of shape (B, C, H, W) and labels of shape (B, 1, H, W), inside where not zero, or lists of
    both without B. The buffer holds what the score is made of for each section and threshold, float64, shape
    (sections, thresholds, 3 or 2), so pooled scores are exact and sections may differ in size.

    Args:
        score: name of a score, a field of `IsbiScores`. Those with "error" or "mismatch" in it are better when lower:
            give an evaluator a `metric_cmp_fn` for them.
        thresholds: one or more in [0, 1]; not used by `warping_mismatch_fraction_at_0_5`.
        channel: which channel is "inside"; may be left out where there is one channel.

    Raises:
        ValueError: when there is no such score or threshold; when called, as `isbi2012_scores` and for a channel that
            is not there.

    Example:
        >>> metric = IsbiMetric("v_rand_macro", thresholds=[0.3, 0.5, 0.7])
        >>> _ = metric(torch.full((1, 1, 4, 5), 0.6), torch.ones(1, 1, 4, 5))
        >>> metric.aggregate().item(), metric.best_threshold()
        (1.0, 0.3)
    """

    def __init__(
        self, score: str = "v_rand_macro", thresholds: Sequence[float] = THRESHOLDS, channel: int | None = None
    ) -> None:
        super().__init__()
        if score not in SCORES:
            raise ValueError(f"there is no score {score!r}; the scores are {', '.join(SCORES)}")
        self.score = score
        self.thresholds = SCORES[score].thresholds or _checked_thresholds(thresholds)
        self.channel = channel

    def _compute_tensor(self, y_pred: torch.Tensor, y: torch.Tensor | None = None, **kwargs: Any) -> torch.Tensor:
        inside = self._inside(y_pred)
        if y is None or y.shape != (inside.shape[0], 1, *inside.shape[1:]):
            raise ValueError(
                f"labels of shape {None if y is None else tuple(y.shape)} do not fit probabilities of shape "
                f"{tuple(y_pred.shape)}: (B, 1, H, W) and (B, C, H, W) with the same B, H and W"
            )
        if inside.dtype in (torch.float16, torch.bfloat16):
            inside = inside.float()  # NumPy has no bfloat16
        sections = _sections(y[:, 0].float().cpu().numpy(), inside.cpu().numpy())
        statistics = [
            section_statistics(*section, [self.score], self.thresholds)[self.score]
            for section in zip(*sections, strict=True)
        ]
        return buffer_rows(statistics, y_pred.device)

    def _inside(self, y_pred: torch.Tensor) -> torch.Tensor:
        if y_pred.ndim != 4:
            raise ValueError(f"probabilities of shape {tuple(y_pred.shape)}: (B, C, H, W) is expected")
        num_channels = y_pred.shape[1]
        if self.channel is None and num_channels != 1:
            raise ValueError(f"{num_channels} channels: say which one is the probability of inside, `channel=...`")
        channel = self.channel or 0
        if not -num_channels <= channel < num_channels:
            raise ValueError(f"there is no channel {channel} among {num_channels}")
        return y_pred[:, channel]

    def aggregate(self) -> torch.Tensor:
        """The score of all sections since the last reset at the best threshold; float64, shape ()."""
        return torch.tensor(self._best()[0], dtype=torch.float64)

    def best_threshold(self) -> float:
        """The threshold at which `aggregate` takes the score."""
        return self.thresholds[self._best()[1]]

    def _best(self) -> tuple[float, int]:
        statistics = self.get_buffer()
        if statistics is None:
            raise ValueError(f"no section has been given to the metric {self.score} since its last reset")
        return SCORES[self.score].best(statistics.cpu().numpy())


class IsbiScoreHandler(IgniteMetricHandler):
    """One score of the challenge for an Ignite engine, such as MONAI's `SupervisedEvaluator`.

    Args:
        score: name of a score, as in `IsbiMetric`.
        thresholds: as in `IsbiMetric`.
        channel: as in `IsbiMetric`.
        output_transform: takes `engine.state.output` to probabilities and labels, such as
            `monai.handlers.from_engine(["pred", "label"])`.
        save_details: whether `engine.state.metric_details` gets the numbers of every section and threshold.

    Example:
        >>> IsbiScoreHandler("v_info", thresholds=[0.5]).metric_fn.score
        'v_info'
    """

    def __init__(
        self,
        score: str = "v_rand_macro",
        thresholds: Sequence[float] = THRESHOLDS,
        channel: int | None = None,
        output_transform: Callable = lambda x: x,
        save_details: bool = True,
    ) -> None:
        super().__init__(
            metric_fn=IsbiMetric(score, thresholds, channel),
            output_transform=output_transform,
            save_details=save_details,
        )


def _checked_thresholds(thresholds: Sequence[float]) -> tuple[float, ...]:
    thresholds = tuple(float(threshold) for threshold in thresholds)
    if not thresholds or not all(0 <= threshold <= 1 for threshold in thresholds):
        raise ValueError(f"thresholds {thresholds} are not usable: one or more, each in [0, 1]")
    return thresholds


def _sections(
    labels: np.ndarray | str | os.PathLike[str], proposal: np.ndarray | str | os.PathLike[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Labels as bool and the proposal in at least single precision, both (D, H, W), read and checked."""
    labels, proposal = as_arrays(labels, proposal)
    if labels.shape != proposal.shape or labels.ndim not in (2, 3) or labels.size == 0:
        raise ValueError(
            f"labels of shape {labels.shape} and a proposal of shape {proposal.shape}: "
            "both must have the same shape (H, W) or (D, H, W), with a pixel at least"
        )
    if labels.dtype.kind not in "biuf":
        raise TypeError(f"labels of type {labels.dtype}: numbers are expected, zero outside cells")
    if not np.isfinite(labels).all():
        num_bad = np.count_nonzero(~np.isfinite(labels))
        raise ValueError(f"{num_bad} of the labels are NaN or infinite: numbers are expected, zero outside cells")
    proposal = checked_probabilities(proposal)
    shape = (-1, *labels.shape[-2:])
    return (labels != 0).reshape(shape), proposal.reshape(shape)


def checked_probabilities(proposal: np.ndarray) -> np.ndarray:
    """Probabilities in at least single precision; errors as `isbi2012_scores` has them."""
    if proposal.dtype.kind not in "bf":
        raise TypeError(
            f"a proposal of type {proposal.dtype}: probabilities in floating point are expected; "
            "divide grey values by their maximum, 255 for uint8"
        )
    # a threshold of 0.3 is another number in half precision
    proposal = proposal.astype(np.promote_types(proposal.dtype, np.float32), copy=False)
    low, high = float(proposal.min()), float(proposal.max())
    if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):  # false for NaN too
        raise ValueError(f"the proposal's values go from {low} to {high}: probabilities in [0, 1] are expected")
    return proposal


_ROUNDING = 1e-3  # a softmax in half precision leaves [0, 1] by this much; logits and grey values by more
