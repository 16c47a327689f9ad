"""Between a layer and a file: which file a layer shows, where its pixels lie, and what of them is seen."""

from __future__ import annotations

import atexit
import itertools
import math
import shutil
import tempfile
import threading
import zlib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from monai_unet.io import written_aside
from monai_unet.io.ome import OME_UNITS
from monai_unet.io.sources import METRES, Box, open_source

_TILE = 512  # pixels, of a file that is written for a layer
_BIG = 2**32 - 2**25  # bytes; above, offsets of the classic TIFF overflow
_AT_ONCE = 2**25  # pixels of a file that are compared with a layer's together
_SAMPLE, _SAMPLES = 64, 4  # side of a square that is compared of a layer that is read lazily, and squares along an axis


def pixels_of(layer: Any) -> Any:
    """The pixels of an image layer at full size, as an array or what reads like one.

    Raises:
        ValueError: when the layer has more axes than a picture or a stack.
    """
    data = layer.data[0] if layer.multiscale else layer.data
    axes = len(data.shape) - bool(getattr(layer, "rgb", False))
    if axes not in (2, 3):
        raise ValueError(
            f"{layer.name} has {axes} axes; a picture has 2 and a stack 3: take it apart, right-click > Split Stack"
        )
    return data


def spatial_shape(layer: Any) -> tuple[int, ...]:
    """(H, W) or (D, H, W) of an image layer."""
    shape = tuple(int(size) for size in pixels_of(layer).shape)
    return shape[:-1] if getattr(layer, "rgb", False) else shape


def placed(layer: Any, start: Sequence[int] | None = None) -> dict[str, Any]:
    """Scale, translation and units of a layer that shows a part of another one, from the pixel `start` on."""
    axes = len(spatial_shape(layer))
    scale, translate = np.asarray(layer.scale[-axes:]), np.asarray(layer.translate[-axes:])
    place = translate + scale * np.asarray(start if start is not None else [0] * axes)
    units = getattr(layer, "units", None)
    return {"scale": scale, "translate": place, **({"units": units[-axes:]} if units else {})}


