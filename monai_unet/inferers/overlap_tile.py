"""Overlap-tile prediction: tiles that together are exactly the prediction of the whole image."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.inferers import Inferer
from tqdm import tqdm

from monai_unet.geometry import ValidGeometry, mirror


@dataclass(frozen=True)
class Span:
    """One tile along one axis, pixels: it fills [start, stop) of the output from `size` pixels of input."""

    start: int
    stop: int
    size: int


def spans(size: int, tile: int, geometry: ValidGeometry) -> list[Span]:
    """Tiles along an axis of `size` pixels: on the network's lattice, each output pixel in one of them.

    Args:
        size: length of the axis, pixels, 1 or more.
        tile: output pixels a tile, wanted; rounded down to the lattice unless one tile covers the axis.
        geometry: of the network.

    Returns:
        Tiles from left to right. All start at multiples of the step, the last one too: where it leaves the image,
        the mirror goes on. Its input is as small as what it has to cover, which changes nothing else.
    """
    step = size if size <= tile else geometry.step(tile)
    return [
        Span(start, min(start + step, size), geometry.input_size_for(min(step, size - start)))
        for start in range(0, size, step)
    ]


def tiles(sizes: Sequence[int], tile: Sequence[int], geometry: ValidGeometry) -> Iterator[tuple[Span, ...]]:
    """The tiles of an image of `sizes` pixels, one span an axis, the last axis fastest."""
    return itertools.product(*(spans(n, t, geometry) for n, t in zip(sizes, tile, strict=True)))


class OverlapTileInferer(Inferer):
    """Predict an image of any size with an unpadded network; the output has the size of the image.

    Context that is missing at the border is the mirrored image. Tiles lie on the lattice of the network's poolings, so
    that the result equals the untiled network's up to rounding, whatever the tile: nothing is blended, each
    output pixel comes from one tile.

    Args:
        tile: output pixels of a tile, one number or one an axis. Larger is faster, as less margin is computed twice,
            and needs more memory.
        spatial_dims: dimensions of the network. A 2-D network takes a volume section by section.
        geometry: of the network; when left out, `network.geometry`.
        section_axis: for a volume and a 2-D network, the spatial axis that counts the sections; MONAI's readers put it
            last.
        sw_device: where tiles are computed; when left out, where the image lies.
        device: where the output is put together; when left out, where the image lies.
        progress: show a bar.

    Raises:
        ValueError: for a tile smaller than the lattice; in the call, when the number of dimensions fits neither
            sections nor volumes, or the geometry is not known.

    Source: Ronneberger et al. (2015), Fig. 2.

    Example:
        >>> from monai_unet.networks import OriginalUNet
        >>> network = OriginalUNet(features=(4, 8, 16)).eval()
        >>> with torch.no_grad():
        ...     OverlapTileInferer(tile=64)(torch.rand(1, 1, 100, 33), network).shape
        torch.Size([1, 2, 100, 33])
    """

    def __init__(
        self,
        tile: int | Sequence[int] = 388,
        spatial_dims: int = 2,
        geometry: ValidGeometry | None = None,
        section_axis: int = -1,
        sw_device: torch.device | str | None = None,
        device: torch.device | str | None = None,
        progress: bool = False,
    ) -> None:
        super().__init__()
        self.tile = (tile,) * spatial_dims if isinstance(tile, int) else tuple(tile)
        if len(self.tile) != spatial_dims or min(self.tile) < 1:
            raise ValueError(f"tile {tile}: one positive number, or {spatial_dims} of them")
        if geometry is not None:
            geometry.step(min(self.tile))  # refuse a tile below the lattice now, not after an epoch
        self.spatial_dims = spatial_dims
        self.geometry = geometry
        self.section_axis = section_axis
        self.sw_device = sw_device
        self.device = device
        self.progress = progress

    def __call__(
        self, inputs: torch.Tensor, network: Callable[..., torch.Tensor], *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        """(B, C, *size) -> (B, classes, *size); a MetaTensor keeps its metadata."""
        image = inputs.as_tensor() if isinstance(inputs, MetaTensor) else inputs
        if image.dim() == self.spatial_dims + 2:
            output = self._predict(image, network, *args, **kwargs)
        elif image.dim() == 5 and self.spatial_dims == 2:
            sections = image.movedim(self._section_axis, 1)  # (B, D, C, H, W)
            flat = self._predict(sections.flatten(0, 1), network, *args, **kwargs)
            output = flat.unflatten(0, sections.shape[:2]).movedim(1, self._section_axis)
        else:
            raise ValueError(
                f"an image of shape {tuple(image.shape)} does not fit a {self.spatial_dims}-D network: expected "
                "(B, C, H, W)" + (" or (B, C, H, W, D)" if self.spatial_dims == 2 else ", with D")
            )
        if isinstance(inputs, MetaTensor):
            output = MetaTensor(output, meta=inputs.meta, applied_operations=inputs.applied_operations)
        return output

    @property
    def _section_axis(self) -> int:
        return self.section_axis if self.section_axis < 0 else self.section_axis + 2

    def _predict(
        self, image: torch.Tensor, network: Callable[..., torch.Tensor], *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        geometry = self.geometry or getattr(network, "geometry", None)
        if geometry is None:
            raise ValueError(
                "the network has no `geometry`: give it, OverlapTileInferer(geometry=ValidGeometry(depth=4))"
            )
        sw_device = self.sw_device or image.device
        device = self.device or image.device
        sizes = image.shape[2:]
        output: torch.Tensor | None = None
        boxes = [(b, tile) for tile in tiles(sizes, self.tile, geometry) for b in range(len(image))]
        for b, tile in tqdm(boxes, unit="tile", disable=not self.progress):
            patch = _read(image[b : b + 1], tile, geometry.margin)
            prediction = network(patch.to(sw_device), *args, **kwargs)
            if output is None:
                # half precision is for the network; a softmax of half-precision logits would round 0.9999 to 1
                dtype = torch.promote_types(prediction.dtype, torch.float32)
                output = torch.empty((len(image), prediction.shape[1], *sizes), dtype=dtype, device=device)
            box: tuple[int | slice, ...] = (b, slice(None), *(slice(span.start, span.stop) for span in tile))
            inside: tuple[int | slice, ...] = (0, slice(None), *(slice(span.stop - span.start) for span in tile))
            output[box] = prediction[inside].to(device)
        assert output is not None, "an image has at least one tile"
        return output


def _read(image: torch.Tensor, tile: Sequence[Span], margin: int) -> torch.Tensor:
    """The input of a tile: the image with its margin, mirrored where it leaves the image."""
    for axis, span in enumerate(tile, start=2):
        start, stop = span.start - margin, span.start - margin + span.size
        if start >= 0 and stop <= image.shape[axis]:
            image = image.narrow(axis, start, span.size)
        else:
            index = mirror(np.arange(start, stop), image.shape[axis])
            image = image.index_select(axis, torch.from_numpy(index).to(image.device))
    return image.contiguous()
