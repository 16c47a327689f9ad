"""The U-Net of the paper: unpadded convolutions, so that every output pixel has seen only real context."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from monai.networks.layers.factories import Conv, Pool
from torch import nn
from torch.nn.functional import pad

from monai_unet.geometry import ValidGeometry
from monai_unet.networks.standardised_conv import StandardisedConv2d, StandardisedConv3d

VARIANTS = ("paper", "release")
NORMALISATIONS = ("none", "weights")


class OriginalUNet(nn.Module):
    """U-Net with unpadded 3x3 convolutions, cropped skip connections and 2x2 up-convolutions.

    With its defaults it has 31,030,658 parameters and turns 572 x 572 pixels into logits of 388 x 388.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        out_channels: classes; the network outputs one logit per class, without softmax.
        features: channels of each level from the top to the bottom; their number less one is the depth.
        dropout: share of values dropped after the last ReLU of the two lowest levels (the upper of them also on its
            way through the skip connection), in training only.
        convs_per_block: 3x3 convolutions in a block.
        variant: "paper" as Fig. 1 draws it, or "release" as the Caffe network of the authors' release computes it:
            a ReLU after every up-convolution, and as many channels out of the last up-convolution as go in.
        normalisation: "none" as in the paper, or "weights": the 3x3 convolutions normalise their weights, see
            `monai_unet.networks.standardised_conv`, which trains faster and adds one parameter a channel.
        residual: add the middle of the image to the output, channel by channel, so that the network learns what to
            change: for images that are restored.
        zero_head: start with a last layer of 0, so that grey values are learned from the image as it is, or without
            `residual` from 0.

    Attributes:
        geometry: sizes and margin, `monai_unet.geometry.ValidGeometry`.
        bytes_per_pixel: that a forward pass without gradients takes for a pixel of its input, at most: eight maps of
            the top level in single precision, which the expanding path holds at its last block.

    Shapes:
        (B, in_channels, *size) -> (B, out_channels, *[n - 2 * geometry.margin for n in size]); the sizes may differ.

    Raises:
        ValueError: for arguments that make no network, and in `forward` for a size that does not fit; the message
            names the nearest sizes that do.

    Source: Ronneberger et al. (2015), Fig. 1 and sections 2 and 3; what the text leaves open (order of the
    concatenation, place of the dropout, biases of 0) follows the released network phseg_v5.
    """

    def __init__(
        self,
        spatial_dims: int = 2,
        in_channels: int = 1,
        out_channels: int = 2,
        features: Sequence[int] = (64, 128, 256, 512, 1024),
        dropout: float = 0.5,
        convs_per_block: int = 2,
        variant: str = "paper",
        normalisation: str = "none",
        residual: bool = False,
        zero_head: bool = False,
    ) -> None:
        super().__init__()
        if spatial_dims not in (2, 3):
            raise ValueError(f"spatial_dims {spatial_dims}: expected 2 or 3")
        if len(features) < 2 or min(features) < 1:
            raise ValueError(f"features {list(features)}: expected two or more levels, each of one or more channels")
        if variant not in VARIANTS:
            raise ValueError(f"variant {variant!r}: one of {', '.join(VARIANTS)}")
        if normalisation not in NORMALISATIONS:
            raise ValueError(f"normalisation {normalisation!r}: one of {', '.join(NORMALISATIONS)}")
        if residual and in_channels != out_channels:
            raise ValueError(
                f"residual: an image of {in_channels} channels cannot be added to an output of {out_channels}"
            )
        self.residual = residual
        depth = len(features) - 1
        self.geometry = ValidGeometry(depth, convs_per_block)
        self.bytes_per_pixel = 4 * 8 * features[0]
        # plain integers beside `geometry`, as TorchScript knows no dataclasses
        self._stride = self.geometry.stride
        self._offset = 2 * convs_per_block
        self._smallest = self.geometry.smallest_input

        release = variant == "release"
        conv = _CONVOLUTIONS[normalisation][spatial_dims - 2]
        levels = list(zip([in_channels, *features], features, strict=False))
        self.contracting = nn.ModuleList(
            _block(conv, inputs, outputs, convs_per_block, dropout if level >= depth - 1 else 0.0)
            for level, (inputs, outputs) in enumerate(levels)
        )
        self.pool = Pool[Pool.MAX, spatial_dims](kernel_size=2, stride=2)
        self.upsampling = nn.ModuleList()
        self.expanding = nn.ModuleList()
        for level in reversed(range(depth)):
            below, here = features[level + 1], features[level]
            up = below if release and level == 0 else here
            self.upsampling.append(_up_convolution(spatial_dims, below, up, relu=release))
            self.expanding.append(_block(conv, up + here, here, convs_per_block))
        self.head = Conv[Conv.CONV, spatial_dims](features[0], out_channels, kernel_size=1)
        self.apply(_initialise)
        if zero_head:
            nn.init.zeros_(self.head.weight)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits (B, out_channels, ...) of an image (B, in_channels, ...); see the class for the sizes."""
        self._check(image)
        skips: list[torch.Tensor] = []
        x = image
        for block in self.contracting:
            if len(skips) > 0:
                x = self.pool(x)
            x = block(x)
            skips.append(x)
        skips.pop()
        for up, block in zip(self.upsampling, self.expanding):  # noqa: B905 - TorchScript knows no `strict`
            x = up(x)
            x = block(torch.cat([x, _centre_crop(skips.pop(), x)], dim=1))
        x = self.head(x)
        if self.residual:
            x = x + _centre_crop(image, x)
        return x

    def _check(self, image: torch.Tensor) -> None:
        """`ValidGeometry.output_size` for TorchScript: refuse a size, name the nearest that fit."""
        for size in image.shape[2:]:
            if size < self._smallest or (size + self._offset) % self._stride != 0:
                above = max(self._smallest, size + (-(size + self._offset)) % self._stride)
                nearest = f"{above}" if above == self._smallest else f"{above - self._stride} and {above}"
                raise ValueError(
                    f"an image of shape {list(image.shape)} does not fit this U-Net: sizes are {self._stride}k - "
                    f"{self._offset} and {self._smallest} or more; the nearest to {size}: {nearest}"
                )