def visible_box(layer: Any, displayed: Sequence[int], step: Sequence[int], most: int) -> list[tuple[int, int]]:
    """What is seen of an image layer: (start, stop) for each axis of its pixels.

    Args:
        layer: the layer, in a viewer of two dimensions.
        displayed: the viewer's axes that are shown, the last two of its axes.
        step: where the viewer is along all of its axes, of which the layer has the last ones.
        most: pixels of a side; of what is larger, the middle is taken.
    """
    shape = spatial_shape(layer)
    corners = np.asarray(layer.corner_pixels)[:, -len(shape) :] if not getattr(layer, "rgb", False) else None
    if corners is None:
        corners = np.asarray(layer.corner_pixels)[:, : len(shape)]
    if layer.multiscale:
        corners = corners * np.asarray(layer.downsample_factors[layer.data_level])[: len(shape)]
    offset = len(step) - len(shape)
    box = []
    for axis, size in enumerate(shape):
        if axis + offset not in displayed:
            at = min(max(int(step[axis + offset]), 0), size - 1)
            box.append((at, at + 1))
            continue
        first, last = (int(np.clip(np.floor(corner), 0, size)) for corner in sorted(corners[:, axis]))
        last = min(last + 1, size)
        if last <= first:
            first, last = 0, size
        surplus = max(last - first - most, 0)
        box.append((first + surplus // 2, last - (surplus - surplus // 2)))
    return box


def file_of(layer: Any) -> Path:
    """A file with the pixels of an image layer: its own, if it shows all of one, else one that is written for it.

    The file that is written lies in a temporary folder that is removed when Python ends; a layer whose pixels have
    not changed gets the same one again. For threads: files of any size are read and written.
    """
    data = pixels_of(layer)
    is_array = isinstance(data, np.ndarray)
    # what is read lazily is taken to stay as it is, but for Dask's arrays, which get another name when they are changed
    content = zlib.crc32(np.ascontiguousarray(data).data.cast("B")) if is_array else getattr(data, "name", None)
    place = tuple(layer.scale[-len(spatial_shape(layer)) :]), unit_of(layer)  # which a file that is written says, too
    key = id(data), content, tuple(data.shape), str(data.dtype), place, _state(source_path(layer))
    with _FINDING:
        if key not in _files:
            _files[key] = None if is_array else data, own_file(layer) or _write(layer, data)
        return _files[key][1]


def source_path(layer: Any) -> Path | None:
    """What a layer was opened from, whether it still shows that or not."""
    path = getattr(getattr(layer, "source", None), "path", None)
    return Path(path) if path is not None else None


def own_file(layer: Any) -> Path | None:
    """The file that an image layer was opened from; None when there is none, or it is not what the layer shows.

    All pixels are compared of a layer that holds them, or is small. One that is read lazily may be larger than memory,
    and squares are compared that are spread over the whole: what a reader gave is its file in all of them, and what was
    computed from that seldom is.
    """
    path = source_path(layer)
    if path is None:
        return None
    try:
        source = open_source(path)
        info, data, shape = source.info, pixels_of(layer), spatial_shape(layer)
        channels = int(data.shape[-1]) if getattr(layer, "rgb", False) else 1
        if info.shape != (1,) * (3 - len(shape)) + shape or info.channels != channels or info.colour_table:
            return None
        boxes = _blocks if isinstance(data, np.ndarray) or math.prod(shape) <= _AT_ONCE else _samples
        for box in boxes(info.shape):
            there = np.moveaxis(source.read(box), 0, -1)
            shown = np.asarray(data[box[-len(shape) :]])
            if not np.array_equal(there.reshape(shown.shape), shown):
                return None
    except (ValueError, OSError, ImportError):
        return None
    return path


def _blocks(shape: Sequence[int]) -> Iterator[Box]:
    """All of an image, (D, H, W), some rows at once."""
    depth, height, width = shape
    rows = max(_AT_ONCE // width, 1)
    for section, row in itertools.product(range(depth), range(0, height, rows)):
        yield slice(section, section + 1), slice(row, min(row + rows, height)), slice(0, width)


def _samples(shape: Sequence[int]) -> Iterator[Box]:
    """Squares on a lattice over an image, (D, H, W), from corner to corner."""
    sides = [min(side, n) for side, n in zip((1, _SAMPLE, _SAMPLE), shape, strict=True)]
    starts = [np.unique(np.linspace(0, n - side, _SAMPLES, dtype=int)) for side, n in zip(sides, shape, strict=True)]
    for corner in itertools.product(*starts):
        z, y, x = (slice(int(start), int(start) + side) for start, side in zip(corner, sides, strict=True))
        yield z, y, x


def write_image(path: Path, data: Any, rgb: bool, spacing: Sequence[float], unit: str | None) -> None:
    """Write pixels as an uncompressed, tiled OME-TIFF, tile by tile.

    Args:
        path: that is written aside and renamed.
        data: (H, W) or (D, H, W), with the channels last if `rgb`.
        rgb: whether the last axis is of red, green and blue.
        spacing: size of a pixel along the spatial axes.
        unit: of the spacing, as NGFF names it; pixels when None.
    """
    import tifffile

    dtype = {"bool": np.uint8, "float16": np.float32}.get(np.dtype(data.dtype).name, np.dtype(data.dtype))
    axes = "ZYX"[-(len(data.shape) - rgb) :]
    metadata: dict[str, Any] = {"axes": axes + "S" * rgb}
    for axis, size in zip(axes, spacing, strict=True):
        if unit in OME_UNITS:
            metadata |= {f"PhysicalSize{axis}": float(size), f"PhysicalSize{axis}Unit": OME_UNITS[unit]}
    with written_aside(path) as temporary:
        tifffile.imwrite(
            temporary,
            _tiles(data, rgb, dtype),
            shape=tuple(data.shape),
            dtype=dtype,
            tile=(_TILE, _TILE),
            photometric="rgb" if rgb else "minisblack",
            ome=True,
            bigtiff=int(np.prod(data.shape)) * np.dtype(dtype).itemsize > _BIG,
            metadata=metadata,
        )


def _tiles(data: Any, rgb: bool, dtype: Any) -> Iterator[np.ndarray]:
    shape = data.shape[: len(data.shape) - rgb]
    for section in range(shape[0]) if len(shape) == 3 else (None,):
        for y, x in itertools.product(*(range(0, n, _TILE) for n in shape[-2:])):
            at = () if section is None else (section,)
            box = (*at, slice(y, y + _TILE), slice(x, x + _TILE))
            part = np.asarray(data[box]).astype(dtype, copy=False)
            missing = [(0, _TILE - n) for n in part.shape[:2]] + [(0, 0)] * rgb
            yield np.ascontiguousarray(np.pad(part, missing))


@cache
def session_folder() -> Path:
    """For what is needed as long as Python runs; removed at its end."""
    folder = Path(tempfile.mkdtemp(prefix="monai-unet-viewer-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


_files: dict[tuple[Any, ...], tuple[Any, Path]] = {}  # what is read lazily is held, so that its id stays its own
_FINDING = threading.Lock()


def _state(path: Path | None) -> tuple[Any, ...]:
    """A file, its time and its size; nothing of one that is not there."""
    try:
        return (path, path.stat().st_mtime_ns, path.stat().st_size) if path is not None else ()
    except OSError:
        return ()


def _write(layer: Any, data: Any) -> Path:
    name = "".join(each if each.isascii() and (each.isalnum() or each in "-_.") else "_" for each in layer.name)
    path = session_folder() / f"{len(_files)}" / f"{name or 'image'}.ome.tif"
    path.parent.mkdir(exist_ok=True)  # of one that could not be written
    axes = len(spatial_shape(layer))
    write_image(path, data, bool(getattr(layer, "rgb", False)), layer.scale[-axes:], unit_of(layer))
    return path


def unit_of(layer: Any) -> str | None:
    """The unit of a layer's scale, as NGFF names it; None for pixels."""
    units = getattr(layer, "units", None)
    name = str(units[-1]) if units else ""
    return name if name in METRES else None
