"""HDF5 read box by box, as Fiji, ilastik and others write it."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from monai_unet.io.sources.base import DEFLATE_RATIO, Box, ImageInfo, ImageSource, unit_name
from monai_unet.io.sources.inside import split_inside

NEEDS_FORMATS = "pip install 'monai-unet[formats]'"
_LARGE_CHUNK = 1 << 28  # bytes
_MOST_LINKS = 40  # from link to link; as many as Linux follows
_MOST_NAMED = 20  # datasets in an error
_PACKED = {1: DEFLATE_RATIO, 2: 1, 3: 1, 5: 1, 6: 1}  # of the filters gzip; shuffle, checksum, nbit, scale-offset


class Hdf5Source(ImageSource):
    """A dataset of an HDF5 file: the only one that may be an image, or the one that the path names.

    FILE.h5/volumes/raw names one.

    Its axes are (H, W), (D, H, W) or (C, D, H, W) unless it says otherwise: in ilastik's `axistags`, in HDF5's labels
    of dimensions, or in an attribute `axes`, "zyx" say. The size of a pixel is in ilastik's tags, in Fiji's
    `element_size_um`, or in `resolution` with `unit` or `units` (z, y, x).
    """

    def _open(self) -> Any:
        file, inner = split_inside(self.path)
        h5py = _import_h5py(self.path)
        opened = h5py.File(file, "r")
        if inner:
            dataset = _follow(h5py, opened, inner)
            if not isinstance(dataset, h5py.Dataset):
                raise ValueError(f"{inner!r} is a group in it; name one of its datasets: {_listed(h5py, dataset)}")
        else:
            dataset = _the_only_one(h5py, opened)
        _check_storage(dataset, file)
        return dataset

    def _describe(self) -> ImageInfo:
        dataset = self._file
        axes, tagged = _axes(dataset)
        sizes = dict(zip(axes, dataset.shape, strict=True))
        if sizes.get("t", 1) != 1:
            raise ValueError(f"it has {sizes['t']} points in time; save each in an image of its own")
        dtype = np.dtype(np.uint8) if dataset.dtype.kind == "b" else dataset.dtype.newbyteorder("=")
        spacing, unit = _spacing(dataset, tagged)
        return ImageInfo(
            self.path,
            (sizes.get("z", 1), sizes["y"], sizes["x"]),
            sizes.get("c", 1),
            dtype,
            ndim=3 if "z" in axes else 2,
            spacing=spacing,
            unit=unit,
            origin=_origin(dataset) if spacing else None,
        )

    def _stored_bytes(self, enough: int) -> int:
        return self._file.id.get_storage_size()

    def _read(self, box: Box) -> np.ndarray:
        dataset = self._file
        axes, _ = _axes(dataset)
        wanted = {"c": slice(None), "t": slice(0, 1), **dict(zip("zyx", box, strict=True))}
        block = np.asarray(dataset[tuple(wanted[axis] for axis in axes)])
        block = block.transpose([axes.index(axis) for axis in "tczyx" if axis in axes])
        extent = tuple(part.stop - part.start for part in box)
        return block.reshape(self.info.channels, *extent).astype(self.info.dtype, copy=False)


def _import_h5py(path: Path) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise ImportError(f"{path}: HDF5 needs the package h5py: {NEEDS_FORMATS}") from error
    with contextlib.suppress(ImportError):  # more compressions, where it is installed
        import hdf5plugin  # noqa: F401
    return h5py


def _follow(h5py: Any, file: Any, inner: str) -> Any:
    """The object of that name in this file. Links to other files are refused, which HDF5 would open."""
    node, parts, links = file, [part for part in inner.split("/") if part], 0
    while parts:
        name = parts.pop(0)
        link = node.get(name, getlink=True) if isinstance(node, h5py.Group) else None
        if isinstance(link, h5py.SoftLink):
            links += 1
            if links > _MOST_LINKS:
                raise ValueError(f"{inner!r} is a link that leads to itself")
            target = link.path
            node = file if target.startswith("/") else node
            parts = [part for part in target.split("/") if part not in ("", ".")] + parts
        elif isinstance(link, h5py.ExternalLink):
            raise ValueError(
                f"{inner!r} is a link to another file, {link.filename}, which is not followed: give that file"
            )
        elif link is None:
            raise ValueError(f"it holds no {inner!r}; it holds {_listed(h5py, file)}")
        else:
            node = node[name]
    return node


def _datasets(h5py: Any, group: Any) -> list[Any]:
    """The datasets below a group that may be images; links, soft or to other files, are not followed."""
    found: list[Any] = []

    def visit(_: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset) and node.dtype.kind in "uifb" and _may_be_an_image(node):
            found.append(node)

    group.visititems(visit)
    return found


def _may_be_an_image(dataset: Any) -> bool:
    try:
        _axes(dataset)
    except ValueError:
        return False
    return True


def _listed(h5py: Any, group: Any) -> str:
    found = _datasets(h5py, group)
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    return ", ".join(f"{each.name} {each.shape}" for each in found[:_MOST_NAMED]) + more or "no image"


def _the_only_one(h5py: Any, file: Any) -> Any:
    found = _datasets(h5py, file)
    if len(found) == 1:
        return found[0]
    if not found:
        raise ValueError("it holds no dataset of numbers with 2 to 4 axes")
    raise ValueError(
        f"it holds {len(found)} datasets, {_listed(h5py, file)}: name one, {Path(file.filename).name}{found[0].name}"
    )


def _check_storage(dataset: Any, file: Path) -> None:
    """Refuse pixels in other files, compressions that are missing, and more than the file can hold."""
    import h5py

    if dataset.is_virtual or dataset.external:
        raise ValueError("its pixels lie in other files (a virtual dataset or external storage): give one with its own")
    settings = dataset.id.get_create_plist()
    filters = [settings.get_filter(index) for index in range(settings.get_nfilters())]
    for number, *_, name in filters:
        if not h5py.h5z.filter_avail(number):
            raise ValueError(
                f"its compression {name.decode(errors='replace')!r} (HDF5 filter {number}) is missing: pip install "
                "hdf5plugin"
            )
    stored, size = dataset.id.get_storage_size(), math.prod(dataset.shape) * dataset.dtype.itemsize
    if stored > file.stat().st_size:
        raise ValueError(f"it describes {stored} bytes of pixels, and is smaller: it is damaged or cut off")
    if dataset.chunks is None:
        return
    chunk = math.prod(dataset.chunks) * dataset.dtype.itemsize
    if chunk > max(_LARGE_CHUNK, 4 * size):
        raise ValueError(f"its chunks have the shape {dataset.chunks}, it the shape {dataset.shape}: it is damaged")
    if chunk <= _LARGE_CHUNK or dataset.id.get_num_chunks() == 0:
        return
    largest = max(dataset.id.get_chunk_info(i).size for i in range(min(dataset.id.get_num_chunks(), 1000)))
    ratio = math.prod(_PACKED.get(number, 1_000_000) for number, *_ in filters)
    if chunk > largest * ratio:
        raise ValueError(
            f"its chunks have the shape {dataset.chunks}, {chunk} bytes, and {largest} bytes cannot be unpacked to as "
            "many: it is damaged"
        )


def _axes(dataset: Any) -> tuple[tuple[str, ...], dict[str, float]]:
    """The names of the axes, and what vigra's tags say of the size of a pixel along them."""
    names, sizes = _named(dataset)
    shape = dataset.shape or ()
    if not names:
        if not 2 <= len(shape) <= 4:
            raise ValueError(f"it has the shape {shape}; expected (H, W), (D, H, W) or (C, D, H, W)")
        names = tuple("czyx"[-len(shape) :])
    if len(names) != len(shape) or len(set(names)) != len(names):
        raise ValueError(f"it names the axes {', '.join(names)}, and has the shape {shape}")
    if not {"y", "x"} <= set(names) or not set(names) <= set("tczyx"):
        raise ValueError(f"it has the axes {', '.join(names)} of {shape}; expected y and x, and z, c and t at most")
    return names, sizes


