"""Overlap-tile prediction of images in memory, as a MONAI inferer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from monai.data import MetaTensor
from monai.inferers import Inferer
from tqdm import tqdm

from monai_unet.geometry import ValidGeometry
from monai_unet.inferers.precision import autocast, check_result
from monai_unet.inferers.rotations import check_rotations, mean_over_rotations
from monai_unet.inferers.tiling import choose_tile, crop_to_tile, free_memory, read_mirrored, spans, tiles
from monai_unet.memory import parse_memory


class OverlapTileInferer(Inferer):
    """Predict an image of any size with an unpadded network; the output has the size of the image.

    Context that is missing at the border is the mirrored image. Tiles lie on the lattice of the network's poolings, so
    that the result equals the untiled network's up to rounding, whatever the tile: nothing is blended, each
    output pixel comes from one tile. All tiles have one input size, and go through the network in batches of one size.

    Args:
        tile: output pixels of a tile, one number or one per axis. Larger is faster, as less margin is computed twice,
            and needs more memory. When left out, it is chosen from `memory`.
        memory: what a forward pass may take, bytes, "2GB", or "free" for half of what is free on the device; needs a
            network that knows its `bytes_per_pixel`.
        sw_batch_size: tiles that go through the network at once.
        spatial_dims: dimensions of the network. A 2-D network takes a volume section by section.
        geometry: of the network; when left out, `network.geometry`.
        section_axis: for a volume and a 2-D network, the spatial axis that counts the sections; MONAI's readers put it
            last.
        sw_device: where tiles are computed; when left out, where the image lies.
        device: where the output is put together; when left out, where the image lies.
        amp_dtype: for mixed precision, what the network computes in, as in `torch.autocast`; float32 or None for none.
        rotations: how many turned or mirrored versions of a tile are predicted and averaged, 1 to 8; the paper took 7.
            See `mean_over_rotations`.
        grey_values: whether the network gives grey values, which are averaged as they are, and not logits.
        progress: show a bar.

    Raises:
        ValueError: for a tile smaller than the lattice; in the call, when the number of dimensions fits neither
            sections nor volumes, when the geometry is not known, or when not even the smallest tile fits the memory.

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
        tile: int | Sequence[int] | None = None,
        memory: int | str = "2GB",
        sw_batch_size: int = 1,
        spatial_dims: int = 2,
        geometry: ValidGeometry | None = None,
        section_axis: int = -1,
        sw_device: torch.device | str | None = None,
        device: torch.device | str | None = None,
        amp_dtype: torch.dtype | None = None,
        rotations: int = 1,
        progress: bool = False,
        grey_values: bool = False,
    ) -> None:
        super().__init__()
        self.tile = (tile,) * spatial_dims if isinstance(tile, int) else tile if tile is None else tuple(tile)
        if self.tile is not None and (len(self.tile) != spatial_dims or min(self.tile) < 1):
            raise ValueError(f"tile {tile}: one positive number, or {spatial_dims} of them")
        if self.tile is not None and geometry is not None:
            geometry.step(min(self.tile))  # refuse a tile below the lattice now, not after an epoch
        check_rotations(rotations)
        if sw_batch_size < 1:
            raise ValueError(f"sw_batch_size {sw_batch_size}: 1 or more")
        self.memory = memory if memory == "free" else parse_memory(memory)
        self.sw_batch_size = sw_batch_size
        self.spatial_dims = spatial_dims
        self.geometry = geometry
        self.section_axis = section_axis
        self.sw_device = sw_device
        self.device = device
        self.amp_dtype = amp_dtype
        self.rotations = rotations
        self.grey_values = grey_values
        self.progress = progress

    def __call__(
        self, inputs: torch.Tensor, network: Callable[..., torch.Tensor], *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        """(B, C, *size) -> (B, classes, *size); a MetaTensor keeps its metadata."""
        image = inputs.as_tensor() if isinstance(inputs, MetaTensor) else inputs
        if image.dim() == self.spatial_dims + 2:
            output = self._predict(image, network, *args, **kwargs)
        elif image.dim() == 5 and self.spatial_dims == 2:
            axis = self.section_axis if self.section_axis < 0 else self.section_axis + 2
            sections = image.movedim(axis, 1)  # (B, D, C, H, W)
            flat = self._predict(sections.flatten(0, 1), network, *args, **kwargs)
            output = flat.unflatten(0, sections.shape[:2]).movedim(1, axis)
        else:
            raise ValueError(
                f"an image of shape {tuple(image.shape)} does not fit a {self.spatial_dims}-D network: expected "
                "(B, C, H, W)" + (" or (B, C, H, W, D)" if self.spatial_dims == 2 else ", with D")
            )
        if isinstance(inputs, MetaTensor):
            output = MetaTensor(output, meta=inputs.meta, applied_operations=inputs.applied_operations)
        return output

    def _predict(
        self, image: torch.Tensor, network: Callable[..., torch.Tensor], *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        geometry = self.geometry or getattr(network, "geometry", None)
        if geometry is None:
            raise ValueError(
                "the network has no `geometry`: give it, OverlapTileInferer(geometry=ValidGeometry(depth=4))"
            )
        sw_device = torch.device(self.sw_device or image.device)
        device = self.device or image.device
        sizes = image.shape[2:]
        axes = [
            spans(n, t, geometry)
            for n, t in zip(sizes, self.tile_for(sizes, geometry, network, sw_device), strict=True)
        ]
        output: torch.Tensor | None = None
        every = [(b, tile) for tile in tiles(axes) for b in range(len(image))]
        batch = min(self.sw_batch_size, len(every))
        groups = [every[first : first + batch] for first in range(0, len(every), batch)]
        for group in tqdm(groups, unit="batch", disable=not self.progress):
            patches = [read_mirrored(_reader(image[b : b + 1]), sizes, tile).to(sw_device) for b, tile in group]
            patches += patches[-1:] * (batch - len(group))  # other sizes of a batch would round differently too
            with autocast(sw_device, self.amp_dtype):
                whole = mean_over_rotations(
                    lambda patch: network(patch, *args, **kwargs),
                    torch.cat(patches),
                    self.rotations,
                    self.grey_values,
                )
            for (b, tile), prediction in zip(group, whole.split(1)[: len(group)], strict=True):
                filled = crop_to_tile(prediction, tile, geometry)
                if output is None:
                    shape = (len(image), filled.shape[1], *sizes)
                    output = torch.empty(shape, dtype=filled.dtype, device=device)
                box: tuple[int | slice, ...] = (b, slice(None), *(slice(span.start, span.stop) for span in tile))
                output[box] = filled[0].to(device)
        assert output is not None, "an image has at least one tile"
        if output.device.type != "meta":
            check_result(output)
        return output

    def tile_for(
        self, sizes: Sequence[int], geometry: ValidGeometry, network: Callable[..., torch.Tensor], device: torch.device
    ) -> Sequence[int]:
        """Output pixels of a tile of an image of this size, one number an axis."""
        if self.tile is not None:
            return self.tile
        bytes_per_pixel = getattr(network, "bytes_per_pixel", None)
        if bytes_per_pixel is None:
            raise ValueError("the network does not know its `bytes_per_pixel`: give OverlapTileInferer a tile")
        memory = free_memory(device) if isinstance(self.memory, str) else self.memory
        return choose_tile(sizes, geometry, memory // self.sw_batch_size, bytes_per_pixel)


def _reader(image: torch.Tensor) -> Callable[[tuple[slice, ...]], torch.Tensor]:
    def read(box: tuple[slice, ...]) -> torch.Tensor:
        where = (slice(None), slice(None), *box)
        return image[where]

    return read
