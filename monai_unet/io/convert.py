"""A finished store as one file, tiled OME-TIFF or NIfTI, in the memory of a chunk and a band of rows."""

from __future__ import annotations

import gzip
import itertools
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from xml.etree import ElementTree

import numpy as np

from monai_unet.io.atomic import written_aside
from monai_unet.io.ome import OME_UNITS, WRITTEN_BY, ome_tags
from monai_unet.io.sources import METRES
from monai_unet.io.sources.nifti import NIFTI_UNITS
from monai_unet.io.sources.tiff import OME_PIXEL
from monai_unet.io.zarr_store import PredictionStore

_TILE = 512  # pixels; what viewers of large images read at once
_SCREEN = 1024  # pixels; an image that fits a screen needs no smaller levels
_BIG = 2**32 - 2**25  # bytes; above, offsets of the classic TIFF overflow


def to_ome_tiff(store: PredictionStore | str | os.PathLike[str], path: str | os.PathLike[str]) -> None:
    """Write a finished store as an OME-TIFF, zlib-compressed, BigTIFF when it could exceed 4 GB.

    An image that is larger than a screen is tiled and gets the store's smaller levels as SubIFDs, as far as they hold
    all sections: the levels of a TIFF are those of its pages. A smaller one is written in strips, which ImageJ's own
    reader and ITK ask for. Half precision and 64-bit whole numbers, which OME does not know,
    become float32 and uint32. Labels are marked as such, see `monai_unet.io.ome`.

    Args:
        store: the store or its folder.
        path: the file, ".ome.tif"; written aside and renamed.

    Raises:
        ValueError: when the store is not finished, or a label does not fit 32 bits.
    """
    import tifffile

    store = _finished(store)
    dtype = np.dtype({"float16": "float32", "int64": "uint32", "uint64": "uint32"}.get(store.dtype.name, store.dtype))
    tags = ome_tags(
        store.axes.upper(),
        store.identity,
        spacing=_spacing(store),
        unit=store.unit,
        channel_names=store.channel_names,
        labels=store.labels,
        planes=_positions(store) if store.origin else None,
    )
    shapes = _levels_of_pages(store)
    big = sum(map(math.prod, shapes)) * dtype.itemsize > _BIG
    with written_aside(path) as temporary, tifffile.TiffWriter(temporary, ome=True, bigtiff=big) as tiff:
        for level, shape in enumerate(shapes):
            if _fits_screen(store):
                tile, data = None, _bands(store, shape[-2], dtype)
            else:
                # multiples of 16, as TIFF wants them
                tile = tuple(min(_TILE, math.ceil(size / 16) * 16) for size in shape[-2:])
                data = _tiles(store, level, tile, dtype)
            tiff.write(
                data,
                shape=shape,
                dtype=dtype,
                tile=tile,
                photometric="minisblack",
                compression="zlib",
                buffersize=1 << 24,  # its threads collect half a gigabyte of tiles otherwise
                **({"subifds": len(shapes) - 1, **tags} if level == 0 else {"subfiletype": 1, "metadata": None}),
            )


def _fits_screen(store: PredictionStore) -> bool:
    return max(store.shape[-2:]) <= _SCREEN


def _levels_of_pages(store: PredictionStore) -> list[tuple[int, ...]]:
    """The shapes of the levels that hold all pages of level 0, which is the only one of a small image."""
    if _fits_screen(store):
        return [store.shape]
    shapes = [tuple(store.level(level).shape) for level in range(store.num_levels)]
    return list(itertools.takewhile(lambda shape: shape[:-2] == store.shape[:-2], shapes))


def to_nifti(
    store: PredictionStore | str | os.PathLike[str], path: str | os.PathLike[str], affine: np.ndarray | None = None
) -> None:
    """Write a finished store as NIfTI with the axes x, y, z (, channel).

    Half precision becomes float32. A side of more than 32767 pixels, more than NIfTI-1 can count, makes it a NIfTI-2.

    Args:
        store: the store or its folder.
        path: the file, ".nii" or ".nii.gz"; written aside and renamed.
        affine: 4 x 4, in the unit of the store; when left out, the store's, else the spacing on the diagonal.

    Raises:
        ValueError: when the store is not finished, or `path` is no name of a NIfTI.
    """
    store = _finished(store)
    name = Path(path).name.lower()
    if not name.endswith((".nii", ".nii.gz")):
        raise ValueError(f"{path}: expected a name that ends with .nii or .nii.gz")
    header, dtype = _nifti_header(store, affine)
    with written_aside(path) as temporary, _opened(temporary, packed=name.endswith(".gz")) as file:
        header.write_to(file)
        assert file.tell() == header.single_vox_offset, "nibabel has written the header and where extensions begin"
        # the first axis runs fastest in a NIfTI: that is the order of the store, whose last axis is x
        for band in _bands(store, _TILE, dtype):
            file.write(band.data)


def identity_of(path: str | os.PathLike[str]) -> str | None:
    """The identity of the store that a file was made of; None of a file that was not made here."""
    import nibabel
    import tifffile

    try:
        if ".nii" in Path(path).name.lower():
            header: Any = nibabel.load(path).header
            ours, _, name = header["descrip"].item().decode().partition(" ")
            return name if ours == WRITTEN_BY else None
        with tifffile.TiffFile(path) as tiff:
            return ElementTree.fromstring(tiff.ome_metadata or "").get("UUID", "").removeprefix("urn:uuid:")
    except Exception:  # whatever it is, it is none of ours
        return None


