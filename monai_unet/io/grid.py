"""Read what belongs to an image pixel for pixel, its labels say, by where both files say that they lie in space."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence

import numpy as np

from monai_unet.io.coloured import read_numbers
from monai_unet.io.sources import METRES, ImageInfo, open_source

_ROUNDING = 0.1  # pixels that two grids may differ by at their corners; single precision leaves a hundredth


def read_onto(
    path: str | os.PathLike[str],
    reference: str | os.PathLike[str] | ImageInfo,
    colours: Mapping[str, Sequence[int]] | None = None,
) -> np.ndarray:
    """The sections of a file on the grid of another one: labels beside their image, a proposal beside labels.

    Where both files have an affine (NIfTI, MetaImage, NRRD), it decides: axes that are swapped or reversed are put
    right, and of a larger volume the part is taken that the other covers. No value is interpolated.

    Args:
        path: see `read_numbers`.
        reference: file whose grid is wanted, or what is known of it; its pixels are not read.
        colours: of labels in colour, see `read_numbers`.

    Returns:
        (D, H, W), of the reference.

    Raises:
        FileNotFoundError, ValueError: when a file cannot be read, its shape differs, or by the affines no pixel of one
            is exactly a pixel of the other; names both.
    """
    return put_onto(read_numbers(path, colours), open_source(path).info, reference)


def put_onto(stack: np.ndarray, source: ImageInfo, reference: str | os.PathLike[str] | ImageInfo) -> np.ndarray:
    """The same for sections that have been read.

    Args:
        stack: (D, H, W).
        source: of the file that they are of.
        reference: see `read_onto`.

    Returns:
        (D, H, W), of the reference.

    Raises:
        ValueError: as `read_onto`.
    """
    target = reference if isinstance(reference, ImageInfo) else open_source(reference).info
    path, reference = source.path, target.path
    if source.affine is not None and target.affine is not None:
        placed = _placed(stack, source, target)
        if placed is None:
            raise ValueError(
                f"{path} does not lie where {reference} does: its affine is {_listed(source)} for {_size(source)} "
                f"pixels and the other's is {_listed(target)} for {_size(target)} (x, y, z). Resample it, "
                "nibabel.processing.resample_from_to(it, the_other, order=0), or, if their pixels do belong together, "
                "save it with the other's affine"
            )
        stack = placed
    if stack.shape != target.shape:
        raise ValueError(
            f"{path} has the shape {stack.shape} and {reference}, which it belongs to, {target.shape}; expected one "
            "pixel for each of its pixels, section by section"
        )
    return stack


def _placed(stack: np.ndarray, source: ImageInfo, target: ImageInfo) -> np.ndarray | None:
    """The stack on the grid of `target`, (D, H, W); None where that is not exact."""
    assert source.affine is not None
    assert target.affine is not None
    unit = METRES[source.unit] / METRES[target.unit] if source.unit and target.unit else 1.0
    in_place = np.diag([unit, unit, unit, 1.0]) @ source.affine
    if np.linalg.matrix_rank(target.affine) < 4:
        return None
    voxels = np.linalg.inv(target.affine) @ in_place  # from voxels of one to voxels of the other, (x, y, z)
    if source.shape[0] == target.shape[0] == 1:
        voxels[:3, 2] = voxels[2, :3] = (0, 0, 1)  # a single section is as thick as one likes
    turn, shift = np.rint(voxels[:3, :3]).astype(int), np.rint(voxels[:3, 3]).astype(int)
    if any(sorted(abs(line)) != [0, 0, 1] for line in (*turn, *turn.T)):
        return None
    corners = np.array(list(itertools.product(*((0, size - 1) for size in source.shape[::-1])))).T
    exact = turn @ corners + shift[:, None]
    if np.abs(voxels[:3, :3] @ corners + voxels[:3, 3:] - exact).max() > _ROUNDING:
        return None
    axes = abs(turn).argmax(1)
    array = stack.T.transpose(axes)
    array = np.flip(array, tuple(axis for axis in range(3) if turn[axis, axes[axis]] < 0))
    first = exact.min(1)  # where the first pixel of `array` lies in the other
    sizes = np.array(target.shape[::-1])
    if (first > 0).any() or (first + array.shape < sizes).any():
        return None
    return array[tuple(slice(-start, -start + size) for start, size in zip(first, sizes, strict=True))].T


def _listed(info: ImageInfo) -> str:
    assert info.affine is not None
    unit = f" in {info.unit}s" if info.unit else ""
    return f"{np.round(info.affine[:3], 4).tolist()}{unit}"


def _size(info: ImageInfo) -> str:
    return " x ".join(map(str, info.shape[::-1]))
