"""What a metric of label images needs of MONAI: shapes checked, a row of numbers a section in the buffer."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from monai.metrics import CumulativeIterationMetric


class SectionMetric(CumulativeIterationMetric):
    """A metric that is made of a few numbers for each section; its buffer has them, float64, (sections, numbers).

    Proposed labels and true labels of shape (B, 1, H, W), or lists of both without B, whose sections may then differ in
    size.

    Raises:
        ValueError: when called with other shapes; when aggregated before it was called.
    """

    @abstractmethod
    def section_row(self, labels: np.ndarray, proposal: np.ndarray) -> tuple[float, ...]:
        """The numbers for one section; integers of shape (H, W) in."""

    @abstractmethod
    def score_of(self, rows: np.ndarray) -> float:
        """The score of sections from their numbers, float64, shape (sections, numbers)."""

    def _compute_tensor(self, y_pred: torch.Tensor, y: torch.Tensor | None = None, **kwargs: Any) -> torch.Tensor:
        if y is None or y.shape != y_pred.shape or y.ndim != 4 or y.shape[1] != 1:
            shapes = tuple(y_pred.shape), None if y is None else tuple(y.shape)
            raise ValueError(
                f"a proposal of shape {shapes[0]} and labels of shape {shapes[1]}: (B, 1, H, W) is expected of both"
            )
        sections = zip(y[:, 0].cpu().numpy(), y_pred[:, 0].cpu().numpy(), strict=True)
        return buffer_rows([self.section_row(*section) for section in sections], y_pred.device)

    def aggregate(self) -> torch.Tensor:
        """The score of all sections since the last reset; float64, shape ()."""
        rows = self.get_buffer()
        if rows is None:
            raise ValueError(f"no section has been given to {type(self).__name__} since its last reset")
        return torch.tensor(self.score_of(rows.cpu().numpy()), dtype=torch.float64)


def buffer_rows(rows: Any, device: torch.device) -> torch.Tensor:
    """Rows of numbers for a metric's buffer, float64, on the device of the prediction.

    There, as NCCL gathers buffers from GPUs only; but on the CPU for Apple's GPU, which has no float64.
    """
    return torch.as_tensor(np.asarray(rows, np.float64), device="cpu" if device.type == "mps" else device)
