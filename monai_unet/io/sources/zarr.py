"""OME-Zarr (0.1 to 0.5) and plain Zarr arrays (versions 2 and 3) read box by box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from monai_unet.io.sources.base import METRES, Box, ImageInfo, ImageSource, unit_name

NEEDS_ZARR = "needs the package zarr 3, which is for Python 3.11 and later, and comes with monai-unet there"
_VERSIONS = ("0.1", "0.2", "0.3", "0.4", "0.5")
_METADATA = ("zarr.json", ".zarray", ".zgroup", ".zattrs")
_WITHOUT_AXES = ("0.1", "0.2")  # always t c z y x

_Point = tuple[float, float, float]
_Place = tuple[_Point | None, _Point | None, str | None]
"""Size of a pixel and place of the first one, as (z, y, x), and their unit."""


class ZarrSource(ImageSource):
    """Level 0 of an OME-Zarr, or a Zarr array: (H, W), (D, H, W) or (C, D, H, W) when its axes have no names."""

    _names: tuple[str, ...] = ()

    def _open(self) -> tuple[Any, tuple[str, ...], _Place]:
        """The array, the names of its axes, and what the multiscale says of them (nothing of a plain array)."""
        zarr = import_zarr(str(self.path))
        for name in _METADATA:
            if (self.path / name).exists() and not (self.path / name).is_file():
                raise ValueError(f"its {name} is not an ordinary file")
        node = zarr.open(self.path, mode="r")
        if isinstance(node, zarr.Array):
            _check_chunk_names(self.path, node)
            return node, _named_axes(node), (None, None, None)
        attributes = dict(node.attrs)
        ome = attributes.get("ome", attributes)
        multiscales = ome.get("multiscales") if isinstance(ome, Mapping) else None
        if not multiscales:
            if "monai_unet" in attributes:
                raise ValueError("it is an unfinished prediction; run it again with the same arguments")
            members = ", ".join(sorted(node.keys())) or "nothing"
            raise ValueError(f"it is a Zarr group without an image of its own; it holds {members}: name one of them")
        array, axes, scaling = _finest_level(node, ome.get("version"), multiscales)
        _check_chunk_names(self.path / array.path, array)
        self._names = _names(ome.get("omero"))
        return array, axes, scaling

    def _describe(self) -> ImageInfo:
        array, axes, (spacing, origin, unit) = self._file
        if len(axes) != len(array.shape):
            raise ValueError(f"it names the axes {axes}, and its array has the shape {array.shape}")
        sizes = dict(zip(axes, array.shape, strict=True))
        if not {"y", "x"} <= set(axes) or not set(axes) <= set("tczyx"):
            raise ValueError(f"it has the axes {axes} of {array.shape}; expected y and x, and z, c and t at most")
        if sizes.get("t", 1) != 1:
            raise ValueError(f"it has {sizes['t']} points in time; save each in an image of its own")
        shape = (sizes.get("z", 1), sizes["y"], sizes["x"])
        dtype = array.dtype.newbyteorder("=")
        dtype = np.dtype(np.uint8) if dtype.kind == "b" else dtype
        ndim = 3 if "z" in axes else 2
        channels = sizes.get("c", 1)
        names = self._names if len(self._names) == channels else ()
        return ImageInfo(self.path, shape, channels, dtype, ndim, spacing, unit, origin=origin, channel_names=names)

    def _stored_bytes(self, enough: int) -> int:
        total = 0
        for file in (each for each in self.path.rglob("*") if each.is_file()):
            total += file.stat().st_size
            if total >= enough:  # the first chunks tell
                break
        return total

    def _read(self, box: Box) -> np.ndarray:
        array, axes, _ = self._file
        wanted = {"c": slice(None), "t": slice(0, 1), **dict(zip("zyx", box, strict=True))}
        block = np.asarray(array[tuple(wanted[axis] for axis in axes)])
        present = [axis for axis in "tczyx" if axis in axes]
        block = block.transpose([axes.index(axis) for axis in present])
        extent = tuple(part.stop - part.start for part in box)
        return block.reshape(self.info.channels, *extent).astype(self.info.dtype, copy=False)


def _names(omero: Any) -> tuple[str, ...]:
    """Of the channels, as OME's description for viewers has them; empty where they do not tell them apart."""
    try:
        names = tuple(str(channel["label"]) for channel in omero["channels"])
    except (LookupError, TypeError):
        return ()
    return names if len(set(names)) == len(names) else ()


def import_zarr(name: str) -> Any:
    """The package zarr, or an error that says how to get it."""
    try:
        import zarr
    except ImportError as error:
        raise ImportError(f"{name}: {NEEDS_ZARR} ({error})") from error
    return zarr


