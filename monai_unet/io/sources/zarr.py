"""OME-Zarr (0.4 and 0.5) and plain Zarr arrays (versions 2 and 3) read box by box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from monai_unet.io.sources.base import METRES, Box, ImageInfo, ImageSource, unit_name

NEEDS_ZARR = "needs the package zarr, for Python 3.11 and later: pip install 'monai-unet[large]'"


class ZarrSource(ImageSource):
    """Level 0 of an OME-Zarr, or a Zarr array: (H, W), (D, H, W) or (C, D, H, W) when its axes have no names."""

    def _open(self) -> tuple[Any, tuple[str, ...], Mapping]:
        """The array, the names of its axes, and the multiscale that it belongs to ({} of a plain array)."""
        zarr = import_zarr(str(self.path))
        node = zarr.open(self.path, mode="r")
        if isinstance(node, zarr.Array):
            return node, _named_axes(node), {}
        attributes = dict(node.attrs)
        multiscales = attributes.get("ome", attributes).get("multiscales")
        if not multiscales:
            if "monai_unet" in attributes:
                raise ValueError("it is an unfinished prediction; run it again with the same arguments")
            members = ", ".join(sorted(node.keys())) or "nothing"
            raise ValueError(f"it is a Zarr group without an image of its own; it holds {members}: name one of them")
        level = node[multiscales[0]["datasets"][0]["path"]]
        return level, tuple(axis["name"] for axis in multiscales[0]["axes"]), multiscales[0]

    def _describe(self) -> ImageInfo:
        array, axes, multiscale = self._file
        sizes = dict(zip(axes, array.shape, strict=True))
        if not {"y", "x"} <= set(axes) or not set(axes) <= set("tczyx"):
            raise ValueError(f"it has the axes {axes} of {array.shape}; expected y and x, and z, c and t at most")
        if sizes.get("t", 1) != 1:
            raise ValueError(f"it has {sizes['t']} points in time; save each in an image of its own")
        shape = (sizes.get("z", 1), sizes["y"], sizes["x"])
        spacing, origin, unit = _place(multiscale, axes)
        dtype = array.dtype.newbyteorder("=")
        dtype = np.dtype(np.uint8) if dtype.kind == "b" else dtype
        ndim = 3 if "z" in axes else 2
        return ImageInfo(self.path, shape, sizes.get("c", 1), dtype, ndim, spacing, unit, origin=origin)

    def _read(self, box: Box) -> np.ndarray:
        array, axes, _ = self._file
        wanted = {"c": slice(None), "t": slice(0, 1), **dict(zip("zyx", box, strict=True))}
        block = np.asarray(array[tuple(wanted[axis] for axis in axes)])
        present = [axis for axis in "tczyx" if axis in axes]
        block = block.transpose([axes.index(axis) for axis in present])
        extent = tuple(part.stop - part.start for part in box)
        return block.reshape(self.info.channels, *extent).astype(self.info.dtype, copy=False)


def import_zarr(name: str) -> Any:
    """The package zarr, or an error that says how to get it."""
    try:
        import zarr
    except ImportError as error:
        raise ImportError(f"{name}: {NEEDS_ZARR}") from error
    return zarr


def _named_axes(array: Any) -> tuple[str, ...]:
    names = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS")
    if names and set(names) <= set("tczyx"):
        return tuple(names)
    if not 2 <= array.ndim <= 4:
        raise ValueError(f"it has the shape {array.shape}; expected (H, W), (D, H, W) or (C, D, H, W)")
    return tuple("czyx"[-array.ndim :])


def _place(
    multiscale: Mapping, axes: Sequence[str]
) -> tuple[tuple[float, float, float] | None, tuple[float, float, float] | None, str | None]:
    """Size of a pixel and place of the first one as (z, y, x), and their unit."""
    if not multiscale:
        return None, None, None
    units = {axis["name"]: unit_name(axis.get("unit")) for axis in multiscale["axes"]}
    scale, translation = np.ones(len(axes)), np.zeros(len(axes))
    transforms = (multiscale["datasets"][0], multiscale)  # of the level, then of all levels
    for transform in (t for owner in transforms for t in owner.get("coordinateTransformations", ())):
        if transform["type"] == "scale":
            scale *= transform["scale"]
            translation *= transform["scale"]
        elif transform["type"] == "translation":
            translation += transform["translation"]
    unit = units["x"]
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
