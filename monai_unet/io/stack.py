"""Read an image file as a stack of sections, in array order, with errors that name the file."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tifffile import TiffFile

_GREY = "expected grey sections of one size; convert colour or several channels to one grey channel first"

READ_SUFFIXES = (".tif", ".tiff", ".nii", ".nii.gz", ".png")
_SUFFIX = re.compile(r"\.(tiff?|nii|nii\.gz|png)$", re.IGNORECASE)


def read_stack(path: str | Path) -> np.ndarray:
    """The sections of a grey image file.

    Args:
        path: TIFF (a page a section), NIfTI (the third axis counts the sections) or PNG.

    Returns:
        (D, H, W), in the type of the file; a single picture has D = 1. NIfTI's x and y become W and H.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when it cannot be read as grey sections of one size, or holds values that are not finite.
    """
    path = Path(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"{path} {what}; expected an image file ({', '.join(READ_SUFFIXES)})")
    reader = next((reader for suffix, reader in _READERS.items() if path.name.lower().endswith(suffix)), None)
    if reader is None:
        raise ValueError(f"{path}: its type is not known; {', '.join(READ_SUFFIXES)} are")
    try:
        array = reader(path)
    except Exception as error:  # each format's reader has its own errors, all of them mean that the file is no good
        raise ValueError(f"{path} cannot be read as an image: {error}") from error
    if array.ndim == 2:
        array = array[None]
    if array.ndim != 3:
        raise ValueError(f"{path} has the shape {array.shape}; {_GREY}")
    if array.size == 0:
        raise ValueError(f"{path} has the shape {array.shape}: there are no pixels in it")
    if array.dtype.kind not in "buif":
        raise ValueError(f"{path} holds values of type {array.dtype}; expected whole or real numbers")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = int(array.size - np.isfinite(array).sum())
        raise ValueError(f"{path} holds {bad} values that are not finite (NaN or infinite); replace them first")
    return array


def image_files(path: str | Path) -> list[str]:
    """The image files of a folder in the order of their names, or the one file that was named.

    Raises:
        FileNotFoundError: when there is no such folder or file, or no image in the folder.
    """
    path = Path(path)
    if path.is_file():
        return [str(path)]
    if not path.is_dir():
        raise FileNotFoundError(f"{path} does not exist; expected an image file or a folder of images")
    # names that start with a point are no images: what macOS leaves beside one, or a killed run behind itself
    names = [file.name for file in path.iterdir() if not file.name.startswith(".")]
    files = sorted(str(path / name) for name in names if name.lower().endswith(READ_SUFFIXES))
    if not files:
        raise FileNotFoundError(f"{path} holds no image; expected {', '.join(READ_SUFFIXES)}")
    stems = [_SUFFIX.sub("", Path(file).name) for file in files]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        raise ValueError(
            f"{path} holds several images named {', '.join(twice)}: their results would overwrite each other"
        )
    return files


def count_sections(path: str | Path) -> int:
    """Number of sections of an image file; of a TIFF without reading the pixels. Errors as `read_stack` has them."""
    path = Path(path)
    if path.is_file() and path.name.lower().endswith((".tif", ".tiff")):
        try:
            with _open_tiff(path) as tiff:
                return len(tiff.pages)
        except Exception as error:  # as in read_stack
            raise ValueError(f"{path} cannot be read as an image: {error}") from error
    return len(read_stack(path))


@contextmanager
def _open_tiff(path: Path) -> Iterator[TiffFile]:
    """A TIFF, whose broken chain of pages is an error: tifffile logs it and goes on with the pages before the break."""
    import tifffile

    class Complaints(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    said: list[str] = []
    log, handler = logging.getLogger("tifffile"), Complaints(logging.ERROR)
    log.addHandler(handler)
    try:
        with tifffile.TiffFile(path) as tiff:
            len(tiff.pages)
            if said:
                raise ValueError(f"it is damaged or cut off: {'; '.join(said)}")
            yield tiff
    finally:
        log.removeHandler(handler)


def _read_tiff(path: Path) -> np.ndarray:
    with _open_tiff(path) as tiff:
        # pages, not series: a series silently drops the pages whose shape or type differs from the first
        shapes = sorted({(page.shape, str(page.dtype)) for page in tiff.pages})
        if len(shapes) > 1:
            raise ValueError(f"its pages differ in shape or type: {shapes}; sections must be of one size")
        if any(page.ndim != 2 for page in tiff.pages):
            raise ValueError(f"a page has the shape {tiff.pages[0].shape}; {_GREY}")
        if any(page.aspage().photometric == 0 for page in tiff.pages):
            raise ValueError("it is stored with white as 0; save it with black as 0")
        return np.stack([page.asarray() for page in tiff.pages])


def _read_nifti(path: Path) -> np.ndarray:
    import nibabel

    return np.asarray(nibabel.load(path).dataobj).T  # type: ignore[attr-defined]


def _read_png(path: Path) -> np.ndarray:
    from skimage.io import imread

    picture = imread(path)
    if picture.ndim != 2:
        raise ValueError(f"it has the shape {picture.shape}; {_GREY}")
    return picture


_READERS: dict[str, Callable[[Path], np.ndarray]] = {
    ".tif": _read_tiff,
    ".tiff": _read_tiff,
    ".nii": _read_nifti,
    ".nii.gz": _read_nifti,
    ".png": _read_png,
}
