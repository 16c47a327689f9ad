"""What every reader of image files promises: boxes of pixels, never the whole image."""

from __future__ import annotations

import logging
import math
import os
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

logger = logging.getLogger(__name__)

Box = tuple[slice, slice, slice]

DEFLATE_RATIO = 1032
"""How many bytes one byte of zlib, gzip or PNG can become at most: 258 for two bits."""

# an image above the first size, in bytes, needs a byte in the file for so many of its own: a blank one packs well
_LARGE, _LARGEST_RATIO = 1 << 30, 1_000_000

_SMALLEST = 1e-20  # of a pixel's size; the largest is its inverse
_FLAT = 1e-6  # volume between the axes of an affine, for axes of length 1, below which they lie in a plane

# names as NGFF has them, with their length in metres; what the formats write instead stands in `unit_name`
METRES = {
    "angstrom": 1e-10,
    "nanometer": 1e-9,
    "micrometer": 1e-6,
    "millimeter": 1e-3,
    "centimeter": 1e-2,
    "meter": 1.0,
}
_UNITS = {
    "å": "angstrom",
    "nm": "nanometer",
    "µm": "micrometer",
    "μm": "micrometer",  # the Greek letter; the line above has the micro sign
    "\\u00b5m": "micrometer",  # ImageJ writes it escaped
    "um": "micrometer",
    "micron": "micrometer",
    "microns": "micrometer",
    "mm": "millimeter",
    "cm": "centimeter",
    "m": "meter",
}


@dataclass(frozen=True, eq=False)
class ImageInfo:
    """What is known of an image before a pixel is read.

    Attributes:
        path: of the file, or the folder of a Zarr.
        shape: (D, H, W); a single picture has D = 1.
        channels: 1 of a grey image, 3 of RGB.
        dtype: of what `read` returns.
        ndim: 2 or 3, as in the file: a single picture is not a stack of one section.
        spacing: size of a pixel as (z, y, x) in `unit`, None when the file does not say; z is 1 where only that is
            missing.
        unit: "nanometer", "micrometer", ...; None when the file does not say.
        origin: place of the first pixel's middle as (z, y, x) in `unit`, where the axes run along those of space; None
            when the file does not say.
        affine: of NIfTI, MetaImage, NRRD and DICOM, 4 x 4, from voxels (x, y, z) to `unit`; None of other formats.
        colour_table: the file has a table (a palette, a LUT) that gives each number another colour or grey value. The
            numbers are what `read` returns: right for labels, but no grey values.
        channels_in: where the channels of a pixel lie: together in "pixels", or apart in "planes" of a page or in
            "pages" of their own, as sections do: what a file calls its channels may then be sections.
        channel_names: as the file has them, one for each channel; empty when it does not say.
        pages_named: whether the file says if its pages are sections or channels.
    """

    path: Path
    shape: tuple[int, int, int]
    channels: int
    dtype: np.dtype
    ndim: int
    spacing: tuple[float, float, float] | None = None
    unit: str | None = None
    origin: tuple[float, float, float] | None = None
    affine: np.ndarray | None = None
    colour_table: bool = False
    channels_in: Literal["pixels", "planes", "pages"] = "pixels"
    channel_names: tuple[str, ...] = ()
    pages_named: bool = True


def sound_spacing(spacing: tuple[float, float, float] | None) -> tuple[float, float, float] | None:
    """A spacing (z, y, x) that may reach a file: a negative one says the direction, and counts by its size.

    None where y or x is zero, infinite, NaN or beyond what any unit needs, as if the file did not say; where only z is,
    it is 1.

    Example:
        >>> sound_spacing((-0.5, 2.0, 2.0)), sound_spacing((float("nan"), 2.0, 2.0)), sound_spacing((1.0, 0.0, 2.0))
        ((0.5, 2.0, 2.0), (1.0, 2.0, 2.0), None)
    """
    if spacing is None:
        return None
    z, y, x = (abs(size) if _SMALLEST < abs(size) < 1 / _SMALLEST else 0.0 for size in spacing)
    return (z or 1.0, y, x) if y and x else None


def sound_affine(affine: np.ndarray | None, spacing: tuple[float, float, float] | None) -> np.ndarray | None:
    """An affine that may reach a file; one without an inverse gives way to the one that the spacing (z, y, x) makes.

    Example:
        >>> sound_affine(np.diag([np.nan, 1, 1, 1]), (3.0, 2.0, 1.0)).diagonal()
        array([1., 2., 3., 1.])
    """
    if affine is None:
        return None
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if (
        np.isfinite(affine).all()
        and (lengths > _SMALLEST).all()
        and abs(np.linalg.det(affine[:3, :3] / lengths)) > _FLAT
    ):
        return affine
    return np.diag([*reversed(spacing or (1.0, 1.0, 1.0)), 1.0])


def straight_origin(affine: np.ndarray) -> tuple[float, float, float] | None:
    """The place (z, y, x) of the first pixel by an affine whose axes run along those of space; None of others."""
    x, y, z = (float(at) for at in affine[:3, 3])
    is_straight = np.array_equal(affine[:3, :3], np.diag(affine.diagonal()[:3])) and affine.diagonal().min() > 0
    return (z, y, x) if is_straight and np.isfinite(affine).all() else None


