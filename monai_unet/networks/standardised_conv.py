"""Convolutions whose weights are normalised, in place of their activations."""

from __future__ import annotations

import math
from typing import TypeVar

import torch
from torch import nn
from torch.nn import functional

Network = TypeVar("Network", bound=nn.Module)

RELU_GAIN = math.sqrt(2 / (1 - 1 / math.pi))
"""A ReLU of normal numbers has the variance (1 - 1/pi) / 2; this brings it back to 1."""


def standardised(weight: torch.Tensor, gain: torch.Tensor, relu_gain: float = RELU_GAIN) -> torch.Tensor:
    """Weights (out, in, ...) with mean 0 and variance 1/N for each output, times its `gain` and that of a ReLU.

    N is the number of incoming nodes of a neuron. The output of a layer then has about the variance of its input
    whatever the weights become, which lets a network learn at a high rate.

    Source: Qiao et al. (2019), arXiv:1903.10520, scaled as in Brock et al. (2021), arXiv:2101.08692, Eq. 3.
    """
    nodes = weight[0].numel()
    # a filter is a row of a layer normalisation: one kernel, where mean, difference, square and so on take one each.
    # In the order that the weights lie in memory, so that nothing is copied and the layout stays
    last = not weight.is_contiguous()
    rows = (weight.movedim(1, -1) if last else weight).flatten(1)
    # the epsilon is for a filter whose weights are all alike
    rows = functional.layer_norm(rows, [nodes], eps=1e-5 / nodes)
    normal = rows.reshape(weight.movedim(1, -1).shape).movedim(-1, 1) if last else rows.reshape(weight.shape)
    return normal * (gain * (relu_gain / math.sqrt(nodes)))


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


def fold(network: Network) -> Network:
    """Put plain convolutions with the normalised weights in the place of those that normalise them, for prediction.

    Nothing is left to normalise then, tile by tile, and exported files hold nothing but convolutions. The results stay
    the same to rounding.

    Args:
        network: is changed; it has no gains any more, so it takes no weights of a training afterwards.

    Returns:
        The same network.
    """
    for name, child in list(network.named_children()):
        if isinstance(child, (StandardisedConv2d, StandardisedConv3d)):
            conv: type[nn.Conv2d | nn.Conv3d] = nn.Conv2d if isinstance(child, StandardisedConv2d) else nn.Conv3d
            plain = conv(child.in_channels, child.out_channels, child.kernel_size, device="meta")  # type: ignore[arg-type]
            with torch.no_grad():
                # summed in one order whatever the layout, as the last bits depend on it, and kept in the layout
                weight = standardised(child.weight.contiguous(), child.gain)
                plain.weight = nn.Parameter(torch.empty_like(child.weight).copy_(weight))
            plain.bias = child.bias
            network.add_module(name, plain.train(child.training))
        else:
            fold(child)
    return network
