"""A trained network with all that prediction has to know of it."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from monai_unet.geometry import ValidGeometry
from monai_unet.io import Exposure, ImageSource, Pages, open_image
from monai_unet.transforms.decoding import Decoding
from monai_unet.transforms.restoration import Restoration


@dataclass(frozen=True)
class Model:
    """What a tile needs to become a prediction.

    Attributes:
        network: on its device, for inference.
        geometry: of the network.
        spatial_dims: 2 or 3.
        in_channels, out_channels: of the network.
        decoding: what its output means.
        channels, pages: of an image, see `monai_unet.io.open_image`.
        exposure: how grey values are normalised.
        value_range: lowest and highest grey value that this is made for; None where an image is normalised by itself.
        rotations: turned or mirrored versions of a tile that are averaged.
        precision: see `monai_unet.inferers.precision.compute_dtype`.
        bytes_per_pixel: that a forward pass takes for a pixel of its input.
        digest: of weights and settings; two models of the same digest predict the same.
        tile: output pixels of a tile, one number or one for each axis; chosen by memory when None.
        memory: what a process may take unless it is told otherwise, bytes or "2GB".
    """

    network: nn.Module
    geometry: ValidGeometry
    spatial_dims: int
    in_channels: int
    out_channels: int
    decoding: Decoding | Restoration
    channels: tuple[str, ...]
    pages: Pages | None
    exposure: Exposure
    value_range: tuple[float, float] | None
    rotations: int
    precision: str
    bytes_per_pixel: float
    digest: str
    tile: int | tuple[int, ...] | None = None
    memory: int | str = "2GB"

    @property
    def restores(self) -> bool:
        """Whether the network gives normalised grey values, and not logits."""
        return isinstance(self.decoding, Restoration)

    def open_image(self, path: str | os.PathLike[str]) -> ImageSource:
        """An image with the channels that the network takes; errors as `monai_unet.io.open_image` has them."""
        return open_image(path, self.channels, self.pages)

    def normalised(self, images: torch.Tensor, measured: torch.Tensor | None = None) -> torch.Tensor:
        """Grey values of whole images, (B, C, *size), as the network takes them.

        Args:
            images: as they are.
            measured: the same images with more pixels around them, whose numbers count where an image is normalised by
                itself; the images when left out.
        """
        scales = [self.exposure.of_array(_volume(each)) for each in (images if measured is None else measured)]
        found = [scale.normalised(_volume(each)) for scale, each in zip(scales, images, strict=True)]
        return torch.from_numpy(np.stack(found).reshape(images.shape))


def _volume(image: torch.Tensor) -> np.ndarray:
    """(C, D, H, W) of an image with or without sections."""
    return (image if image.ndim == 4 else image[:, None]).numpy()