_CONVOLUTIONS = {"none": (nn.Conv2d, nn.Conv3d), "weights": (StandardisedConv2d, StandardisedConv3d)}


def _block(
    conv: Callable[..., nn.Module], inputs: int, outputs: int, convolutions: int, dropout: float = 0.0
) -> nn.Sequential:
    layers: list[nn.Module] = []
    for index in range(convolutions):
        layers += [conv(inputs if index == 0 else outputs, outputs, kernel_size=3), nn.ReLU(inplace=True)]
    if dropout:
        # element by element as in the release, where whole channels are never dropped
        layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers)


def _up_convolution(spatial_dims: int, inputs: int, outputs: int, relu: bool) -> nn.Sequential:
    layers: list[nn.Module] = [Conv[Conv.CONVTRANS, spatial_dims](inputs, outputs, kernel_size=2, stride=2)]
    if relu:
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def _centre_crop(skip: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """The middle of `skip` in the size of `like`; the difference of valid sizes is always even."""
    margins: list[int] = []
    for axis in range(skip.dim() - 1, 1, -1):
        margin = (like.shape[axis] - skip.shape[axis]) // 2
        margins += [margin, margin]
    # not by slices: their gradient comes back channels first, and every layer below it pays for the other order
    return pad(skip, margins)


def _initialise(module: nn.Module) -> None:
    """Gaussian weights with standard deviation sqrt(2 / N), N the incoming nodes of one neuron; biases 0."""
    if isinstance(module, (nn.Conv2d, nn.Conv3d)):
        incoming = module.weight[0].numel()
    elif isinstance(module, (nn.ConvTranspose2d, nn.ConvTranspose3d)):
        # stride equals kernel, so each output pixel sees one pixel of every input channel; weight is (in, out, ...)
        incoming = module.in_channels
    else:
        return
    nn.init.normal_(module.weight, std=math.sqrt(2.0 / incoming))
    assert module.bias is not None
    nn.init.zeros_(module.bias)
