"""Read an image file as a stack of sections, in array order, with errors that name the file."""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from monai_unet.io.ome import WRITTEN_BY
from monai_unet.io.sources import (
    FOLDER_SUFFIXES,
    ONE_CHANNEL,
    PICTURE_SUFFIXES,
    ImageInfo,
    ImageSource,
    Pages,
    as_pages,
    common_part,
    in_files,
    is_dicom,
    is_image_folder,
    is_unsure,
    open_image,
    open_source,
    parse_channels,
    split_inside,
)

_RESULT = re.compile(r"(.+?)_(?:probability(?:_[\w-]+)?|label|instances)")

logger = logging.getLogger(__name__)

READ_SUFFIXES = (
    *(".tif", ".tiff", ".nii", ".nii.gz", ".png", ".mha", ".mhd", ".nrrd", ".dcm", ".dicom", ".jpg", ".jpeg", ".bmp"),
    *(".h5", ".hdf5", ".czi", ".nd2", ".lif"),  # with the extra `formats`
    *FOLDER_SUFFIXES,
)
_COMPANIONS = (".raw", ".zraw")  # the pixels of an .mhd
_SUFFIX = re.compile(rf"(\.ome(?=\.(tiff?|zarr)$))?({'|'.join(map(re.escape, READ_SUFFIXES))})$", re.IGNORECASE)


def read_stack(path: str | os.PathLike[str]) -> np.ndarray:
    """The sections of a file with one number per pixel, labels say; `read_image` is for grey values.

    Args:
        path: whatever `open_source` takes: TIFF (one page per section), NIfTI (the third axis counts the sections),
            PNG, MetaImage, NRRD, Zarr and so on, but no JPEG or BMP. A colour table, which label editors add to show
            their numbers, is left aside.

    Returns:
        (D, H, W), in the type of the file; a single picture has D = 1. NIfTI's x and y become W and H.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when it cannot be read as grey sections of one size, or holds values that are not finite; for a JPEG
            or BMP.
    """
    if str(path).lower().endswith(PICTURE_SUFFIXES):
        raise ValueError(
            f"{path}: labels are not read from JPEG or BMP; JPEG changes the numbers that were painted, and both hold "
            "colours rather than numbers: save labels as TIFF or PNG from the program that they were painted in"
        )
    source = open_source(path)
    if source.info.channels != 1:
        raise ValueError(
            f"{path} has {source.info.channels} channels, sections of {source.info.shape}; expected one number per "
            f"pixel: {_to_numbers(source.info)}"
        )
    return read_whole(source)[0]


def read_image(
    path: str | Path, channels: str | Sequence[str] | None = ONE_CHANNEL, pages: Pages | None = None
) -> np.ndarray:
    """The sections of an image file, grey or of several channels.

    Args:
        path: the file; where each channel lies in a file of its own, that of any of them.
        channels: see `open_image`.
        pages: see `open_image`.

    Returns:
        (C, D, H, W), otherwise as `read_stack` has them.

    Raises:
        ValueError: when the file has a colour table, so that its numbers are no grey values, or other channels than
            were asked for; and as `read_stack`.
    """
    return read_whole(open_image(path, channels, pages))


def read_whole(source: ImageSource) -> np.ndarray:
    """All pixels of an image, (C, D, H, W).

    Raises:
        ValueError: when it is larger than this machine's memory, is damaged, or holds values that are not finite.
    """
    path, (depth, height, width) = source.path, source.info.shape
    size = source.info.channels * depth * height * width * source.info.dtype.itemsize
    if size > _memory():
        raise ValueError(
            f"{path} has the shape {source.info.shape} and takes {size / 1e9:.1f} GB as a whole; this machine has "
            f"{_memory() / 1e9:.1f} GB. `monai-unet predict` reads it tile by tile; for training, cut it into smaller "
            "files"
        )
    array = source.read((slice(0, depth), slice(0, height), slice(0, width)))
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = int(array.size - np.isfinite(array).sum())
        raise ValueError(f"{path} holds {bad} values that are not finite (NaN or infinite); replace them first")
    return array