class ImageSource(ABC):
    """An image that is read box by box, from several threads at once if need be.

    A pickled source takes no open file along: the other process opens the file when it first reads.

    Raises:
        ValueError: when the file holds no numbers, or describes more of them than its bytes can hold.
    """

    info: ImageInfo

    def __init__(self, path: Path) -> None:
        self.path = path
        info = self._describe()
        spacing = sound_spacing(info.spacing)
        origin = info.origin if info.origin is not None and all(map(math.isfinite, info.origin)) else None
        self.info = replace(info, spacing=spacing, origin=origin, affine=sound_affine(info.affine, spacing))
        if min(self.info.shape) < 1:
            raise ValueError(f"it has the shape {self.info.shape}: there are no pixels in it")
        if self.info.dtype.kind not in "uif":
            raise ValueError(f"it holds values of type {self.info.dtype}; expected whole or real numbers")
        size = math.prod(self.info.shape) * self.info.channels * self.info.dtype.itemsize
        if size > _LARGE and (stored := self._stored_bytes(size // _LARGEST_RATIO)) < size // _LARGEST_RATIO:
            raise ValueError(
                f"it describes an image of {self.info.shape}, {size} bytes, and {stored} bytes are there: it is "
                "damaged or cut off; fetch or copy it again"
            )

    @property
    def files(self) -> tuple[Path, ...]:
        """The files, or the folder of a Zarr, that the pixels come from."""
        return (self.path,)

    def read(self, box: Box) -> np.ndarray:
        """The pixels of a box that lies in the image.

        Args:
            box: one slice per axis, array order, start and stop given, step 1.

        Returns:
            (channels, d, h, w), in the type and byte order of this machine.

        Raises:
            ValueError: when the box leaves the image, or the file is damaged there.
        """
        bounds = tuple((part.start, part.stop) for part in box)
        if any(not 0 <= start <= stop <= size for (start, stop), size in zip(bounds, self.info.shape, strict=True)):
            raise ValueError(f"the box {bounds} leaves {self.path}, which has the shape {self.info.shape}")
        try:
            return self._read(box)
        except Exception as error:  # each format's reader has its own errors, all of them mean that the file is no good
            raise ValueError(f"{self.path} cannot be read at {place(box)}: {said(error)}") from error

    @cached_property
    def _file(self) -> Any:
        return self._open()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_file"}

    def _stored_bytes(self, enough: int) -> int:
        """Bytes that the image takes on the disk; counting may stop at `enough`."""
        return self.path.stat().st_size

    @abstractmethod
    def _open(self) -> Any:
        """The reader's own object, which `_describe` and `_read` find as `self._file`."""

    @abstractmethod
    def _describe(self) -> ImageInfo: ...

    @abstractmethod
    def _read(self, box: Box) -> np.ndarray: ...


def check_finite(block: np.ndarray, name: str | os.PathLike[str], box: Box) -> None:
    """Refuse a block with NaN or infinite values.

    Args:
        block: (channels, d, h, w), as `ImageSource.read` returns it.
        name: the file, for the error.
        box: where the block lies in the image, for the error.

    Raises:
        ValueError: with the file and the first bad place, in array order from 0.
    """
    if block.dtype.kind != "f" or np.isfinite(block).all():
        return
    bad = ~np.isfinite(block)
    z, y, x = (int(at + part.start) for at, part in zip(np.argwhere(bad)[0][1:], box, strict=True))
    raise ValueError(
        f"{name} holds {int(bad.sum())} values that are not finite (NaN or infinite) in {place(box)}, the first at "
        f"section {z}, row {y}, column {x}; replace them first"
    )


def is_grey_ramp(table: np.ndarray, num_values: int) -> bool:
    """Whether a colour table shows every number as the grey value that it is, black 0 and the largest number white.

    A table that runs from white to black, or brightens what is between, says that the numbers are not grey values.

    Args:
        table: (n, 3), red, green and blue of the numbers 0 to n - 1, as 8 or 16 bits; entries of numbers that do not
            occur may be missing at the end.
        num_values: how many numbers the file's bits can hold.

    Example:
        >>> ramp = np.repeat(np.arange(4)[:, None], 3, axis=1) * 85
        >>> is_grey_ramp(ramp, 4), is_grey_ramp(ramp[::-1], 4)
        (True, False)
    """
    if (table != table[:, :1]).any():
        return False
    shown, numbers = table[:, 0].astype(float), np.arange(len(table))
    # white is 255, or in a table of 16 bits 65535, or 65280 where each 8-bit value was shifted
    whites = (255, 65280, 65535)
    return any(np.allclose(shown * (num_values - 1) / white, numbers, rtol=0, atol=0.5) for white in whites)


@cache  # once for a folder and a kind of file
def _say_transparent(folder: Path, suffix: str) -> None:
    logger.warning(f"{folder}: {suffix} files with transparency (an alpha channel), which is dropped")


def say_transparent(path: Path) -> None:
    """Say that an image's transparency is dropped, once for a folder and a kind of file."""
    _say_transparent(path.parent, path.suffix)


def said(error: Exception) -> str:
    """The message of an error, or its kind where it has none."""
    return str(error) or type(error).__name__


def place(box: Box) -> str:
    """A box in words, for errors."""
    z, y, x = ((part.start, part.stop) for part in box)
    return f"sections {z[0]} to {z[1]}, rows {y[0]} to {y[1]}, columns {x[0]} to {x[1]}"


def unit_name(unit: str | None) -> str | None:
    """The unit as NGFF calls it, "µm" -> "micrometer"; None for pixels, nothing and what is no length."""
    name = (unit or "").strip().lower().replace("metre", "meter")
    name = _UNITS.get(name, name)
    return name if name in METRES else None
