"""The network as programs want it that predict block by block: as much comes out as goes in."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from monai_unet.networks import OriginalUNet


class BlockwiseUNet(nn.Module):
    """Probabilities, or normalised grey values, in the size of the input, zero in a halo that is to be cut off.

    A program that predicts blockwise reads a block with a halo on each side and drops the halo of the result. The halo
    is wider than the margin: with less than a step of the lattice more, an inner part of any size would not find its
    whole context in the block. The lattice begins at the first inner pixel, as it begins at the first pixel of an image
    in this project's own prediction; a halo of 92 pixels, or of the 94 that make a valid size, would shift it, and the
    result with it (by up to 0.6 in probability at some pixels).

    Args:
        network: the U-Net.
        rotations: turned or mirrored versions of the block that are averaged, 1 to 8; the first ones of
            `monai_unet.inferers.rotations.VERSIONS`.
        grey_values: whether the network gives grey values, which are averaged as they are, and not logits.

    Attributes:
        halo: pixels on each side, of the input and the output; 112 for the paper's network. Two of them are a multiple
            of the stride, so that an image with and without them is.

    Shapes:
        (B, C, *size) -> (B, classes or channels, *size); each size above 2 * halo. A size less 2 * halo that
        is a multiple of the stride keeps the next block on the lattice.
    """

    def __init__(self, network: OriginalUNet, rotations: int = 1, grey_values: bool = False) -> None:
        super().__init__()
        self.network = network
        self.rotations = rotations
        self.grey_values = grey_values
        # plain integers, as TorchScript knows no dataclasses
        self.margin = network.geometry.margin
        self.stride = network.geometry.stride
        self.offset = 2 * network.geometry.convs_per_block
        half = self.stride // 2
        self.halo = -(-(self.margin + self.stride - 1) // half) * half

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """See the class."""
        x = image
        for axis in range(2, image.dim()):
            inner = image.shape[axis] - 2 * self.halo
            if inner < 1:
                raise ValueError(
                    f"an image of shape {list(image.shape)} is too small: more than {2 * self.halo} a side"
                )
            needed = inner + 2 * self.margin
            size = needed + (-(needed + self.offset)) % self.stride  # of the network's input, `input_size_for(inner)`
            x = x.narrow(axis, self.halo - self.margin, size)
        probability = self._mean(x)
        padding: list[int] = []
        for axis in range(image.dim() - 1, 1, -1):
            probability = probability.narrow(axis, 0, image.shape[axis] - 2 * self.halo)
            padding += [self.halo, self.halo]
        return nn.functional.pad(probability, padding)

    def _mean(self, x: torch.Tensor) -> torch.Tensor:
        """`mean_over_rotations` for TorchScript, as probabilities or grey values."""
        total = self._once(x)
        for version in range(1, self.rotations):
            turned = torch.rot90(x, version % 4, [-2, -1])
            if version >= 4:
                turned = turned.flip(-1)
            part = self._once(turned)
            if version >= 4:
                part = part.flip(-1)
            total = total + torch.rot90(part, -(version % 4), [-2, -1])
        return total / self.rotations

    def _once(self, x: torch.Tensor) -> torch.Tensor:
        output = self.network(x)
        return output if self.grey_values else output.softmax(1)


def blockwise_unet(rotations: int = 1, grey_values: bool = False, **network: Any) -> BlockwiseUNet:
    """The network by the arguments of `OriginalUNet`, without weights; what a BioImage.IO package calls."""
    return BlockwiseUNet(OriginalUNet(**network), rotations, grey_values).eval()
