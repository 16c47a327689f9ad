"""Results of monai-unet as layers of napari: probabilities as images and labels as labels, with scale and place.

napari's own readers do without: of an OME-TIFF they know neither the size of a pixel nor that small whole numbers are
classes. Nothing here imports Qt. Pixels are read when they are shown.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from monai_unet.io import open_source, stem
from monai_unet.io.ome import tiff_holds_labels
from monai_unet.io.zarr_store import PredictionStore, label_names, label_path, recorded

LayerData = tuple[Any, dict[str, Any], str]
Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def get_reader(path: Paths) -> Callable[[Paths], list[LayerData]] | None:
    """The function that reads a file, for napari; None for what monai-unet has not written.

    Args:
        path: an OME-Zarr of `monai-unet predict`, finished or not, a label image inside it, or an OME-TIFF of `predict`
            or `inference`. Of a list of several, None: napari then asks for each of them.
    """
    if not isinstance(path, str | os.PathLike):
        if len(path) != 1:
            return None
        (path,) = path
    if Path(path).is_dir():
        return read_store if recorded(Path(path)) is not None else None
    return read_tiff if tiff_holds_labels(path) is not None else None


def read_store(path: Paths) -> list[LayerData]:
    """The layers of an OME-Zarr: one for each channel, on top of them the label images, the last one visible."""
    path = _only(path)
    store = PredictionStore(path)
    layers = list(_of_store(store, stem(store.path)))
    names = sorted(label_names(store.path), key="instances".__eq__)
    for name in names:
        for data, options, kind in _of_store(PredictionStore(label_path(store.path, name)), stem(store.path)):
            layers.append((data, {**options, "visible": name == names[-1]}, kind))
    return layers


def read_tiff(path: Paths) -> list[LayerData]:
    """The layers of an OME-TIFF that monai-unet wrote."""
    import tifffile

    path = _only(path)
    info = open_source(path).info
    with tifffile.TiffFile(path) as tiff:
        axes, num_levels = tiff.series[0].axes.lower(), len(tiff.series[0].levels)
    levels = [_level(path, level) for level in range(num_levels)]
    spatial = axes.replace("c", "")
    place: dict[str, Any] = {
        "spacing": info.spacing and info.spacing[-len(spatial) :],
        "unit": info.unit,
        "origin": info.origin and info.origin[-len(spatial) :],
    }
    return list(_layers(levels, axes, info.channel_names, stem(path), labels=bool(tiff_holds_labels(path)), **place))


def _of_store(store: PredictionStore, image: str) -> Iterator[LayerData]:
    import dask.array

    levels = [
        dask.array.from_zarr(str(store.path / str(level)))
        for level in range(store.num_levels if store.is_complete else 1)
    ]
    is_probability = not store.labels and store.settings.get("output") != "image"
    yield from _layers(
        levels,
        store.axes,
        store.channel_names,
        image,
        labels=store.labels,
        spacing=store.spacing,
        unit=store.unit,
        origin=store.origin,
        limits=(0, 255 if store.dtype == "uint8" else 1) if is_probability else None,
    )


def _layers(
    levels: Sequence[Any],
    axes: str,
    names: Sequence[str],
    image: str,
    *,
    labels: bool,
    spacing: Sequence[float] | None,
    unit: str | None,
    origin: Sequence[float] | None,
    limits: tuple[float, float] | None = None,
) -> Iterator[LayerData]:
    """A layer for each channel, named after the image and the channel."""
    spatial = axes.replace("c", "")
    options: dict[str, Any] = {
        "scale": tuple(spacing or (1.0,) * len(spatial)),
        "axis_labels": tuple(spatial),
        "multiscale": len(levels) > 1,
    }
    if origin:
        options["translate"] = tuple(origin)
    if unit:
        options["units"] = (unit,) * len(spatial)
    if limits:
        options["contrast_limits"] = limits
    number = levels[0].shape[axes.index("c")] if "c" in axes else 1
    for channel in range(number):
        of_channel = [level[channel] for level in levels] if "c" in axes else list(levels)
        name = names[channel] if channel < len(names) else str(channel) if number > 1 else ""
        data = of_channel if len(levels) > 1 else of_channel[0]
        title = image if name in ("", image) else f"{image} {name}"
        yield data, {**options, "name": title}, "labels" if labels else "image"


def _level(path: Path, level: int) -> Any:
    """A level of a TIFF, read tile by tile when it is shown; as a whole where zarr is missing."""
    import tifffile

    try:
        import dask.array
        import zarr
    except ImportError:
        return tifffile.imread(path, level=level)
    return dask.array.from_zarr(zarr.open(tifffile.imread(path, level=level, aszarr=True), mode="r"))


def _only(path: Paths) -> Path:
    return Path(path if isinstance(path, str | os.PathLike) else path[0])
