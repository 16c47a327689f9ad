"""What the output of a network that restores images means: grey values, normalised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch


@dataclass(frozen=True)
class Restoration:
    """How the output of a bundle that restores images is read; every way to a prediction reads it by this.

    Attributes:
        mean, std: of the targets' grey values, one number or one for each channel; the network gives (x - mean) / std.
        value_range: lowest and highest grey value of the targets, of all channels, for scores and pictures; nothing is
            clipped to it.
        channel_names: one for each channel of the output.

    Raises:
        ValueError: when the deviation is not above 0 or the range does not rise.

    Example:
        >>> Restoration(mean=100.0, std=20.0).grey_values(0.5)
        110.0
    """

    mean: float | Sequence[float]
    std: float | Sequence[float]
    value_range: Sequence[float] = (0, 255)
    channel_names: Sequence[str] = ("restored",)

    def __post_init__(self) -> None:
        for name in ("mean", "std"):  # hashable, whatever a config gives
            value = getattr(self, name)
            object.__setattr__(self, name, tuple(value) if isinstance(value, Sequence) else value)
        if not np.all(np.asarray(self.std) > 0):
            raise ValueError(f"target_std {self.std}: expected a number above 0")
        if not self.value_range[0] < self.value_range[1]:
            raise ValueError(f"target_range {list(self.value_range)}: expected the lower number first")

    @property
    def channels(self) -> int:
        """Of the network's output."""
        return len(self.channel_names)

    @property
    def data_range(self) -> float:
        """What PSNR and SSIM take as the largest difference of two grey values."""
        return float(self.value_range[1] - self.value_range[0])

    def grey_values(self, output: Any) -> Any:
        """The network's output in grey values of the targets: (C, *size), or with single numbers of any shape."""
        return output * _by_channel(self.std, output) + _by_channel(self.mean, output)

    def normalised(self, grey: Any) -> Any:
        """Grey values of the targets as the network gives them; the inverse of `grey_values`."""
        return (grey - _by_channel(self.mean, grey)) / _by_channel(self.std, grey)


def _by_channel(value: float | Sequence[float], output: Any) -> Any:
    """A number as it is, several as (C, 1, ...) to go with an output (C, *size)."""
    if not isinstance(value, Sequence):
        return value
    shape = (-1, *[1] * (output.ndim - 1))
    if isinstance(output, torch.Tensor):
        return torch.tensor(value, dtype=output.dtype, device=output.device).reshape(shape)
    return np.asarray(value, np.float32).reshape(shape)


def channel_names(number: int) -> tuple[str, ...]:
    """Names of so many channels of restored images."""
    return ("restored",) if number == 1 else tuple(f"restored_{index}" for index in range(number))
