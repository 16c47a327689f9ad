"""The output of a prediction of any size: an OME-Zarr whose chunks are the tiles, and that says what is missing.

A chunk that is there is whole: zarr writes it aside and renames it (its LocalStore does), so that after a
`kill -9` what is there counts, and the rest is computed again.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from monai_unet.io.atomic import folder_written_aside
from monai_unet.io.sources.zarr import import_zarr

ChunkIndex = tuple[int, ...]

_OURS = "monai_unet"  # our key among the attributes of the group
_LABELS = "labels"  # the group in an OME-Zarr that holds its label images, each an OME-Zarr of its own
_SMALLEST = 256  # pixels; a level that fits a screen is the last one


class PredictionStore:
    """An OME-Zarr group that is filled chunk by chunk; `create_or_open` makes one.

    Attributes:
        path: its folder.
        shape: of level 0, in array order.
        chunks: of level 0; a tile fills a chunk.
        dtype: of the values.
        axes: a letter an axis, of "czyx".
        spacing: size of a pixel along the spatial axes, in their order; None when it is not known.
        unit: of the spacing, as NGFF names it.
        origin: place of the first pixel along the spatial axes, in the unit; None when it is not known.
        affine: of the first pixel when the input has one, for `to_nifti`; else None.
        labels: whether the values are classes or instances, which must not be averaged.
        channel_names: one per channel, or empty.
        class_names: of labels that are classes, from 0 on; else empty.
        settings: what the values were computed with.
        scale: the numbers that normalise the image, see `monai_unet.io.Scale`; None until `keep_scale`.

    A pickled store takes no open file along. Threads and processes may write different chunks at once.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        ours = recorded(self.path)
        if ours is None:
            raise ValueError(f"{self.path} is not the store of a prediction by monai-unet")
        self.settings: dict[str, Any] = ours["settings"]
        layout = ours["layout"]
        self.shape = tuple(layout["shape"])
        self.chunks = tuple(layout["chunks"])
        self.dtype = np.dtype(layout["dtype"])
        self.axes: str = layout["axes"]
        self.spacing: tuple[float, ...] | None = layout["spacing"] and tuple(layout["spacing"])
        self.unit: str | None = layout["unit"]
        self.origin: tuple[float, ...] | None = layout.get("origin") and tuple(layout["origin"])
        self.affine = None if layout["affine"] is None else np.array(layout["affine"])
        self.labels: bool = layout["labels"]
        self.channel_names = tuple(layout["channel_names"])
        self.class_names = tuple(layout.get("class_names") or ())
        self.scale: dict[str, Any] | None = ours.get("scale")

    @property
    def identity(self) -> str:
        """Of the values: the same for all that were computed with the same settings."""
        return identity(self.settings)

    @property
    def grid(self) -> tuple[int, ...]:
        """Number of chunks along each axis."""
        return _grid(self.shape, self.chunks)

    def box(self, index: ChunkIndex) -> tuple[slice, ...]:
        """What a chunk covers of the array."""
        return _box(index, self.shape, self.chunks)

    def write(self, index: ChunkIndex, block: np.ndarray) -> None:
        """Write one chunk, as a whole; a block of zeros is written too."""
        _write(self.level(0), self.path, index, block)

    def read(self, box: tuple[slice, ...], level: int = 0) -> np.ndarray:
        """The values of a box of a level; where chunks are missing, zeros."""
        return np.asarray(self.level(level)[box])

    def missing_chunks(self) -> list[ChunkIndex]:
        """The chunks that are not there, in array order; from the names of the files alone."""
        return _missing(self.level(0), self.path / "0")

    def keep_scale(self, scale: Mapping[str, Any]) -> None:
        """Record the numbers that normalise the image, for every chunk and every run that goes on."""
        self._group().update_attributes({_OURS: {**(recorded(self.path) or {}), "scale": dict(scale)}})
        self.scale = dict(scale)

    @property
    def is_complete(self) -> bool:
        """Whether `finish` has ended."""
        return bool((recorded(self.path) or {}).get("complete"))

    def finish(self, halved: str = "zyx") -> None:
        """Make the smaller levels, and mark the store as complete.

        Each level halves the axes along which a pixel is less than twice as large as along the finest, until it fits
        a screen; probabilities are averaged, of labels every second one is taken. It needs the memory of a few
        chunks, goes on where a killed call stopped, and does nothing when it has ended before.

        Args:
            halved: the axes that a level may halve: "yx" keeps all sections, as the levels of a TIFF do, and "" makes
                no level, for a store that only becomes a file without any.

        Raises:
            ValueError: when chunks are missing.
        """
        if self.is_complete:
            return
        missing = self.missing_chunks()
        if missing:
            raise ValueError(
                f"{self.path} lacks {len(missing)} of {math.prod(self.grid)} chunks; run the prediction again with the "
                "same arguments to compute them"
            )
        group = self._group()
        factors = [(1,) * len(self.axes)]
        shape, steps = self.shape, self._steps(self.shape, factors[-1], halved)
        while max(steps) > 1:
            shape = tuple(math.ceil(size / step) for size, step in zip(shape, steps, strict=True))
            self._reduce(group, len(factors), shape, steps)
            factors.append(tuple(factor * step for factor, step in zip(factors[-1], steps, strict=True)))
            steps = self._steps(shape, factors[-1], halved)
        for partial in self.path.rglob("*.partial"):  # what a killed run was about to write
            partial.unlink(missing_ok=True)
        ours = {**(recorded(self.path) or {}), "complete": True}
        group.update_attributes({_OURS: ours, **self._multiscales(group, factors)})

    def add_labels(self, name: str, labels: PredictionStore | None = None) -> PredictionStore:
        """Show a label image to readers of OME-Zarr, as one of this image.

        Args:
            name: of the label image; it lies in `labels/NAME`.
            labels: a finished store of labels of the same grid, on the same disk; it is moved into its place in one
                step. None when it lies there, and a killed run may not have listed it.

        Returns:
            The label image in its place.
        """
        zarr = import_zarr(str(self.path))
        with _named_errors(self.path):
            is_v3 = self._group().metadata.zarr_format == 3
            group = zarr.open_group(self.path / _LABELS, mode="a", zarr_format=3 if is_v3 else 2)
            if labels is not None:
                labels.path.rename(label_path(self.path, name))
            names = label_names(self.path)
            if name not in names:
                listed = {_LABELS: [*names, name]}
                group.update_attributes({"ome": {"version": "0.5", **listed}} if is_v3 else listed)
        return PredictionStore(label_path(self.path, name))

    def _group(self) -> Any:
        return import_zarr(str(self.path)).open_group(self.path, mode="r+")

    def level(self, level: int) -> Any:
        """The Zarr array of a level, 0 the finest; also for writing."""
        return _open_array(self.path / str(level))

    @property
    def num_levels(self) -> int:
        """How many levels there are, the finest one included."""
        return next(level for level in itertools.count() if not (self.path / str(level)).is_dir())

    def _steps(self, shape: Sequence[int], factors: Sequence[int], halved: str) -> tuple[int, ...]:
        """2 for each axis that the next level halves, else 1."""
        spatial = [i for i, axis in enumerate(self.axes) if axis != "c"]
        spacing = dict(zip(spatial, self.spacing or (1.0,) * len(spatial), strict=True))
        voxel = {i: spacing[i] * factors[i] for i in spatial if shape[i] > 1 and self.axes[i] in halved}
        if not voxel or max(shape[i] for i in spatial) <= _SMALLEST:
            return (1,) * len(shape)
        return tuple(2 if i in voxel and voxel[i] < 2 * min(voxel.values()) else 1 for i in range(len(shape)))

    def _reduce(self, group: Any, level: int, shape: tuple[int, ...], steps: tuple[int, ...]) -> None:
        """Make one level of the one above it, chunk by chunk; what is there is left."""
        above = self.level(level - 1)
        if str(level) not in group:
            chunks = tuple(min(chunk, size) for chunk, size in zip(self.chunks, shape, strict=True))
            _create_array(group, str(level), shape, chunks, self.dtype, self.axes)
        array = self.level(level)
        for index in _missing(array, self.path / str(level)):
            box = _box(index, shape, array.chunks)
            block = np.empty([part.stop - part.start for part in box], self.dtype)
            # in quarters or eighths, each of about one chunk above: the whole would be up to eight
            for part in itertools.product(*(_halves(b, s) for b, s in zip(box, steps, strict=True))):
                source = tuple(
                    slice(p.start * step, min(p.stop * step, size))
                    for p, step, size in zip(part, steps, above.shape, strict=True)
                )
                inside = tuple(slice(p.start - b.start, p.stop - b.start) for p, b in zip(part, box, strict=True))
                values = np.asarray(above[source])
                block[inside] = (
                    values[tuple(slice(None, None, s) for s in steps)] if self.labels else mean(values, steps)
                )
            _write(array, self.path, index, block)

    def _multiscales(self, group: Any, factors: Sequence[Sequence[int]]) -> dict[str, Any]:
        """NGFF's description of the levels and channels."""
        spacing = iter(self.spacing or (1.0,) * 3)
        sizes = [1.0 if axis == "c" else next(spacing) for axis in self.axes]
        first = [0.0] * self.axes.count("c") + list(self.origin or [0.0] * len(self.axes.replace("c", "")))
        axes = []
        for axis in self.axes:
            described: dict[str, Any] = {"name": axis, "type": "channel" if axis == "c" else "space"}
            axes.append({**described, "unit": self.unit} if self.unit and axis != "c" else described)
        datasets = []
        for level, factor in enumerate(factors):
            transforms: list[dict[str, Any]] = [
                {"type": "scale", "scale": [size * f for size, f in zip(sizes, factor, strict=True)]}
            ]
            # the centre of the mean of two pixels lies half a pixel further on; of labels, the first one is taken
            halves = [0.0 if self.labels else size * (f - 1) / 2 for size, f in zip(sizes, factor, strict=True)]
            shift = [place + half for place, half in zip(first, halves, strict=True)]
            if any(shift):
                transforms.append({"type": "translation", "translation": shift})
            datasets.append({"path": str(level), "coordinateTransformations": transforms})
        multiscale = {
            "name": self.path.name.split(".")[0],
            "axes": axes,
            "datasets": datasets,
            "type": "nearest" if self.labels else "mean",
        }
        shown = {"image-label": self._image_label()} if self.labels else {"omero": self._omero()}
        image: dict[str, Any] = {"multiscales": [multiscale], **shown}
        if group.metadata.zarr_format == 3:
            return {"ome": {"version": "0.5", **image}}
        multiscale["version"] = "0.4"
        if self.labels:
            image["image-label"]["version"] = "0.4"
        return image

    def _image_label(self) -> dict[str, Any]:
        """NGFF's description of labels: where their image is, seen from `labels/NAME`, and the name of each class."""
        names = [{"label-value": number, "class": name} for number, name in enumerate(self.class_names)]
        return {"source": {"image": "../../"}, **({"properties": names} if names else {})}

    def _omero(self) -> dict[str, Any]:
        most = 255 if self.dtype == np.uint8 else 1
        window = {"min": 0, "max": most, "start": 0, "end": most}
        names = self.channel_names or ("probability",)
        return {"channels": [{"label": name, "color": "FFFFFF", "active": True, "window": window} for name in names]}


