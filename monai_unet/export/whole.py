"""The network as programs want it that predict an image of any size as a whole: it mirrors the image by itself."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from monai_unet.export.packaged import PackagedUNet
from monai_unet.networks import OriginalUNet


class WholeUNet(PackagedUNet):
    """Probabilities, or normalised grey values, of whole images of any size, mirrored at their borders as always.

    A program cannot be kept from cutting an image into blocks, each of which would get a mirrored border of its own,
    and seams. So the input has one pixel more on each side, which the program mirrors too (the package says so). Of a
    block these pixels are the next ones of the image: they are no mirror of the block, and it is refused.

    Args:
        network, rotations, grey_values: see `PackagedUNet`.
        raises: refuse a block by an error of Python's, which TorchScript has too. Without it, as for ONNX, an index
            out of bounds is the error, and where the runtime does not check that, all that comes out is NaN.

    Attributes:
        tiny: images that are no wider are not refused by an error but by NaN: `bioimageio test` cuts such ones out of
            the test input, and looks at the size of the output alone.

    Shapes:
        (B, C, *size + 2) -> (B, classes or channels, *size + 2); each size 1 or more.

    Raises:
        ValueError: for a block.
    """

    def __init__(
        self, network: OriginalUNet, rotations: int = 1, grey_values: bool = False, raises: bool = True
    ) -> None:
        super().__init__(network, rotations, grey_values)
        self.raises = raises
        self.halo, self.least, self.step = 1, 3, 1
        self.tiny = 3

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """See the class."""
        halo = self.halo
        x, mirrored = image, image
        for axis in range(2, image.dim()):
            size = image.shape[axis] - 2 * halo
            x = x.narrow(axis, halo, size)
            mirrored = mirror(mirrored.narrow(axis, halo, size), axis, halo, size + 2 * halo)
        whole = torch.all(image == mirrored)
        # a number that is added to a tensor may be open in an ONNX model
        side = torch.zeros_like(whole, dtype=torch.int64) + image.shape[-1] - 2 * halo
        refused = torch.logical_and(torch.logical_not(whole), side > self.tiny)
        if self.raises and bool(refused):
            raise ValueError(
                "this is a block of a larger image, or an image that was padded by something else than its mirrored "
                "pixels. Give the image as a whole, not blockwise; `monai-unet export --blocks` makes a package for "
                "blocks"
            )
        for axis in range(2, image.dim()):
            x = mirror(x, axis, self.margin, self.input_size(image.shape[axis] - 2 * halo))
        output = self.mean(x)
        padding: list[int] = []
        for axis in range(image.dim() - 1, 1, -1):
            output = output.narrow(axis, 0, image.shape[axis] - 2 * halo)
            padding += [halo, halo]
        output = output.masked_fill(torch.logical_not(whole), float("nan"))
        if not self.raises:
            output = output * output.new_ones(1).index_select(0, refused.reshape(1).long())
        return nn.functional.pad(output, padding)


def mirror(x: torch.Tensor, axis: int, before: int, size: int) -> torch.Tensor:
    """Pixels from `before` in front of the first one, mirrored at both ends as `np.pad(..., "reflect")` does.

    Args:
        x: of any size, one pixel included.
        axis: that is mirrored.
        before: pixels in front of it.
        size: that comes out.
    """
    n = x.shape[axis]
    index = torch.arange(-before, size - before, device=x.device).abs()
    # a tensor, as the exporter to ONNX knows no remainder by a size that is open; 1 of a single pixel
    period = torch.zeros_like(index) + (2 * n - 2 + 1 // n)
    index = index % period
    return x.index_select(axis, torch.where(index < n, index, period - index))


def whole_unet(rotations: int = 1, grey_values: bool = False, **network: Any) -> WholeUNet:
    """The network by the arguments of `OriginalUNet`, without weights; what a BioImage.IO package calls."""
    return WholeUNet(OriginalUNet(**network), rotations, grey_values).eval()
