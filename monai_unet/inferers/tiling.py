"""Tiles that together are exactly the prediction of the whole image: where they lie, what they read, how large.

The one loop of every prediction, in memory or out of core: for each tile `read_mirrored` its box, run the network,
keep what the tile fills. Each output pixel belongs to one tile, so nothing is blended and no tile waits for another.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from monai_unet.geometry import ValidGeometry, mirror
from monai_unet.memory import memory_in_words


@dataclass(frozen=True)
class Span:
    """One tile along one axis, all in pixels.

    Attributes:
        start, stop: what it fills.
        read: where its input begins, below 0 at the left border.
        size: of its input; the same for all tiles of a prediction.
        before: how many of the network's output pixels lie before `start`.
    """

    start: int
    stop: int
    read: int
    size: int
    before: int


def spans(size: int, tile: int, geometry: ValidGeometry, region: tuple[int, int] | None = None) -> list[Span]:
    """Tiles along an axis: on the network's lattice, each output pixel in one of them.

    Args:
        size: length of the axis, pixels, 1 or more.
        tile: output pixels a tile, wanted; rounded down to the lattice unless one covers the region.
        geometry: of the network.
        region: (start, stop), the part of the axis that is wanted; all of it when left out. The tiles stay on the
            lattice that starts at 0, so that a region is exactly a part of the whole prediction.

    Returns:
        Tiles from left to right, a constant step apart, the last one too: where it leaves the image, the mirror goes
        on. All have inputs of one size, that of the whole image's tiles in a region too: a library computes inputs of
        another size by other kernels, which round differently.
    """
    first, last = region or (0, size)
    inputs = geometry.input_size_for(size if size <= tile else geometry.step(tile))
    room, stride = geometry.output_size(inputs), geometry.stride
    before = first % stride  # a tile begins on the lattice, so up to stride - 1 pixels before what it fills
    # steps of the lattice, or in the smallest of tiles what is left of them when the region begins at their end
    several = (room - before) // stride * stride or room - stride + 1
    step = last - first if before + last - first <= room else several
    return [
        Span(start, min(start + step, last), start - start % stride - geometry.margin, inputs, start % stride)
        for start in range(first, last, step)
    ]


def tiles(axes: Sequence[Sequence[Span]]) -> Iterator[tuple[Span, ...]]:
    """Every combination of the axes' spans, the last axis fastest."""
    return itertools.product(*axes)


def read_mirrored(
    read: Callable[[tuple[slice, ...]], torch.Tensor], sizes: Sequence[int], tile: Sequence[Span]
) -> torch.Tensor:
    """The input of a tile: the image with its margin, mirrored where it leaves the image.

    Args:
        read: gives the pixels of a box inside the image, (..., *box), one slice per axis.
        sizes: of the image, pixels.
        tile: one span an axis.

    Returns:
        (..., *[span.size for span in tile]); no more of the image is read than the tile needs.
    """
    indices = [mirror(np.arange(span.read, span.read + span.size), n) for span, n in zip(tile, sizes, strict=True)]
    box = tuple(slice(int(index.min()), int(index.max()) + 1) for index in indices)
    patch = read(box)
    for axis, (index, part) in enumerate(zip(indices, box, strict=True), start=patch.dim() - len(tile)):
        if not np.array_equal(index, np.arange(part.start, part.stop)):
            patch = patch.index_select(axis, torch.from_numpy(index - part.start).to(patch.device))
    return patch.contiguous()


def crop_to_tile(prediction: torch.Tensor, tile: Sequence[Span], geometry: ValidGeometry) -> torch.Tensor:
    """What a tile fills, (B, classes, *extent), of the network's output for it; single precision or better."""
    for axis, span in enumerate(tile, start=2):
        # the rest is margin
        surplus = (prediction.shape[axis] - (span.size - 2 * geometry.margin)) // 2
        prediction = prediction.narrow(axis, surplus + span.before, span.stop - span.start)
    # half precision is for the network; a softmax of half-precision logits would round 0.9999 to 1
    return prediction.to(torch.promote_types(prediction.dtype, torch.float32))


def choose_tile(
    sizes: Sequence[int], geometry: ValidGeometry, memory: int, bytes_per_pixel: float, besides: int = 0
) -> tuple[int, ...]:
    """The tile that predicts an image with the least work in a memory budget.

    Args:
        sizes: of the image or region, pixels; 2 or 3 axes.
        geometry: of the network.
        memory: bytes that a forward pass may take.
        bytes_per_pixel: that it takes for a pixel of its input.
        besides: bytes that were asked for and are not part of `memory`, as the program itself takes them; for the
            message.

    Returns:
        Output pixels of a tile, one number an axis. Among all divisions of the axes into equal tiles whose input fits
        the budget, the one that reads the fewest pixels in all: larger tiles read less margin twice.

    Raises:
        ValueError: when not even the smallest tile fits; the message says how much would.
    """
    limit = memory / bytes_per_pixel
    options = [_divisions(n, geometry) for n in sizes]  # (tile, its input, all inputs), fewest tiles first
    best: tuple[float, tuple[int, ...]] | None = None
    for leading in itertools.product(*options[:-1]):
        largest = float(np.prod([option[1] for option in leading]))
        total = float(np.prod([option[2] for option in leading]))
        last = next((option for option in options[-1] if largest * option[1] <= limit), None)
        if last is not None and (best is None or total * last[2] < best[0]):
            best = (total * last[2], (*(option[0] for option in leading), last[0]))
    if best is None:
        least = float(np.prod([choices[-1][1] for choices in options])) * bytes_per_pixel
        raise ValueError(
            "the memory is too little for a single tile of this network, which needs at least "
            f"{memory_in_words(least + besides)}"
        )
    return best[1]


def _divisions(size: int, geometry: ValidGeometry) -> list[tuple[int, int, int]]:
    """The sensible tiles of an axis, largest first: output pixels, pixels of its input, of all inputs."""
    found: list[tuple[int, int, int]] = []
    for count in range(1, -(-size // geometry.stride) + 1):
        tile = -(-size // count)
        if count > 1:
            tile = -(-tile // geometry.stride) * geometry.stride
        if not found or tile < found[-1][0]:
            inputs = geometry.input_size_for(tile)
            found.append((tile, inputs, -(-size // tile) * inputs))
    return found


def free_memory(device: torch.device) -> int:
    """Half of the bytes that are free on a device now, as others want some, and its allocator keeps some.

    Raises:
        ValueError: where neither device nor system tell; 2GB and the like can be given there.
    """
    if device.type in ("cuda", "xpu"):
        return getattr(torch, device.type).mem_get_info(device)[0] // 2
    if "SC_AVPHYS_PAGES" not in getattr(os, "sysconf_names", ()):
        raise ValueError("memory 'free': this system does not tell what is free; give an amount, as 2GB")
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
