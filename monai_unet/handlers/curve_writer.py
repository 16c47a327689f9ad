"""TensorBoard's events, whose errors name their folder."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from monai_unet.networks import naming


class CurveWriter(SummaryWriter):
    """PyTorch's `SummaryWriter`; when the disk is full, what adds to it or flushes it says so with the folder."""


def _named(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def call(self: CurveWriter, *arguments: Any, **options: Any) -> Any:
        with naming(self.log_dir):
            return method(self, *arguments, **options)

    return call


for _name in ("add_scalar", "add_scalars", "add_image", "add_images", "add_video", "add_figure", "flush", "close"):
    setattr(CurveWriter, _name, _named(getattr(SummaryWriter, _name)))
