"""What a BioImage.IO package says or does beside what follows from its bundle."""

from __future__ import annotations

import re
from dataclasses import dataclass

from monai_unet.io.sources.base import unit_name


@dataclass(frozen=True)
class PackageOptions:
    """Choices of the person who exports.

    Attributes:
        blocks: make the package for programs that predict in blocks, instead of for whole images of any size.
        pixel_size: as "4 x 4 nm" or "0.19 um"; that of the bundle's metadata when None, and not said without any.
        maintainers: users of GitHub.
    """

    blocks: bool = False
    pixel_size: str | None = None
    maintainers: tuple[str, ...] = ()


def parse_pixel_size(text: str, spatial_dims: int) -> tuple[tuple[float, ...], str]:
    """The size of a pixel along each axis, (D,) H, W, and its unit as NGFF calls it.

    Args:
        text: numbers in that order, or one for all axes, and a unit.
        spatial_dims: 2 or 3.

    Raises:
        ValueError: when it is something else.

    Example:
        >>> parse_pixel_size("50 x 4 x 4 nm", 3)
        ((50.0, 4.0, 4.0), 'nanometer')
    """
    found = re.fullmatch(r"\s*([\d.]+(?:\s*[x×]\s*[\d.]+)*)\s*([^\d\s.]+)\s*", text)  # noqa: RUF001 - people write it
    try:
        sizes = [float(number) for number in re.split(r"[x×]", found[1])] if found else []  # noqa: RUF001
    except ValueError:
        sizes = []
    unit = unit_name(found[2]) if found else None
    if unit is None or len(sizes) not in (1, spatial_dims) or min(sizes) <= 0:
        example = " x ".join(["0.5"] * spatial_dims)
        raise ValueError(f'pixel size {text!r}: write "0.5 um", or "{example} um" for {spatial_dims} axes')
    return tuple(sizes if len(sizes) == spatial_dims else sizes * spatial_dims), unit
