"""A trained network with all that prediction has to know of it."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
from torch import nn

from monai_unet.geometry import ValidGeometry
from monai_unet.io import ImageSource, Pages, open_image
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
        mean, std: grey values are normalised by (x - mean) / std; one for all channels, or one for each.
        value_range: lowest and highest grey value that this is made for.
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
    mean: float | tuple[float, ...]
    std: float | tuple[float, ...]
    value_range: tuple[float, float]
    rotations: int
    precision: str
    bytes_per_pixel: float
    digest: str
    tile: int | tuple[int, ...] | None = None
    memory: int | str = "2GB"

    def open_image(self, path: str | os.PathLike[str]) -> ImageSource:
        """An image with the channels that the network takes; errors as `monai_unet.io.open_image` has them."""
        return open_image(path, self.channels, self.pages)

    def normalised(self, image: torch.Tensor) -> torch.Tensor:
        """Grey values as the network takes them; (B, C, *size)."""
        return (image - _by_channel(self.mean, image)) / _by_channel(self.std, image)

    def grey_values(self, normalised: torch.Tensor) -> torch.Tensor:
        """What `normalised` is made of; (B, C, *size)."""
        return normalised * _by_channel(self.std, normalised) + _by_channel(self.mean, normalised)


def _by_channel(value: float | tuple[float, ...], image: torch.Tensor) -> float | torch.Tensor:
    if not isinstance(value, tuple):
        return value
    return torch.tensor(value, dtype=image.dtype).reshape(-1, *[1] * (image.ndim - 2))
