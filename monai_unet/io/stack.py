"""Read an image file as a stack of sections, in array order, with errors that name the file."""

from __future__ import annotations

import logging
import math
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from monai_unet.io.sources import ImageInfo, ImageSource, open_image, open_source

_GREY = (
    "make it grey first: Image > Type > 8-bit in Fiji, or skimage.color.rgb2gray; of several channels save the one "
    "that shows the cells"
)
_NUMBERS = (
    "save its numbers as grey values of one channel, not in colours; of labels for a bundle say which colour is which "
    "class, --colours"
)

WRITTEN_BY = "monai-unet"
"""In the metadata of the files that inference writes."""

_RESULT = re.compile(r"(.+?)_(?:probability(?:_[\w-]+)?|label|instances)")

logger = logging.getLogger(__name__)

READ_SUFFIXES = (".tif", ".tiff", ".nii", ".nii.gz", ".png", ".mha", ".mhd", ".nrrd")
_COMPANIONS = (".raw", ".zraw")  # the pixels of an .mhd
_SUFFIX = re.compile(r"\.(tiff?|nii|nii\.gz|png|mha|mhd|nrrd)$", re.IGNORECASE)


def read_stack(path: str | os.PathLike[str]) -> np.ndarray:
    """The sections of a file with one number per pixel, labels say; `read_image` is for grey values.

    Args:
        path: whatever `open_source` takes: TIFF (one page per section), NIfTI (the third axis counts the sections),
            PNG, MetaImage, NRRD, Zarr. A colour table, which label editors add to show their numbers, is left aside.

    Returns:
        (D, H, W), in the type of the file; a single picture has D = 1. NIfTI's x and y become W and H.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when it cannot be read as grey sections of one size, or holds values that are not finite.
    """
    return _read(open_source(path), _NUMBERS)


def read_image(path: str | Path) -> np.ndarray:
    """The sections of a grey image file, as `read_stack` has them.

    Raises:
        ValueError: when the file has a colour table, so that its numbers are no grey values; and as `read_stack`.
    """
    return _read(open_image(path), _GREY)


def _read(source: ImageSource, remedy: str) -> np.ndarray:
    path = source.path
    if source.info.channels != 1:
        shape = (*source.info.shape[source.info.ndim == 2 :], source.info.channels)
        raise ValueError(
            f"{path} has the shape {shape}; expected grey sections of one size; {to_one_channel(source.info, remedy)}"
        )
    depth, height, width = source.info.shape
    size = depth * height * width * source.info.dtype.itemsize
    if size > _memory():
        raise ValueError(
            f"{path} has the shape {source.info.shape} and takes {size / 1e9:.1f} GB as a whole; this machine has "
            f"{_memory() / 1e9:.1f} GB. `monai-unet predict` reads it tile by tile; for training, cut it into smaller "
            "files"
        )
    array = source.read((slice(0, depth), slice(0, height), slice(0, width)))[0]
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = int(array.size - np.isfinite(array).sum())
        raise ValueError(f"{path} holds {bad} values that are not finite (NaN or infinite); replace them first")
    return array


def to_one_channel(info: ImageInfo, remedy: str) -> str:
    """What makes sections of an image with several channels, as part of an error.

    ImageJ may call a stack's sections channels, and tifffile takes three or four of them for the planes of a colour
    image unless it is told otherwise: the mean over such channels would be one over sections.

    Args:
        info: of the image.
        remedy: where they are channels.
    """
    channels = info.channels
    if info.channels_in == "pixels" or info.shape[0] > 1:
        return remedy
    kind = "the colours of one section" if channels in (3, 4) else "channels of one section"
    return (
        f"if its {channels} channels are sections, set Image > Properties > Slices to {channels} in Fiji (where it "
        "opens in colour, after Image > Type > RGB Stack), or save them with tifffile.imwrite(FILE, stack, "
        f"photometric='minisblack'); if they are {kind}, {remedy}"
    )


def _memory() -> float:
    """The memory of this machine, bytes; infinity where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # Windows
        return math.inf


def image_files(path: str | Path, results_in: str | Path | None = None) -> list[str]:
    """The image files of a folder in the order of their names, or the one file that was named.

    Args:
        path: the folder or file.
        results_in: where the results of inference go. If that is the folder itself, results of an earlier run are no
            images.

    Raises:
        FileNotFoundError: when there is no such folder or file, or no image in the folder.
        ValueError: when results would overwrite each other, or a file that is not one of them.
    """
    path = Path(path)
    if path.is_file():
        return [str(path)]
    if not path.is_dir():
        raise FileNotFoundError(f"{path} does not exist; expected an image file or a folder of images")
    files = list_images(path)
    if results_in is not None and Path(results_in).resolve() == path.resolve():
        files = _without_results(files)
    if not files:
        raise FileNotFoundError(f"{path} holds no image; expected {', '.join(READ_SUFFIXES)}")
    stems = [stem(file).lower() for file in files]  # a disk may not tell a.tif from A.tif
    twice = [file for file, name in zip(files, stems, strict=True) if stems.count(name) > 1]
    if twice:
        raise ValueError(
            f"{', '.join(twice)} have one name, and their results would overwrite each other: rename them, or predict "
            "them one by one into folders of their own"
        )
    return files


def _without_results(files: list[str]) -> list[str]:
    """Without those that inference writes of others among them."""
    stems = {stem(file) for file in files}
    images = []
    for file in files:
        result = _RESULT.fullmatch(stem(file))
        of_film = re.fullmatch(r"mask(\d{3,})", stem(file))
        if not (result and result[1] in stems) and not (of_film and f"t{of_film[1]}" in stems):
            images.append(file)
        elif not _is_result(file):
            raise ValueError(
                f"{file} lies where a result would go, and was not written by monai-unet: give another --output_dir"
            )
    return images


def _is_result(path: str) -> bool:
    import nibabel
    import tifffile

    try:
        if path.lower().endswith((".tif", ".tiff")):
            with tifffile.TiffFile(path) as tiff:
                return bool(tiff.pages.first.software == WRITTEN_BY)
        header: Any = nibabel.load(path).header
        return bool(header["descrip"].item().decode() == WRITTEN_BY)
    except Exception:  # of whatever it is
        return False


def list_images(folder: Path) -> list[str]:
    """The image files of a folder in the order of their names, several of one stem included; says what is left out."""
    # a name that starts with a point is not an image: macOS leaves such files, and so do runs that are killed
    names = [file.name for file in folder.iterdir() if file.is_file() and not file.name.startswith(".")]
    others = sorted(name for name in names if not name.lower().endswith((*READ_SUFFIXES, *_COMPANIONS)))
    if others:
        _say_left_out(str(folder), tuple(others))
    return sorted(str(folder / name) for name in names if name.lower().endswith(READ_SUFFIXES))


@cache  # once for a folder, however often it is listed
def _say_left_out(folder: str, names: tuple[str, ...]) -> None:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    logger.warning(
        f"left out in {folder}: {', '.join(names[:5])}{more}; images are files that end in {', '.join(READ_SUFFIXES)}"
    )


def stem(path: str | Path) -> str:
    """Name of an image file without its folder and its ending; `.nii.gz` is one ending."""
    return _SUFFIX.sub("", Path(path).name)


def count_sections(path: str | Path) -> int:
    """Number of sections of an image file, without reading the pixels. Errors as `read_stack` has them."""
    return open_source(path).info.shape[0]
