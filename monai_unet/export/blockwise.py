"""The network as programs want it that predict block by block: as much comes out as goes in."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from monai_unet.export.packaged import PackagedUNet
from monai_unet.networks import OriginalUNet


class BlockwiseUNet(PackagedUNet):
    """Probabilities, or normalised grey values, in the size of the input, zero in a halo that is to be cut off.

    A program that predicts blockwise reads a block with a halo on each side and drops the halo of the result. The halo
    is wider than the margin: with less than a step of the lattice more, an inner part of any size would not find its
    whole context in the block. The lattice begins at the first inner pixel, as it begins at the first pixel of an image
    in this project's own prediction; a halo of 92 pixels, or of the 94 that make a valid size, would shift it, and the
    result with it (by up to 0.6 in probability at some pixels).

    Attributes:
        halo: pixels on each side, of the input and the output; 112 for the paper's network. Two of them are a multiple
            of the stride, so that an image with and without them is.

    Shapes:
        (B, C, *size) -> (B, classes or channels, *size); each size above 2 * halo. A size less 2 * halo that
        is a multiple of the stride keeps the next block on the lattice.
    """

    def __init__(self, network: OriginalUNet, rotations: int = 1, grey_values: bool = False) -> None:
        super().__init__(network, rotations, grey_values)
        half = self.stride // 2
        self.halo = -(-(self.margin + self.stride - 1) // half) * half
        self.least, self.step = 2 * self.halo + self.stride, self.stride

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """See the class."""
        x = image
        for axis in range(2, image.dim()):
            inner = image.shape[axis] - 2 * self.halo
            if inner < 1:
                raise ValueError(
                    f"an image of shape {list(image.shape)} is too small: more than {2 * self.halo} a side"
                )
            x = x.narrow(axis, self.halo - self.margin, self.input_size(inner))
        output = self.mean(x)
        padding: list[int] = []
        for axis in range(image.dim() - 1, 1, -1):
            output = output.narrow(axis, 0, image.shape[axis] - 2 * self.halo)
            padding += [self.halo, self.halo]
        return nn.functional.pad(output, padding)


def blockwise_unet(rotations: int = 1, grey_values: bool = False, **network: Any) -> BlockwiseUNet:
    """The network by the arguments of `OriginalUNet`, without weights; what a BioImage.IO package calls."""
    return BlockwiseUNet(OriginalUNet(**network), rotations, grey_values).eval()