def label_path(path: str | os.PathLike[str], name: str) -> Path:
    """Where the label image of a name lies in an OME-Zarr, there or not."""
    return Path(path) / _LABELS / name


def label_names(path: str | os.PathLike[str]) -> list[str]:
    """The label images that lie in a store of ours, as it lists them; none in any other file or folder."""
    folder = Path(path) / _LABELS
    if recorded(Path(path)) is None or not folder.is_dir():
        return []
    attributes = import_zarr(str(path)).open_group(folder, mode="r").attrs
    return [str(name) for name in attributes.get("ome", attributes).get(_LABELS, [])]


def identity(settings: Mapping[str, Any]) -> str:
    """A UUID of settings, for the files that are made of a store; see `PredictionStore.identity`."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(settings, sort_keys=True)))


def create_or_open(
    path: str | os.PathLike[str],
    shape: Sequence[int],
    chunks: Sequence[int],
    dtype: Any,
    axes: str,
    spacing: Sequence[float] | None,
    settings: Mapping[str, Any],
    *,
    unit: str | None = None,
    origin: Sequence[float] | None = None,
    affine: np.ndarray | None = None,
    labels: bool = False,
    channel_names: Sequence[str] = (),
    class_names: Sequence[str] = (),
    version: str = "0.5",
) -> PredictionStore:
    """The store at `path`, made when there is none; what it is made with is recorded before any chunk.

    Args:
        path: a folder, "out.ome.zarr" say. It appears in one step.
        shape: of the whole output, in array order.
        chunks: of one tile; a larger number than the axis has is cut to it.
        dtype: of the values.
        axes: a letter an axis, "yx", "zyx", "cyx" or "czyx".
        spacing: size of a pixel along the spatial axes, in their order, or None; (z, y, x) will do without a z too.
        settings: JSON; whatever the values depend on: image, weights, tile, and so on.
        unit: of the spacing, as NGFF names it: "nanometer".
        origin: place of the first pixel, in the order and unit of the spacing.
        affine: of the first pixel, when the input has one; kept for `to_nifti`.
        labels: the values are classes or instances, which must not be averaged.
        channel_names: one per channel.
        class_names: of labels that are classes, background first.
        version: of NGFF, "0.5" (Zarr 3) or "0.4" (Zarr 2).

    Raises:
        ValueError: when there is a store made with other settings, naming what differs.
        FileExistsError: when there is something else.
        ImportError: without zarr.

    Example:
        >>> store = create_or_open("out.ome.zarr", (30, 512, 512), (1, 384, 384), "float32", "zyx", None, {"tile": 384})
        ... # doctest: +SKIP
        >>> store.missing_chunks()[0]  # doctest: +SKIP
        (0, 0, 0)
    """
    zarr = import_zarr(str(path))
    path = Path(path)
    if axes not in ("yx", "zyx", "cyx", "czyx") or not len(shape) == len(chunks) == len(axes) or min(chunks) < 1:
        raise ValueError(f'axes {axes!r}, shape {tuple(shape)}, chunks {tuple(chunks)}: expected "[c][z]yx", one each')
    if version not in ("0.4", "0.5"):
        raise ValueError(f'version {version!r} of OME-Zarr; expected "0.4" or "0.5"')
    layout = {
        "version": version,
        "shape": [int(size) for size in shape],
        "chunks": [min(int(chunk), int(size)) for chunk, size in zip(chunks, shape, strict=True)],
        "dtype": np.dtype(dtype).name,
        "axes": axes,
        "spacing": None if spacing is None else [float(size) for size in spacing][-len(axes.replace("c", "")) :],
        "unit": unit,
        "origin": None if origin is None else [float(place) for place in origin][-len(axes.replace("c", "")) :],
        "affine": None if affine is None else np.asarray(affine, float).tolist(),
        "labels": labels,
        "channel_names": list(channel_names),
        **({"class_names": list(class_names)} if class_names else {}),
    }
    ours = json.loads(json.dumps({"settings": settings, "layout": layout, "complete": False}))
    if not os.path.lexists(path):
        with _named_errors(path):
            _create(zarr, path, ours)
    known = recorded(path)
    if known is None:
        raise FileExistsError(
            f"{path} exists and is not a prediction by monai-unet; it was left alone: choose another name"
        )
    differing = [
        f"{name} is {_json(known[part].get(name))} there and {_json(ours[part].get(name))} now"
        for part in ("settings", "layout")
        for name in sorted({*known[part], *ours[part]})
        if known[part].get(name) != ours[part].get(name)
    ]
    if differing:
        raise ValueError(
            f"{path} belongs to a prediction with other settings: {'; '.join(differing)}. Choose another name, or "
            "remove it to begin anew"
        )
    return PredictionStore(path)


def _create(zarr: Any, path: Path, ours: Mapping[str, Any]) -> None:
    """Make the empty store aside and rename it, so that a killed run leaves none without its settings."""
    layout = ours["layout"]
    try:
        with folder_written_aside(path) as temporary:
            group = zarr.create_group(
                temporary, zarr_format=3 if layout["version"] == "0.5" else 2, attributes={_OURS: ours}
            )
            _create_array(group, "0", layout["shape"], layout["chunks"], np.dtype(layout["dtype"]), layout["axes"])
    except OSError:
        if not path.is_dir():  # else another process was faster, and the caller compares with what it made
            raise


def _create_array(
    group: Any, name: str, shape: Sequence[int], chunks: Sequence[int], dtype: np.dtype, axes: str
) -> None:
    import numcodecs
    from zarr.codecs import ZstdCodec

    is_v3 = group.metadata.zarr_format == 3
    # Not zarr's default of version 2: blosc's threads would make the bytes differ from run to run, and a chunk that
    # was cut off would be read as noise.
    compressor = ZstdCodec(level=1, checksum=True) if is_v3 else numcodecs.Zstd(level=1)
    group.create_array(
        name,
        shape=tuple(shape),
        chunks=tuple(chunks),
        dtype=dtype,
        fill_value=0,
        compressors=compressor,
        dimension_names=tuple(axes) if is_v3 else None,
        chunk_key_encoding={"name": "default" if is_v3 else "v2", "separator": "/"},
    )


def _open_array(path: Path) -> Any:
    zarr = import_zarr(str(path))
    # zarr leaves out chunks of zeros, which would be missing for ever
    return zarr.open_array(path, mode="r+").with_config({"write_empty_chunks": True})


def _write(array: Any, path: Path, index: ChunkIndex, block: np.ndarray) -> None:
    box = _box(index, array.shape, array.chunks)
    expected = tuple(part.stop - part.start for part in box)
    if block.shape != expected:
        raise ValueError(f"chunk {index} has the shape {expected}; the block has {block.shape}")
    with _named_errors(path):
        array[box] = block.astype(array.dtype, copy=False)


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    """A full disk or a missing right, with the name of the store instead of a temporary file's."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        message = (
            f"{path} cannot be written ({reason}); what is there is kept: make room or get the right, and run it again"
        )
        raise type(error)(error.errno, message) from error


