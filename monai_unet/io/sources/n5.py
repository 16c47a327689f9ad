"""N5 read box by box, through TensorStore: Zarr 3 no longer reads it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from monai_unet.io.sources.base import Box, ImageInfo, ImageSource, unit_name

ATTRIBUTES = "attributes.json"
_LARGE_BLOCK = 1 << 28  # bytes
_LONGEST = 1 << 21  # bytes of a file of attributes
_MOST_FOLDERS = 2000  # that are searched for datasets
_MOST_NAMED = 20  # datasets in an error


class N5Source(ImageSource):
    """A dataset of an N5: the only one of the folder, the finest of its pyramid (`s0`), or the folder that is named.

    N5 lists axes the other way round, (W, H), (W, H, D) or (W, H, D, C); an attribute `axes` may say otherwise.
    """

    def _open(self) -> tuple[Any, Mapping[str, Any]]:
        """TensorStore's array, axes in the order of the file, and the attributes beside it."""
        try:
            import tensorstore
        except ImportError as error:
            raise ImportError(
                f"{self.path}: N5 needs the package tensorstore, for Python 3.11 and later: pip install "
                "'monai-unet[formats]'; or convert it to OME-Zarr, which needs no more"
            ) from error
        folder = _dataset(self.path)
        attributes = _attributes(folder)
        _check_blocks(attributes)
        kept = {"driver": "file", "path": str(folder.resolve())}
        return tensorstore.open({"driver": "n5", "kvstore": kept}, open=True, read=True).result(), attributes

    def _describe(self) -> ImageInfo:
        array, attributes = self._file
        axes = _axes(attributes, array.shape)
        sizes = dict(zip(axes, array.shape, strict=True))
        if sizes.get("t", 1) != 1:
            raise ValueError(f"it has {sizes['t']} points in time; save each in an image of its own")
        spacing, unit = _spacing(attributes, axes)
        return ImageInfo(
            self.path,
            (sizes.get("z", 1), sizes["y"], sizes["x"]),
            sizes.get("c", 1),
            np.dtype(array.dtype.numpy_dtype).newbyteorder("="),
            ndim=3 if "z" in axes else 2,
            spacing=spacing,
            unit=unit,
        )

    def _stored_bytes(self, enough: int) -> int:
        total = 0
        for file in (each for each in _dataset(self.path).rglob("*") if each.is_file()):
            total += file.stat().st_size
            if total >= enough:  # the first blocks tell
                break
        return total

    def _read(self, box: Box) -> np.ndarray:
        array, attributes = self._file
        axes = _axes(attributes, array.shape)
        wanted = {"c": slice(0, self.info.channels), "t": slice(0, 1), **dict(zip("zyx", box, strict=True))}
        block = array[tuple(wanted[axis] for axis in axes)].read().result()
        block = block.transpose([axes.index(axis) for axis in "tczyx" if axis in axes])
        extent = tuple(part.stop - part.start for part in box)
        return block.reshape(self.info.channels, *extent).astype(self.info.dtype, copy=False)


def _attributes(folder: Path) -> dict[str, Any]:
    file = folder / ATTRIBUTES
    if not file.exists():
        return {}
    if not file.is_file() or file.stat().st_size > _LONGEST:
        raise ValueError(f"its {file.name} in {folder} is not an ordinary file of text")
    attributes = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(attributes, dict):
        raise ValueError(f"its {file.name} in {folder} holds {str(attributes)[:100]}; expected names and values")
    return attributes


def _is_dataset(folder: Path) -> bool:
    return "dimensions" in _attributes(folder)


def _dataset(folder: Path) -> Path:
    """The folder of the dataset."""
    if _is_dataset(folder):
        return folder
    found: list[Path] = []
    groups = [folder]
    for group in groups:  # grows meanwhile
        if _is_dataset(group / "s0"):  # a pyramid
            found.append(group / "s0")
            continue
        for child in sorted(each for each in group.iterdir() if each.is_dir() and not each.is_symlink()):
            if _is_dataset(child):
                found.append(child)
            elif len(groups) < _MOST_FOLDERS:
                groups.append(child)
    if len(found) == 1:
        return found[0]
    if not found:
        raise ValueError(f"there is no dataset in it, a folder whose {ATTRIBUTES} names its `dimensions`")
    names = ", ".join(str(each.relative_to(folder)) for each in found[:_MOST_NAMED])
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    raise ValueError(f"it holds {len(found)} datasets, {names}{more}: name one, {found[0]}")


def _check_blocks(attributes: Mapping[str, Any]) -> None:
    """Refuse blocks so large that one fills the memory."""
    sizes, block = attributes.get("dimensions"), attributes.get("blockSize")
    for name, numbers in (("dimensions", sizes), ("blockSize", block)):
        if not isinstance(numbers, list) or not all(isinstance(n, int) and n >= 0 for n in numbers):
            raise ValueError(f"its {name} are {numbers!r}; expected whole numbers")
    if math.prod(block) * 8 > max(_LARGE_BLOCK, 4 * 8 * math.prod(sizes)):  # type: ignore[arg-type]
        raise ValueError(f"its blocks have the size {block}, it has {sizes}: it is damaged")


def _axes(attributes: Mapping[str, Any], shape: tuple[int, ...]) -> tuple[str, ...]:
    """The names of the axes in the order of the file, x first."""
    given = attributes.get("axes")
    if isinstance(given, list) and all(isinstance(name, str) for name in given):
        names = tuple(name.lower() for name in given)
    elif 2 <= len(shape) <= 4:
        names = tuple("xyzc"[: len(shape)])
    else:
        raise ValueError(f"it has the dimensions {shape}; expected (W, H), (W, H, D) or (W, H, D, C)")
    if len(names) != len(shape) or len(set(names)) != len(names):
        raise ValueError(f"it names the axes {', '.join(names)}, and has the dimensions {shape}")
    if not {"y", "x"} <= set(names) or not set(names) <= set("tczyx"):
        raise ValueError(f"it has the axes {', '.join(names)} of {shape}; expected y and x, and z, c and t at most")
    return names


def _spacing(
    attributes: Mapping[str, Any], axes: tuple[str, ...]
) -> tuple[tuple[float, float, float] | None, str | None]:
    """Size of a pixel as (z, y, x), and its unit: of `pixelResolution` (Fiji), or of `resolution` and `units`."""
    fiji = attributes.get("pixelResolution")
    if isinstance(fiji, dict):
        sizes, unit = fiji.get("dimensions"), fiji.get("unit")
    else:
        sizes, unit = attributes.get("resolution", fiji), attributes.get("units")
    if isinstance(unit, list):
        unit = unit[axes.index("x")] if len(unit) == len(axes) else None
    space = [axis for axis in axes if axis in "xyz"]
    if not isinstance(sizes, list) or not all(isinstance(n, (int, float)) for n in sizes):
        return None, None
    if len(sizes) == len(axes):
        along = dict(zip(axes, sizes, strict=True))
    elif len(sizes) == len(space):
        along = dict(zip(space, sizes, strict=True))
    elif len(sizes) == 3:
        along = dict(zip("xyz", sizes, strict=True))
    else:
        return None, None
    name = unit_name(unit) if isinstance(unit, str) else None
    return (float(along.get("z", 1.0)), float(along["y"]), float(along["x"])), name