def _to_numbers(info: ImageInfo) -> str:
    """What makes numbers of a file with several channels, for an error."""
    numbers = (
        "save its numbers as grey values of one channel, not in colours; of labels for a bundle say which colour is "
        "which class, --colours"
    )
    if not is_unsure(info):
        return numbers
    return (
        f"if its {info.channels} channels are sections, set Image > Properties > Slices to {info.channels} in Fiji "
        "(where it opens in colour, after Image > Type > RGB Stack), or save them with tifffile.imwrite(FILE, stack, "
        f"photometric='minisblack'); if not, {numbers}"
    )


def _memory() -> float:
    """The memory of this machine, bytes; infinity where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # Windows
        return math.inf


def image_files(
    path: str | Path, results_in: str | Path | None = None, channels: str | Sequence[str] = ONE_CHANNEL
) -> list[str]:
    """The image files of a folder in the order of their names, or the one file that was named.

    A Zarr, an N5 and a folder of DICOM files are one image each, whether they are named or lie in the folder.

    Args:
        path: the folder or file.
        results_in: where the results of inference go. If that is the folder itself, results of an earlier run are no
            images.
        channels: see `parse_channels`; of images in a file a channel, the first one's file is named.

    Raises:
        FileNotFoundError: when there is no such folder or file, or no image in the folder.
        ValueError: when results would overwrite each other, or a file that is not one of them.
    """
    path = Path(path)
    if path.is_file() or split_inside(path)[1] or is_image_folder(path):
        return [str(path)]
    if not path.is_dir():
        raise FileNotFoundError(f"{path} does not exist; expected an image file or a folder of images")
    files = list_images(path)
    if results_in is not None and Path(results_in).resolve() == path.resolve():
        files = _without_results(files)
    files, others = first_channels(files, channels)
    if others:
        _say_no_channel(str(path), tuple(Path(file).name for file in others))
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


def first_channels(files: Sequence[str], channels: str | Sequence[str]) -> tuple[list[str], list[str]]:
    """The files that stand for an image each, and those that are no channel of any.

    Where each channel lies in a file of its own, the first channel's files stand for the images; all files otherwise.
    """
    wanted = parse_channels(channels)
    if not in_files(wanted):
        return list(files), []
    of = [next((n for n, each in enumerate(wanted) if common_part(file, str(each.pattern))), None) for file in files]
    firsts = [file for file, number in zip(files, of, strict=True) if number == 0]
    return firsts, [file for file, number in zip(files, of, strict=True) if number is None]


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

    from monai_unet.io.zarr_store import recorded

    try:
        if path.lower().endswith(".zarr"):
            return recorded(Path(path)) is not None
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
    there = [each for each in folder.iterdir() if not each.name.startswith(".")]
    folders = [each.name for each in there if is_image_folder(each)]
    names = [each.name for each in there if each.is_file()]
    images = [name for name in names if name.lower().endswith(READ_SUFFIXES) or is_dicom(folder / name)]
    others = sorted(name for name in set(names) - set(images) if not name.lower().endswith(_COMPANIONS))
    if others:
        _say_left_out(str(folder), tuple(others))
    return sorted(str(folder / name) for name in (*images, *folders))


@cache  # once for a folder, however often it is listed
def _say_left_out(folder: str, names: tuple[str, ...]) -> None:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    logger.warning(
        f"left out in {folder}: {', '.join(names[:5])}{more}; images are files that end in {', '.join(READ_SUFFIXES)}"
    )


@cache
def _say_no_channel(folder: str, names: tuple[str, ...]) -> None:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    logger.warning(f"left out in {folder}: {', '.join(names[:5])}{more}; their names fit no pattern of a channel")


def stem(path: str | Path) -> str:
    """Name of an image file without its folder and its ending; `.nii.gz` and `.ome.tif` are one ending."""
    return _SUFFIX.sub("", Path(path).name)


def count_sections(path: str | Path, pages: Pages | None = None) -> int:
    """Number of sections of an image file, without reading the pixels. Errors as `read_stack` has them.

    Args:
        path: the file.
        pages: what its pages are, see `open_image`.
    """
    return as_pages(open_source(path), pages).info.shape[0]