def _missing(array: Any, folder: Path) -> list[ChunkIndex]:
    if array.metadata.zarr_format == 3:
        folder = folder / "c"
    there = set(_chunk_files(folder, array.ndim))
    return [index for index in itertools.product(*map(range, _grid(array.shape, array.chunks))) if index not in there]


def _chunk_files(folder: Path, depth: int) -> Iterator[ChunkIndex]:
    """The indices of the chunks below a folder. Files that are being written have no number for a name."""
    if not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.isdecimal():
                continue
            if depth == 1:
                yield (int(entry.name),)
            else:
                yield from ((int(entry.name), *rest) for rest in _chunk_files(Path(entry.path), depth - 1))


def _grid(shape: Sequence[int], chunks: Sequence[int]) -> tuple[int, ...]:
    return tuple(math.ceil(size / chunk) for size, chunk in zip(shape, chunks, strict=True))


def _box(index: ChunkIndex, shape: Sequence[int], chunks: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(i * c, min((i + 1) * c, n)) for i, n, c in zip(index, shape, chunks, strict=True))


def _halves(part: slice, step: int) -> list[slice]:
    middle = (part.start + part.stop + 1) // 2
    if step == 1 or middle == part.stop:
        return [part]
    return [slice(part.start, middle), slice(middle, part.stop)]


def mean(values: np.ndarray, steps: Sequence[int]) -> np.ndarray:
    """The mean of blocks of `steps` pixels, in the type of `values`; at an odd end, of what is there."""
    padding = [(0, -size % step) for size, step in zip(values.shape, steps, strict=True)]
    if np.any(padding):
        values = np.pad(values, padding, mode="edge")
    # summed from strided views: a mean over the axes of a reshaped array makes copies as large as `values`
    parts = [tuple(slice(i, None, n) for i, n in zip(first, steps, strict=True)) for first in np.ndindex(*steps)]
    means = values[parts[0]].astype(np.float32)
    for part in parts[1:]:
        means += values[part]
    means /= len(parts)
    return (np.rint(means) if values.dtype.kind in "ui" else means).astype(values.dtype)


def recorded(path: Path) -> dict[str, Any] | None:
    """What we wrote into the attributes of the group at `path`; None when it is not one of ours."""
    for name, key in (("zarr.json", "attributes"), (".zattrs", None)):
        try:
            content = json.loads((path / name).read_text())
            return (content[key] if key else content)[_OURS]
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def _json(value: Any) -> str:
    return json.dumps(value)
