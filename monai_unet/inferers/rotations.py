"""The mean over rotated and mirrored versions of the input, as the paper averaged its predictions."""

from __future__ import annotations

from collections.abc import Callable

import torch

from monai_unet.inferers.precision import without_tf32
from monai_unet.softmax import logits_of, softmax_of_pixels

VERSIONS = ((0, False), (1, False), (2, False), (3, False), (0, True), (1, True), (2, True), (3, True))
"""Quarter turns, and whether the image is mirrored after them: all eight ways to lay a square onto itself."""


def rotated(image: torch.Tensor, turns: int, mirrored: bool) -> torch.Tensor:
    """Turn the last two axes by quarter turns, then mirror the last one; pixels move and keep their values."""
    turned = torch.rot90(image, turns, (-2, -1))
    return turned.flip(-1) if mirrored else turned


def rotated_back(image: torch.Tensor, turns: int, mirrored: bool) -> torch.Tensor:
    """The exact inverse of `rotated`."""
    return torch.rot90(image.flip(-1) if mirrored else image, -turns, (-2, -1))


def check_rotations(rotations: int) -> None:
    """Raise ValueError for a number of versions that there is not."""
    if not 1 <= rotations <= len(VERSIONS):
        raise ValueError(f"rotations {rotations}: 1 (the image as it is) to {len(VERSIONS)}; the paper took 7")


@without_tf32()
def mean_over_rotations(
    network: Callable[[torch.Tensor], torch.Tensor], patch: torch.Tensor, rotations: int, grey_values: bool = False
) -> torch.Tensor:
    """The network's prediction, averaged over versions of its input and turned back.

    It is applied tile by tile, and tiled still equals untiled: the sizes that fit an unpadded network put both ends of
    every tile on the lattice of its poolings, so a tile that is turned pools as the whole image does when it is turned.

    Args:
        network: (B, C, ..., H, W) to logits (B, classes, ..., h, w).
        patch: its input; H and W may differ.
        rotations: the first so many of `VERSIONS`, 1 to 8; in a volume, sections are turned in their plane.
        grey_values: whether the network gives grey values, (B, C, ..., h, w), which are averaged as they are.

    Returns:
        The network's logits for 1. For more, logarithms of the mean probability, so that a softmax over classes gives
        the mean of the versions' softmax; of grey values their mean.

    Source: Ronneberger et al. (2015), section 4: "averaged over 7 rotated versions of the input data". Which 7 is not
    said; multiples of 90 degrees and their mirror images need no interpolation.
    """
    if rotations == 1:
        return network(patch)
    total: torch.Tensor | None = None
    for version in VERSIONS[:rotations]:
        logits = network(rotated(patch, *version))
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        part = rotated_back(logits if grey_values else softmax_of_pixels(logits), *version)
        total = part.clone() if total is None else total.add_(part)
    assert total is not None, "there is one version at least"
    mean = total / rotations
    return mean if grey_values else logits_of(mean)