def _named_axes(array: Any) -> tuple[str, ...]:
    names = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS")
    if names and set(names) <= set("tczyx"):
        return tuple(names)
    if not 2 <= array.ndim <= 4:
        raise ValueError(f"it has the shape {array.shape}; expected (H, W), (D, H, W) or (C, D, H, W)")
    return tuple("czyx"[-array.ndim :])


def _check_chunk_names(folder: Path, array: Any) -> None:
    """Refuse chunks that zarr would not find, and take for blank ones.

    Writers of early OME-Zarr left out the field that says that chunks are called "0/0" and not "0.0".
    """
    separator = getattr(array.metadata, "dimension_separator", None)  # of version 2
    if separator is None or array.ndim < 2:
        return
    # the first one tells: "0.0" a file, or "0" a folder
    chunks = (each for each in folder.iterdir() if each.name.replace(".", "").isdigit())
    chunk = next(chunks, None)
    if chunk is not None and ("/" if chunk.is_dir() else ".") != separator:
        other = "/" if separator == "." else "."
        raise ValueError(
            f'its chunks lie in {chunk} and so on, and its .zarray says otherwise: set "dimension_separator" to '
            f'"{other}" there'
        )


def _finest_level(group: Any, version: Any, multiscales: Any) -> tuple[Any, tuple[str, ...], _Place]:
    """Array, axes and place of level 0 of the first multiscale of an OME-Zarr."""
    try:
        multiscale = multiscales[0]
        version = multiscale.get("version", version)  # up to 0.4 it stands here
        level = multiscale["datasets"][0]
        path = level["path"]
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"its `multiscales` name no array: {str(multiscales)[:200]}") from error
    if version is not None and str(version) not in _VERSIONS:
        raise ValueError(f"it is an OME-Zarr {version}; versions {', '.join(_VERSIONS)} can be read: save it as one")
    if path not in group:
        members = ", ".join(sorted(group.keys())) or "nothing"
        raise ValueError(f"its array {path!r} is missing; it holds {members}: copy or fetch it again")
    array = group[path]
    axes, units = _axes(multiscale.get("axes"), version, array.shape)
    return array, axes, _place([level, multiscale], axes, units)


def _axes(axes: Any, version: Any, shape: Sequence[int]) -> tuple[tuple[str, ...], dict[str, str | None]]:
    """Names of the axes, and the unit of each."""
    if axes is None and (str(version) in _WITHOUT_AXES or (version is None and len(shape) == 5)):
        if len(shape) != 5:
            raise ValueError(f"an OME-Zarr {version} has the axes t, c, z, y and x; its array has the shape {shape}")
        return tuple("tczyx"), {}
    try:  # words up to 0.3
        described = [{"name": axis} if isinstance(axis, str) else axis for axis in axes]
        names = tuple(axis["name"] for axis in described)
        units = {axis["name"]: unit_name(axis.get("unit")) for axis in described}
    except (LookupError, TypeError, AttributeError) as error:
        of_version = "" if version is None else f" {version}"
        raise ValueError(
            f"its `axes` are {axes!r}; an OME-Zarr{of_version} names each axis of its array of shape {shape}"
        ) from error
    if len(units) != len(names):
        raise ValueError(f"it names an axis twice: {names}")
    return names, units


def _place(owners: Sequence[Mapping], axes: Sequence[str], units: Mapping[str, str | None]) -> _Place:
    """What the transformations of a level and of all levels make of a pixel's size and place."""
    scale, translation = np.ones(len(axes)), np.zeros(len(axes))
    for transform in (each for owner in owners for each in owner.get("coordinateTransformations") or ()):
        if transform.get("type") == "scale":
            factors = _numbers(transform, "scale", axes)
            with np.errstate(invalid="ignore"):  # 0 times infinity, which is no spacing either
                scale *= factors
                translation *= factors
        elif transform.get("type") == "translation":
            translation += _numbers(transform, "translation", axes)
    unit = units.get("x")
    sizes, places = [], []
    for axis in "zyx":
        own = units.get(axis)
        factor = METRES[own] / METRES[unit] if own and unit else 1.0
        sizes.append(float(scale[axes.index(axis)]) * factor if axis in axes else 1.0)
        places.append(float(translation[axes.index(axis)]) * factor if axis in axes else 0.0)
    origin = (places[0], places[1], places[2]) if any(places) else None
    if unit is None and set(sizes) == {1.0}:  # pixels
        return None, origin, None
    return (sizes[0], sizes[1], sizes[2]), origin, unit


def _numbers(transform: Mapping, kind: str, axes: Sequence[str]) -> list[float]:
    numbers = transform.get(kind)
    if (
        not isinstance(numbers, (list, tuple))
        or len(numbers) != len(axes)
        or not all(isinstance(size, (int, float)) and not isinstance(size, bool) for size in numbers)
    ):
        raise ValueError(f"its {kind} is {numbers!r}; expected a number for each of the axes {', '.join(axes)}")
    return list(numbers)
