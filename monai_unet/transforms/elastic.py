"""Random tiles of a section, elastically deformed: the paper's augmentation in one resampling."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection, NdarrayOrTensor
from monai.transforms import Rand2DElasticd
from monai.utils import ensure_tuple_rep
from torch.nn.functional import grid_sample, interpolate, pad

from monai_unet.geometry import mirror
from monai_unet.to_device import to_device


def displacement_field(
    nodes: torch.Tensor,
    size: Sequence[int],
    affine: torch.Tensor | None = None,
    device: torch.device | str = "cpu",
) -> torch.Tensor:
    """Displacement of every pixel from the displacements of a coarse grid of nodes, by bicubic interpolation.

    Args:
        nodes: displacements of the nodes, pixels, (2, rows, columns); the outer nodes lie on the border of the tile.
        size: (H, W) of the tile, pixels.
        affine: (2, 3), what is added: affine @ (row, column, 1) for a pixel that lies so far from the tile's middle.
        device: where it is computed, from nodes on the CPU.

    Returns:
        (2, H, W), pixels; equal nodes give that displacement everywhere, zero nodes give exactly zero.

    Source: Ronneberger et al. (2015), section 3.1. That the 3 x 3 nodes span the tile is our reading of it.
    """
    terms = pad(nodes, [0, 2, 0, 2])
    if affine is not None:
        terms[:, -2, -1], terms[:, -1, -2], terms[:, -1, -1] = affine.unbind(1)
    rows, columns = (_terms(n, pixels, device) for n, pixels in zip(nodes.shape[1:], size, strict=True))
    return rows @ to_device(terms, device) @ columns.T


@lru_cache(maxsize=16)
def _terms(nodes: int, pixels: int, device: torch.device | str) -> torch.Tensor:
    """What a pixel of a line takes of each node, its place from the line's middle, and 1: (pixels, nodes + 2)."""
    of_nodes = interpolate(torch.eye(nodes)[None, :, None], size=(1, pixels), mode="bicubic", align_corners=True)
    place = torch.arange(pixels) - (pixels - 1) / 2
    return torch.cat([of_nodes[0, :, 0].T, place[:, None], torch.ones(pixels, 1)], dim=1).to(device)


