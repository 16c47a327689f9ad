"""The pixels that a restored image is scored at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch


def known_pixels(items: Sequence[Mapping[str, Any]]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Predictions and targets where the weight is not 0, for MONAI's metrics of regression.

    Args:
        items: of an evaluator's output: `pred` and `label` (C, H, W), `known` (1, H, W).

    Returns:
        Two lists of tensors (C, N), N the known pixels of a section.
    """
    parts = [(item["pred"], item["label"], torch.as_tensor(item["known"])[0] > 0) for item in items]
    return [pred[:, known] for pred, _, known in parts], [label[:, known] for _, label, known in parts]
