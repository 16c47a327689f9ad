"""Intersection over union of the foreground, where it is known; plain function, metric, Ignite handler."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from monai.handlers import IgniteMetricHandler

from monai_unet.metrics.frames import sections
from monai_unet.metrics.section_metric import SectionMetric


@dataclass(frozen=True)
class ForegroundIous:
    """Intersection over union of the foreground; no unit, 1 is best.

    Args:
        iou: mean over the sections.
        per_section: of each section.
    """

    iou: float
    per_section: tuple[float, ...]


def foreground_iou(labels: np.ndarray, proposal: np.ndarray, ignore: np.ndarray | None = None) -> ForegroundIous:
    """Compare the foreground of labels and proposal, section by section.

    Args:
        labels: foreground above 0, background at 0, not known below 0; integers or bool, shape (H, W) or (D, H, W),
            sections first. Cells or a mask, which makes no difference here.
        proposal: foreground above 0; integers or bool, same shape.
        ignore: not 0 where the labels are not known, as around the cells of a partly annotated frame; same shape. What
            is proposed there counts for nothing.

    Returns:
        The values. A section with no foreground on either side, where it is known, has 1.

    Raises:
        TypeError: when labels or proposal are not of an integer type or bool: probabilities need a threshold first.
        ValueError: when shapes differ or are neither (H, W) nor (D, H, W).

    Example:
        >>> labels, proposal = np.array([[[2, 2, 0, 0]], [[1, 0, 0, 0]]]), np.array([[[5, 5, 5, 0]], [[1, 1, 0, 9]]])
        >>> foreground_iou(labels, proposal).per_section
        (0.6666666666666666, 0.3333333333333333)
        >>> foreground_iou(labels, proposal, ignore=np.array([[[0, 0, 1, 0]], [[0, 0, 0, 1]]])).per_section
        (1.0, 0.5)
    """
    if ignore is not None:
        if np.shape(ignore) != np.shape(labels):
            raise ValueError(
                f"ignore has the shape {np.shape(ignore)}, expected that of the labels, {np.shape(labels)}"
            )
        _check_type("labels", np.asarray(labels))
        labels = np.where(ignore, -1, np.asarray(labels).astype(np.int64))
    rows = np.array([_pixels(*section) for _, *section in sections(labels, proposal)], np.float64).reshape(-1, 2)
    per_section = _ious(rows)
    return ForegroundIous(float(per_section.mean()) if len(rows) else 1.0, tuple(per_section.tolist()))


class ForegroundIouMetric(SectionMetric):
    """Mean IoU of the foreground, accumulated over batches of sections; equal to `foreground_iou` on their stack.

    Proposed and true labels of shape (B, 1, H, W), integers or bool, foreground above 0, or lists of both without B.
    True labels below 0 are not known, and those pixels left out. The buffer holds the pixels of intersection and union
    of each section.

    MONAI's `MeanIoU` takes masks of 0 and 1, knows of unknown pixels from 1.6 on, and computes in single precision.

    Example:
        >>> metric = ForegroundIouMetric()
        >>> _ = metric(torch.tensor([[[[3, 3, 3, 0]]]]), torch.tensor([[[[1, 2, -1, 0]]]]))
        >>> metric.aggregate().item()
        1.0
    """

    def section_row(self, labels: np.ndarray, proposal: np.ndarray) -> tuple[float, ...]:
        """Pixels of the intersection and of the union."""
        return _pixels(labels, proposal)

    def score_of(self, rows: np.ndarray) -> float:
        """Mean over the sections."""
        return float(_ious(rows).mean())


class ForegroundIouHandler(IgniteMetricHandler):
    """Mean intersection over union of the foreground for an Ignite engine, such as MONAI's `SupervisedEvaluator`.

    Args:
        output_transform: takes `engine.state.output` to proposed labels, true labels and, where there is one, the mask
            that is not 0 where the labels are not known, such as
            `monai.handlers.from_engine(["instances", "cells", "ignore"])`.
        save_details: whether `engine.state.metric_details` gets intersection and union of every section, in pixels.

    Example:
        >>> type(ForegroundIouHandler().metric_fn).__name__
        'ForegroundIouMetric'
    """

    def __init__(self, output_transform: Callable = lambda x: x, save_details: bool = True) -> None:
        # MONAI hands two things on to a metric, so the mask goes into the labels
        super().__init__(
            metric_fn=ForegroundIouMetric(),
            output_transform=lambda output: _with_unknown(*output_transform(output)),
            save_details=save_details,
        )


def _with_unknown(
    y_pred: torch.Tensor | Sequence[torch.Tensor],
    y: torch.Tensor | Sequence[torch.Tensor],
    ignore: torch.Tensor | Sequence[torch.Tensor] | None = None,
) -> tuple[Any, Any]:
    """Proposal and labels, which are -1 where the mask is not 0; batches or lists."""
    if ignore is None:
        return y_pred, y
    if isinstance(y, torch.Tensor) and isinstance(ignore, torch.Tensor):
        return y_pred, _unknown(y, ignore)
    return y_pred, [_unknown(*section) for section in zip(y, ignore, strict=True)]


def _unknown(y: torch.Tensor, ignore: torch.Tensor) -> torch.Tensor:
    if y.shape != ignore.shape:
        raise ValueError(f"ignore has the shape {tuple(ignore.shape)}, expected that of the labels, {tuple(y.shape)}")
    return torch.where(ignore != 0, -1, y.to(torch.int64))  # an unsigned type has no -1


def _pixels(labels: np.ndarray, proposal: np.ndarray) -> tuple[int, int]:
    """Pixels of intersection and union of a section's foreground, where it is known."""
    _check_type("labels", labels)
    _check_type("proposal", proposal)
    truth, proposed = labels > 0, (proposal > 0) & (labels >= 0)
    return int((truth & proposed).sum()), int((truth | proposed).sum())


def _ious(rows: np.ndarray) -> np.ndarray:
    """Intersection by union, 1 for 0 by 0; (sections, 2) in."""
    return np.divide(rows[:, 0], rows[:, 1], out=np.ones(len(rows)), where=rows[:, 1] > 0)


def _check_type(name: str, mask: np.ndarray) -> None:
    if mask.dtype.kind not in "bui":
        raise TypeError(
            f"{name} of type {mask.dtype}: integers or bool are expected, above 0 in the foreground; compare "
            "probabilities with a threshold first"
        )