def _nifti_header(store: PredictionStore, affine: np.ndarray | None) -> tuple[Any, np.dtype]:
    import nibabel

    dtype = np.dtype(np.float32) if store.dtype == np.float16 else store.dtype
    sizes = dict(zip(store.axes, store.shape, strict=True))
    shape = [sizes["x"], sizes["y"]]
    if "z" in sizes or "c" in sizes:
        shape.append(sizes.get("z", 1))
    if "c" in sizes:
        shape.append(sizes["c"])
    header = nibabel.Nifti1Header() if max(shape) <= np.iinfo(np.int16).max else nibabel.Nifti2Header()
    header.set_data_shape(shape)
    header.set_data_dtype(dtype)
    unit = store.unit
    if affine is None:
        affine = store.affine
    if affine is None:
        spacing = _spacing(store)
        affine = np.diag([*(spacing.get(axis, 1.0) for axis in "xyz"), 1.0])
        origin = dict(zip(store.axes.replace("c", ""), store.origin or (), strict=False))
        affine[:3, 3] = [origin.get(axis, 0.0) for axis in "xyz"]
    if unit is not None and unit not in NIFTI_UNITS:  # nanometres, say
        affine = np.diag([METRES[unit] / METRES["micrometer"]] * 3 + [1.0]) @ affine
        unit = "micrometer"
    # as nibabel itself records the affine of a new image
    header.set_sform(affine, code="aligned")
    header.set_qform(affine, code="unknown")
    if unit is not None:
        header.set_xyzt_units(xyz=NIFTI_UNITS[unit])
    header["descrip"] = f"{WRITTEN_BY} {store.identity}"
    if store.labels:
        header.set_intent("label")
    header.set_data_offset(header.single_vox_offset)
    return header, np.dtype(dtype)


@contextmanager
def _opened(path: Path, packed: bool) -> Iterator[IO[bytes]]:
    with path.open("wb") as file:
        if not packed:
            yield file
            return
        # without name and time in it, so that the same values give the same bytes; 1 is nibabel's choice too
        with gzip.GzipFile("", "wb", compresslevel=1, fileobj=file, mtime=0) as zipped:
            yield zipped  # type: ignore[misc]


def _tiles(store: PredictionStore, level: int, tile: tuple[int, ...], dtype: np.dtype) -> Iterator[np.ndarray]:
    """The tiles of all planes of a level, row by row, cut at the border."""
    for band in _bands(store, tile[0], dtype, level):
        for left in range(0, band.shape[1], tile[1]):
            yield band[:, left : left + tile[1]]


def _bands(store: PredictionStore, rows: int, dtype: np.dtype, level: int = 0) -> Iterator[np.ndarray]:
    """The planes of a level from top to bottom, `rows` at a time over the whole width.

    A band is read chunk by chunk: zarr would unpack all the chunks that it touches at once.
    """
    array = store.level(level)
    *outer, height, width = array.shape
    step = array.chunks[-1]
    for plane in itertools.product(*map(range, outer)):
        index = tuple(slice(i, i + 1) for i in plane)
        for top in range(0, height, rows):
            bottom = min(top + rows, height)
            band = np.empty((bottom - top, width), dtype)
            for left in range(0, width, step):
                columns = slice(left, min(left + step, width))
                values = store.read((*index, slice(top, bottom), columns), level).reshape(bottom - top, -1)
                if dtype.itemsize < values.dtype.itemsize and values.max() > np.iinfo(dtype).max:
                    raise ValueError(f"{store.path} holds the label {values.max()}: an OME-TIFF counts to {2**32 - 1}")
                band[:, columns] = values
            yield band


def _spacing(store: PredictionStore) -> dict[str, float]:
    """Size of a pixel by the letter of the axis; empty when it is not known."""
    axes = store.axes.replace("c", "")
    return dict(zip(axes, store.spacing, strict=True)) if store.spacing else {}


def _positions(store: PredictionStore) -> dict[str, list[Any]]:
    """Where each plane lies, as tifffile takes it."""
    assert store.origin is not None
    *outer, _, _ = store.shape
    planes = list(np.ndindex(*outer))
    spacing = _spacing(store)
    positions: dict[str, list[Any]] = {}
    for axis, place in zip(store.axes.replace("c", ""), store.origin, strict=True):
        steps = [plane[store.axes.index("z")] if axis == "z" else 0 for plane in planes]
        positions[f"Position{axis.upper()}"] = [place + step * spacing.get(axis, 1.0) for step in steps]
        positions[f"Position{axis.upper()}Unit"] = [OME_UNITS.get(store.unit or "", OME_PIXEL)] * len(planes)
    return positions


def _finished(store: PredictionStore | str | os.PathLike[str]) -> PredictionStore:
    store = store if isinstance(store, PredictionStore) else PredictionStore(store)
    if not store.is_complete:
        raise ValueError(f"{store.path} is not finished; run the prediction again with the same arguments first")
    return store
