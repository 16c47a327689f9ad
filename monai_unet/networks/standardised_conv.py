"""Convolutions whose weights are normalised, in place of their activations."""

from __future__ import annotations

import math

import torch
from torch import nn

RELU_GAIN = math.sqrt(2 / (1 - 1 / math.pi))
"""A ReLU of normal numbers has the variance (1 - 1/pi) / 2; this brings it back to 1."""


def standardised(weight: torch.Tensor, gain: torch.Tensor, relu_gain: float = RELU_GAIN) -> torch.Tensor:
    """Weights (out, in, ...) with mean 0 and variance 1/N for each output, times its `gain` and that of a ReLU.

    N is the number of incoming nodes of a neuron. The output of a layer then has about the variance of its input
    whatever the weights become, which lets a network learn at a high rate.

    Source: Qiao et al. (2019), arXiv:1903.10520, scaled as in Brock et al. (2021), arXiv:2101.08692, Eq. 3.
    """
    axes = list(range(1, weight.dim()))
    centred = weight - weight.mean(axes, keepdim=True)
    # the sum of squares is N times the variance; the epsilon is for a filter whose weights are all alike
    scale = torch.rsqrt(centred.square().sum(axes, keepdim=True) + 1e-5)
    return centred * (scale * gain * relu_gain)


class StandardisedConv2d(nn.Conv2d):
    """`torch.nn.Conv2d` with `standardised` weights and a learned gain for each output channel.

    Nothing is taken from the activations, so a pixel's result does not depend on the tile that it lies in, as it would
    with instance or group normalisation, nor on the batch.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__(in_channels, out_channels, kernel_size)
        self.gain = nn.Parameter(torch.ones(out_channels, 1, 1, 1))

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """As in `torch.nn.Conv2d`."""
        return self._conv_forward(input, standardised(self.weight, self.gain), self.bias)


class StandardisedConv3d(nn.Conv3d):
    """`torch.nn.Conv3d` in the same way; see `StandardisedConv2d`."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__(in_channels, out_channels, kernel_size)
        self.gain = nn.Parameter(torch.ones(out_channels, 1, 1, 1, 1))

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """As in `torch.nn.Conv3d`."""
        return self._conv_forward(input, standardised(self.weight, self.gain), self.bias)
