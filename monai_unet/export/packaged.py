"""The network as a package of BioImage.IO has it: probabilities, or normalised grey values, averaged over rotations."""

from __future__ import annotations

import torch
from torch import nn

from monai_unet.networks import OriginalUNet


class PackagedUNet(nn.Module):
    """What the networks of packages have in common; TorchScript compiles it.

    Args:
        network: the U-Net.
        rotations: turned or mirrored versions of the input that are averaged, 1 to 8; the first ones of
            `monai_unet.inferers.rotations.VERSIONS`.
        grey_values: whether the network gives grey values, which are averaged as they are, and not logits.

    Attributes:
        margin, stride: of the network's geometry, pixels.
        offset: what a valid size of its input lacks of a multiple of the stride, pixels.
        halo: pixels on each side of the input that are no part of what is predicted, and on each side of the output.
        least, step: sizes of the input, halo included: `least`, and every `step` more.
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
        self.halo, self.least, self.step = 0, 1, 1

    def input_size(self, output: int) -> int:
        """The smallest valid input of which at least `output` pixels come out: `ValidGeometry.input_size_for`."""
        # rounded up without negative numbers, which an ONNX model divides in another way
        least = output + 2 * self.margin + self.offset
        return (least + self.stride - 1) // self.stride * self.stride - self.offset

    def mean(self, x: torch.Tensor) -> torch.Tensor:
        """`mean_over_rotations` for TorchScript, as probabilities or grey values: (B, C, *valid size) -> (B, ...)."""
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