class RandElasticTiled(Rand2DElasticd):
    """Cut a random tile out of a section, moved, turned, mirrored and elastically deformed in a single resampling.

    MONAI's `Rand2DElasticd` interpolates absolute coordinates with a bicubic kernel that does not reproduce a straight
    line: at the wide spacing of the paper's grid even a magnitude of 0 moves pixels by up to 14. Here the offsets are
    interpolated and the identity is added afterwards. Its affine part and its random state are used as they are.

    Args:
        keys: items of shape (C, H, W), all of one section, so of equal H and W.
        spatial_size: size of the square tile of each key, pixels; smaller ones are the middle of the largest. An
            unpadded network takes its input's size for the image and its output's size for label and weight.
        sigma: standard deviation of the displacements of the nodes, pixels.
        nodes: nodes along each axis of the tile.
        prob: probability that a tile is deformed, and turned by any angle; otherwise it is only cut out, at a random
            place, which leaves its grey values as they are.
        rotate_range, shear_range, scale_range: as in MONAI's `RandAffine`; rotation in radians.
        flip_prob: probability of a mirror image, for each axis.
        quarter_turns: whether each tile, deformed or not, is turned by 0, 90, 180 or 270 degrees too, and those not
            deformed are mirrored as well; whole pixels, so nothing is interpolated.
        mode: interpolation of each key, "bilinear", "bicubic" or "nearest".
        device: where to resample; when left out, where the items lie.
        allow_missing_keys: as in MONAI.

    What lies outside the section is its mirror image about its outer pixels. The tile's place is uniform among those
    that keep the smallest of its sizes inside the section, whole pixels; on an axis that is too short for that it is
    centred.

    Source: Ronneberger et al. (2015), section 3.1: shift, rotation, and elastic deformation by Gaussian displacements
    with a standard deviation of 10 pixels on a coarse 3 x 3 grid.
    """

    def __init__(
        self,
        keys: KeysCollection,
        spatial_size: int | Sequence[int],
        sigma: float = 10.0,
        nodes: int = 3,
        prob: float = 1.0,
        rotate_range: Any = None,
        shear_range: Any = None,
        scale_range: Any = None,
        flip_prob: float = 0.0,
        quarter_turns: bool = False,
        mode: str | Sequence[str] = "bilinear",
        device: torch.device | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        if sigma < 0:
            raise ValueError(f"sigma {sigma}: a standard deviation is 0 or more, in pixels")
        if nodes < 2:
            raise ValueError(f"nodes {nodes}: 2 or more span a tile; the paper takes 3")
        super().__init__(
            keys=keys,
            spacing=1.0,  # not used: the nodes span the tile
            magnitude_range=(sigma, sigma),
            prob=prob,
            rotate_range=rotate_range,
            shear_range=shear_range,
            scale_range=scale_range,
            mode=mode,
            padding_mode="reflection",
            device=device,
            allow_missing_keys=allow_missing_keys,
        )
        self.sizes: tuple[int, ...] = ensure_tuple_rep(spatial_size, len(self.keys))
        if any((max(self.sizes) - size) % 2 for size in self.sizes):
            raise ValueError(f"spatial_size {self.sizes}: tiles share their middle, so the differences must be even")
        self.nodes = nodes
        self.flip_prob = flip_prob
        self.quarter_turns = quarter_turns

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> RandElasticTiled:
        """Seed place, displacements and affine part; unlike in MONAI's class, each draws numbers of its own."""
        super().set_random_state(seed, state)
        for part in (self.rand_2d_elastic.deform_grid, self.rand_2d_elastic.rand_affine_grid):
            part.set_random_state(self.R.randint(2**31))
        return self

    def randomize(self, section_size: Sequence[int]) -> None:
        """Draw everything that is random for one section of (H, W) pixels."""
        super(Rand2DElasticd, self).randomize(None)
        inner = min(self.sizes)
        # where the smallest tile starts
        self._start = [self.R.randint(n - inner + 1) if n > inner else (n - inner) // 2 for n in section_size]
        self._turns = self.R.randint(4) if self.quarter_turns else 0
        if self._do_transform:
            self.rand_2d_elastic.deform_grid.randomize((self.nodes, self.nodes))
            self.rand_2d_elastic.rand_affine_grid.randomize()
        elif not self.quarter_turns:
            return
        self._flips = [-1.0 if self.R.random_sample() < self.flip_prob else 1.0 for _ in section_size]

    def __call__(self, data: Mapping[Hashable, NdarrayOrTensor]) -> dict[Hashable, NdarrayOrTensor]:
        """The sample with each key cut out; other items are passed on."""
        d = dict(data)
        section = {tuple(d[key].shape[-2:]) for key in self.key_iterator(d)}
        if len(section) != 1:
            raise ValueError(f"the keys {self.keys} are not of one section: sizes {sorted(section)}")
        (section_size,) = section
        self.randomize(section_size)
        tiled = self._deformed if self._do_transform else self._cut_out
        return {**d, **tiled(d, section_size)}

    def _cut_out(
        self, d: Mapping[Hashable, NdarrayOrTensor], section_size: Sequence[int]
    ) -> dict[Hashable, torch.Tensor]:
        """Tiles of whole pixels, mirrored where the indices say so, so that every grey value stays what it is."""
        turns, flips = (self._turns, self._flips) if self.quarter_turns else (0, [1.0, 1.0])
        # as rot90 and flip would do it: read backwards, then exchange the axes of odd turns
        down, along = (flip < 0 for flip in flips)
        backwards = [(down, along), (along, not down), (not down, not along), (not along, down)][turns]
        keys = list(self.key_iterator(d, self.sizes))
        indices = [
            mirror(np.arange(size)[:: -1 if reverse else 1] + start - (size - min(self.sizes)) // 2, n)
            for _, size in keys
            for start, n, reverse in zip(self._start, section_size, backwards, strict=True)
        ]
        placed = to_device(torch.from_numpy(np.concatenate(indices)), torch.as_tensor(d[keys[0][0]]).device)  # one copy
        parts = iter(placed.split([len(index) for index in indices]))
        tiles = {}
        for key, _ in keys:
            rows, columns = next(parts), next(parts)
            tile = torch.as_tensor(d[key]).index_select(2, columns).index_select(1, rows)
            tiles[key] = tile.transpose(1, 2) if turns % 2 else tile
        return tiles

    def _deformed(
        self, d: Mapping[Hashable, NdarrayOrTensor], section_size: Sequence[int]
    ) -> dict[Hashable, torch.Tensor]:
        """Tiles resampled once at where displacement, turns and affine part put each pixel."""
        device = self.rand_2d_elastic.device or torch.as_tensor(d[self.first_key(dict(d))]).device
        positions = self._positions(section_size, device)
        tiles = {}
        for key, size, mode, padding_mode in self.key_iterator(d, self.sizes, self.mode, self.padding_mode):
            crop = slice((max(self.sizes) - size) // 2, (max(self.sizes) + size) // 2)
            # threads share a batch by its items, so on a CPU a tile goes as several strips of rows
            strips = math.gcd(size, torch.get_num_threads()) if device.type == "cpu" else 1
            read = grid_sample(
                torch.as_tensor(d[key], dtype=torch.float32, device=device).expand(strips, -1, -1, -1),
                positions[:, crop, crop].movedim(0, -1).unflatten(0, (strips, -1)),
                mode=mode,
                padding_mode=padding_mode,
                align_corners=True,  # puts the mirror on the outer pixels, as np.pad(mode="reflect") does
            )
            tiles[key] = read.movedim(0, 1).flatten(1, 2)
        return tiles

    def _positions(self, section_size: Sequence[int], device: torch.device) -> torch.Tensor:
        """Where `grid_sample` reads each pixel of the largest tile: (2, H, W), columns first, the section -1 to 1."""
        outer, inner = max(self.sizes), min(self.sizes)
        affine_part = self.rand_2d_elastic.rand_affine_grid
        affine_part(spatial_size=(outer, outer), randomize=False, lazy=True)
        affine = np.asarray(affine_part.get_transformation_matrix(), dtype=np.float64)
        turn = np.linalg.matrix_power(np.array([[0.0, -1.0], [1.0, 0.0]]), self._turns)
        # pixels relative to the tile's centre -> pixels of the section -> -1 to 1
        scale = 2 / np.maximum(np.subtract(section_size, 1), 1)
        linear = scale[:, None] * (affine[:2, :2] @ turn @ np.diag(self._flips))
        middle = scale * (affine[:2, 2] + self._start + (inner - 1) / 2) - 1
        linear, middle = linear[::-1], middle[::-1]

        deform = self.rand_2d_elastic.deform_grid
        nodes = np.tensordot(linear, deform.rand_mag * deform.random_offset, axes=1)
        drawn, place = (
            torch.as_tensor(part, dtype=torch.float32) for part in (nodes, np.column_stack([linear, middle]))
        )
        return displacement_field(drawn, (outer, outer), place, device)
