"""Scores of maps of classes: the confusion matrix, and Dice and IoU of each class.

A section without a class costs nothing: where neither the truth nor the prediction has it, its score is not a number
and is left out of every mean. Where only the prediction has it, the score is 0. (MONAI's `DiceMetric` leaves both out,
or counts the first as 1.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from monai.handlers import IgniteMetricHandler
from monai.metrics import CumulativeIterationMetric

from monai_unet.metrics.section_metric import buffer_rows

SCORES = ("dice", "iou")


def confusion_matrix(
    truth: np.ndarray, prediction: np.ndarray, num_classes: int, known: np.ndarray | None = None
) -> np.ndarray:
    """How many pixels of a true class have been given each class.

    Args:
        truth: classes, 0 to num_classes - 1, of any shape.
        prediction: classes, same shape.
        num_classes: how many there are.
        known: whether a pixel counts, same shape; all do when left out.

    Returns:
        int64, (true classes, predicted classes).

    Example:
        >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
        [[1, 1], [0, 1]]
    """
    pairs = truth.astype(np.int64) * num_classes + prediction
    pairs = pairs if known is None else pairs[known]
    return np.bincount(pairs.ravel(), minlength=num_classes**2).reshape(num_classes, num_classes)


def scores_of_classes(matrix: np.ndarray, score: str = "dice") -> np.ndarray:
    """Dice or IoU of each class; NaN of one that neither the truth nor the prediction has.

    Args:
        matrix: see `confusion_matrix`; (..., C, C).
        score: "dice", 2 TP / (2 TP + FP + FN), or "iou", TP / (TP + FP + FN).

    Returns:
        float64, (..., C).
    """
    right = np.diagonal(matrix, axis1=-2, axis2=-1)
    return _score(right, matrix.sum(-1), matrix.sum(-2), score)


def mean_score(matrices: np.ndarray, score: str = "dice", classes: Sequence[int] | None = None) -> float:
    """The mean over sections of the mean over classes, each without what is not a number, as `ClassScoreMetric` has it.

    Args:
        matrices: of the sections, (sections, C, C), see `confusion_matrix`.
        score: see `scores_of_classes`.
        classes: that count; all but the first when left out.

    Returns:
        NaN where no class occurs.
    """
    chosen = slice(1, None) if classes is None else list(classes)
    return _mean([_mean(row) for row in scores_of_classes(matrices, score)[:, chosen]])


def _mean(values: Sequence[float] | np.ndarray) -> float:
    there = np.asarray(values)[~np.isnan(values)]
    return float(there.mean()) if there.size else float("nan")


def _score(both: np.ndarray, truth: np.ndarray, prediction: np.ndarray, score: str) -> np.ndarray:
    both, total = both.astype(np.float64), (truth + prediction).astype(np.float64)
    upper, lower = (2 * both, total) if score == "dice" else (both, total - both)
    return np.divide(upper, lower, out=np.full(total.shape, np.nan), where=total > 0)


class ClassScoreMetric(CumulativeIterationMetric):
    """Dice or IoU of classes: the mean over sections of the mean over classes, each without what is not a number.

    Prediction and truth one-hot, shape (B, C, H, W), or lists of both without B; both 0 in every class where nothing is
    known. The buffer has a row for each section and a column for each class that counts.

    Args:
        score: "dice" or "iou".
        classes: that count; all but the first when left out.

    Raises:
        ValueError: for another score, and for shapes that differ.
    """

    def __init__(self, score: str = "dice", classes: Sequence[int] | None = None) -> None:
        super().__init__()
        if score not in SCORES:
            raise ValueError(f"score {score!r}: expected one of {', '.join(SCORES)}")
        self.score = score
        self.classes = None if classes is None else list(classes)

    def _compute_tensor(self, y_pred: torch.Tensor, y: torch.Tensor | None = None, **kwargs: Any) -> torch.Tensor:
        if y is None or y.shape != y_pred.shape or y.ndim < 3:
            shapes = tuple(y_pred.shape), None if y is None else tuple(y.shape)
            raise ValueError(f"a prediction of shape {shapes[0]} and a truth of {shapes[1]}: (B, C, H, W) is expected")
        chosen = list(range(1, y.shape[1])) if self.classes is None else self.classes
        truth, prediction = y[:, chosen].flatten(2) > 0, y_pred[:, chosen].flatten(2) > 0
        counts = [each.sum(-1).cpu().numpy() for each in (truth & prediction, truth, prediction)]
        return buffer_rows(_score(counts[0], counts[1], counts[2], self.score), y_pred.device)

    def aggregate(self) -> torch.Tensor:
        """The score of all sections since the last reset; float64, shape (); NaN where no class occurs."""
        rows = self.get_buffer()
        if rows is None:
            raise ValueError("no section has been given to ClassScoreMetric since its last reset")
        return rows.double().nanmean(1).nanmean()


class ClassScoreHandler(IgniteMetricHandler):
    """`ClassScoreMetric` for a config, as `"validate::key_metric"` has it.

    Args:
        score: see `ClassScoreMetric`.
        classes: see `ClassScoreMetric`.
        output_transform: gives prediction and truth, one-hot, from the engine's output.
        save_details: keep the score of each section and class.
    """

    def __init__(
        self,
        score: str = "dice",
        classes: Sequence[int] | None = None,
        output_transform: Callable = lambda x: x,
        save_details: bool = True,
    ) -> None:
        super().__init__(
            metric_fn=ClassScoreMetric(score, classes), output_transform=output_transform, save_details=save_details
        )
