"""Sizes, margins and mirrored indices of an unpadded U-Net; integers only.

Every number that other code needs about sizes (572, 388, 92 px, the lattice of 16) is derived here from two
facts: how deep the network is, and how many 3x3 convolutions stand in a block.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ValidGeometry:
    """How the size of an image changes on its way through an unpadded U-Net; one number a spatial axis.

    A network of depth d halves the image d times; with s = 2**d and c convolutions a block, each of which takes
    one pixel a side, an input of s*k - 2c pixels gives an output that is 2c(3s - 2) pixels smaller.

    Args:
        depth: number of poolings, 1 or more; 4 in the paper.
        convs_per_block: number of 3x3 convolutions in a block, 1 or more; 2 in the paper.

    Raises:
        ValueError: when either is below 1.

    Source: Ronneberger et al. (2015), Fig. 1 and section 2; `tests/test_geometry.py` walks the layers.

    Example:
        >>> paper = ValidGeometry(depth=4)
        >>> paper.output_size(572), paper.margin, paper.stride
        (388, 92, 16)
    """

    depth: int = 4
    convs_per_block: int = 2

    def __post_init__(self) -> None:
        if self.depth < 1 or self.convs_per_block < 1:
            raise ValueError(
                f"a U-Net of depth {self.depth} with {self.convs_per_block} convolutions a block does not exist: "
                "both are 1 or more (the paper: 4 and 2)"
            )

    @property
    def stride(self) -> int:
        """Pixels of input to one pixel at the bottom: the lattice on which tiles must lie, 2**depth."""
        return 2**self.depth

    @property
    def margin(self) -> int:
        """Context that the network needs on each side of its output, pixels."""
        return self.convs_per_block * (3 * self.stride - 2)

    @property
    def smallest_input(self) -> int:
        """The smallest valid input, pixels."""
        return self.input_size_for(1)

    def is_valid(self, size: int) -> bool:
        """Whether an input of `size` pixels meets every pooling with an even size and leaves an output."""
        return (size + 2 * self.convs_per_block) % self.stride == 0 and size > 2 * self.margin

    def output_size(self, size: int) -> int:
        """Pixels that come out for `size` pixels in.

        Raises:
            ValueError: when `size` is not valid; the message names the nearest sizes that are.
        """
        if not self.is_valid(size):
            above = self.input_size_for(max(size - 2 * self.margin, 1))
            below = above - self.stride
            fits = f"{below} and {above}" if self.is_valid(below) else f"{above}, the smallest"
            raise ValueError(
                f"input size {size} does not fit a U-Net of depth {self.depth}: sizes are {self.stride}k - "
                f"{2 * self.convs_per_block} and above {2 * self.margin}; the nearest are {fits}"
            )
        return size - 2 * self.margin

    def input_size_for(self, output: int) -> int:
        """The smallest valid input whose output covers `output` pixels (`output` of 1 or more)."""
        if output < 1:
            raise ValueError(f"an output of {output} pixels: expected 1 or more")
        # the smallest s*k - 2c that is not below output + 2 margin
        remainder = (output + 2 * self.margin + 2 * self.convs_per_block) % self.stride
        return output + 2 * self.margin + (self.stride - remainder) % self.stride

    def step(self, tile: int) -> int:
        """The largest distance of neighbouring tiles of `tile` output pixels that keeps them on the lattice.

        Max pooling commutes with shifts by the stride only. 388 is no multiple of 16: at a step of 388 the tiles differ
        from the untiled network, at 384 they are equal to it.

        Raises:
            ValueError: when the tile is smaller than the stride, so that no step is left.
        """
        if tile < self.stride:
            raise ValueError(
                f"a tile of {tile} output pixels is smaller than the network's lattice of {self.stride}; take "
                f"{self.stride} or more"
            )
        return tile // self.stride * self.stride


def mirror(index: np.ndarray, size: int) -> np.ndarray:
    """Where a position outside an axis lies in its mirrored continuation.

    Args:
        index: integer positions, any shape, any distance outside.
        size: length of the axis, 1 or more.

    Returns:
        Integers in [0, size), same shape; equal to what `np.pad(mode="reflect")` repeats, for any width and down
        to a size of one pixel.

    Source: the missing context at the border is the mirrored image, Ronneberger et al. (2015), Fig. 2.

    Example:
        >>> mirror(np.arange(-3, 6), 4)
        array([3, 2, 1, 0, 1, 2, 3, 2, 1])
    """
    if size < 1:
        raise ValueError(f"an axis of {size} pixels has nothing to mirror")
    period = max(2 * size - 2, 1)
    position = np.abs(np.asarray(index)) % period
    return np.minimum(position, period - position) if size > 1 else np.zeros_like(position)
