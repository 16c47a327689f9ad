"""How far an exported network is from the network: the inputs, the differences, and when they are too large."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from monai_unet.inferers import OverlapTileInferer
from monai_unet.prediction.model import Model

TOLERANCE = 1e-4
"""The largest difference of a probability, or of a normalised grey value: another order of sums, no more."""
PROBABILITY, GREY_VALUE = "probability", "normalised grey value"
REAL = 700  # pixels of a real image that are compared, a side


@dataclass(frozen=True)
class Difference:
    """The largest difference `of` a probability or of a grey value, over all channels and pixels, for one input."""

    what: str
    shape: tuple[int, ...]
    largest: float
    of: str = PROBABILITY


def compared(model: Model, output: torch.Tensor) -> torch.Tensor:
    """What is compared of a network's output (B, C, *size): probabilities, or normalised grey values as they are."""
    return output if model.restores else output.softmax(1)


def difference(
    what: str, shape: Sequence[int], one: torch.Tensor, other: torch.Tensor, of: str = PROBABILITY
) -> Difference:
    """The difference of two predictions, `of` what they predict.

    Raises:
        ValueError: when they differ in shape.
    """
    if one.shape != other.shape:
        raise ValueError(f"{what}: the exported network outputs {tuple(other.shape)}, the network {tuple(one.shape)}")
    largest = float((one - other).abs().max())
    return Difference(what, tuple(shape), largest if np.isfinite(largest) else float("inf"), of)


def random_inputs(model: Model, seed: int = 0) -> list[torch.Tensor]:
    """Normalised noise over the whole range of grey values, in valid sizes: the smallest, others, a batch of two."""
    generator = torch.Generator().manual_seed(seed)
    geometry, dims = model.geometry, model.spatial_dims
    smallest = geometry.input_size_for(1)
    sizes = [
        (1, *[smallest] * dims),
        (2, *[smallest + axis * geometry.stride for axis in range(dims)]),
        (1, *[geometry.input_size_for(5 * geometry.stride + 1 - axis * geometry.stride) for axis in range(dims)]),
    ]
    return [model.normalised(noise((batch, model.in_channels, *size), model, generator)) for batch, *size in sizes]


def noise(shape: Sequence[int], model: Model, generator: torch.Generator) -> torch.Tensor:
    """Grey values at random."""
    low, high = model.value_range or (0.0, 255.0)
    return torch.rand(*shape, generator=generator) * (high - low) + low


def real_input(path: str | os.PathLike[str], model: Model) -> torch.Tensor:
    """The middle of an image file, at most 700 pixels a side, grey values as they are, (1, C, *size).

    Raises:
        ValueError: when the file has other channels than the network takes, or is a picture and the network takes
            volumes.
    """
    source = model.open_image(path)
    if source.info.ndim < model.spatial_dims:
        raise ValueError(f"{path} is a single picture; the network takes volumes")
    box = []
    for axis, n in enumerate(source.info.shape):
        size = 1 if axis == 0 and model.spatial_dims == 2 else min(n, REAL)
        box.append(slice((n - size) // 2, (n - size) // 2 + size))
    block = source.read((box[0], box[1], box[2])).astype(np.float32)
    return torch.from_numpy(block[:, 0] if model.spatial_dims == 2 else block)[None]


def table(differences: Sequence[Difference]) -> str:
    """The differences as a table in Markdown."""
    rows = [f"| {d.what} | {' x '.join(map(str, d.shape))} | {d.largest:.1e} |" for d in differences]
    return "\n".join([f"| input | shape | largest difference of a {differences[0].of} |", "|---|---|--:|", *rows])


def check(differences: Sequence[Difference], tolerance: float = TOLERANCE) -> None:
    """Raise ValueError when a difference is above the tolerance, naming the largest."""
    worst = max(differences, key=lambda d: d.largest)
    if worst.largest > tolerance:
        raise ValueError(
            f"the exported network differs from the network by {worst.largest:.1e} in {worst.of} ({worst.what}); "
            f"{tolerance:.0e} is allowed, so nothing was written"
        )


def compare_networks(
    model: Model,
    predict: Callable[[torch.Tensor], torch.Tensor],
    exported: Callable[[torch.Tensor], torch.Tensor],
    image: torch.Tensor | None,
) -> list[Difference]:
    """Differences of two networks that take valid sizes and give logits, or normalised grey values.

    Args:
        model: of both.
        predict: the network.
        exported: what was made of it.
        image: a real image, grey values; compared through the overlap-tile prediction.
    """
    found = []
    of = GREY_VALUE if model.restores else PROBABILITY
    with torch.inference_mode():
        for x in random_inputs(model):
            one, other = (compared(model, network(x)) for network in (predict, exported))
            found.append(difference("random", x.shape, one, other, of))
        if image is not None:
            normalised = model.normalised(image)
            inferer = OverlapTileInferer(
                tile=16 * model.geometry.stride,
                spatial_dims=model.spatial_dims,
                geometry=model.geometry,
                rotations=model.rotations,
                grey_values=model.restores,
            )
            one, other = (compared(model, inferer(normalised, network)) for network in (predict, exported))
            found.append(difference("real image", image.shape, one, other, of))
    return found