def _named(dataset: Any) -> tuple[tuple[str, ...], dict[str, float]]:
    tags = _text(dataset.attrs.get("axistags"))
    if tags:
        try:
            axes = json.loads(tags)["axes"]
            sizes = {axis["key"].lower(): float(axis.get("resolution") or 0) for axis in axes}
            return tuple(axis["key"].lower() for axis in axes), sizes
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise ValueError(f"its axistags are {tags[:200]!r}; expected those of vigra") from error
    if "DIMENSION_LABELS" in dataset.attrs:
        labels = tuple(_text(label).lower() for label in _flat(dataset.attrs["DIMENSION_LABELS"]))
        if all(labels):
            return labels, {}
    given = dataset.attrs.get("axes")
    if given is None:
        return (), {}
    words = [_text(each) for each in _flat(given)]
    letters = list(words[0]) if len(words) == 1 else words  # "zyx" or ["z", "y", "x"]
    return tuple(letter.strip().lower() for letter in letters if letter.strip(", ")), {}


def _spacing(dataset: Any, tagged: Mapping[str, float]) -> tuple[tuple[float, float, float] | None, str | None]:
    """Size of a pixel as (z, y, x), and its unit."""
    if (sizes := _three(dataset, "element_size_um")) is not None:
        return sizes, "micrometer"
    unit = next((_text(_flat(dataset.attrs[key])[0]) for key in ("unit", "units") if _any(dataset, key)), None)
    if (sizes := _three(dataset, "resolution")) is not None:
        return sizes, unit_name(unit)
    if tagged.get("x") and tagged.get("y"):  # ilastik has no unit; 0 is what is not known
        return (tagged.get("z") or 1.0, tagged["y"], tagged["x"]), unit_name(unit)
    return None, None


def _origin(dataset: Any) -> tuple[float, float, float] | None:
    """Where the first pixel lies, as CREMI and others say it: `offset` (z, y, x) in the unit of `resolution`."""
    return _three(dataset, "offset") if "resolution" in dataset.attrs else None


def _three(dataset: Any, name: str) -> tuple[float, float, float] | None:
    """The attribute as (z, y, x); of a picture's two numbers z is 1 in size and 0 in place."""
    if not _any(dataset, name):
        return None
    try:
        numbers = [float(number) for number in _flat(dataset.attrs[name])]
    except (TypeError, ValueError) as error:
        raise ValueError(f"its {name} is {dataset.attrs[name]!r}; expected three numbers, z, y and x") from error
    if len(numbers) == 2:
        numbers = [0.0 if name == "offset" else 1.0, *numbers]
    if len(numbers) != 3:
        raise ValueError(f"its {name} is {numbers}; expected three numbers, z, y and x")
    return numbers[0], numbers[1], numbers[2]


def _any(dataset: Any, name: str) -> bool:
    return name in dataset.attrs and len(_flat(dataset.attrs[name])) > 0


def _flat(value: Any) -> Sequence[Any]:
    return list(np.asarray(value, dtype=object).ravel()) if not isinstance(value, (str, bytes)) else [value]


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else "" if value is None else str(value)
