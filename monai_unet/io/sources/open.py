"""The reader for an image file, by its ending."""

from __future__ import annotations

import importlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from monai_unet.io.sources.base import ImageSource, said
from monai_unet.io.sources.channels import (
    ONE_CHANNEL,
    Joined,
    Pages,
    as_pages,
    files_of,
    in_files,
    parse_channels,
    with_channels,
)
from monai_unet.io.sources.dicom import is_dicom, is_dicom_folder
from monai_unet.io.sources.inside import split_inside
from monai_unet.io.sources.n5 import ATTRIBUTES

# the module and the class for each ending; a module imports its format's package when it opens a file
_READERS = {
    ".tif": ("tiff", "TiffSource"),
    ".tiff": ("tiff", "TiffSource"),
    ".nii": ("nifti", "NiftiSource"),
    ".nii.gz": ("nifti", "NiftiSource"),
    ".png": ("png", "PngSource"),
    ".mha": ("itk", "ItkSource"),
    ".mhd": ("itk", "ItkSource"),
    ".nrrd": ("itk", "ItkSource"),
    ".zarr": ("zarr", "ZarrSource"),
    ".n5": ("n5", "N5Source"),
    ".dcm": ("dicom", "DicomSource"),
    ".dicom": ("dicom", "DicomSource"),
    ".h5": ("hdf5", "Hdf5Source"),
    ".hdf5": ("hdf5", "Hdf5Source"),
    ".czi": ("czi", "CziSource"),
    ".nd2": ("bioio", "BioioSource"),
    ".lif": ("bioio", "BioioSource"),
    ".jpg": ("picture", "PictureSource"),
    ".jpeg": ("picture", "PictureSource"),
    ".bmp": ("picture", "PictureSource"),
}
FOLDER_SUFFIXES = (".zarr", ".n5")
SOURCE_SUFFIXES = tuple(_READERS)


def open_source(path: str | os.PathLike[str]) -> ImageSource:
    """An image file, ready to be read box by box.

    Args:
        path: a TIFF (pages of one size; tiled, striped, BigTIFF, OME, ImageJ), a folder with OME-Zarr (0.1 to 0.5) or
            a Zarr array (versions 2 and 3), a NIfTI (its third axis counts the sections; a `.nii.gz` is unpacked into
            the folder for temporary files at the first read), a PNG, JPEG or BMP (kept in memory as a whole), a
            MetaImage or NRRD, or a DICOM file or a folder with those of one series (read by SimpleITK). With the extra
            `formats` also a CZI, ND2 or LIF, an HDF5, or a folder with an N5; FILE.h5/volumes/raw and
            FILE.lif/Series003 name one image of several. Of a picture with a colour table the numbers are read, as
            labels have them; `open_image` refuses it.

    Raises:
        FileNotFoundError: when there is nothing, or a folder that is neither a Zarr nor an N5 nor holds DICOM files.
        ImportError: when the package that reads it is missing.
        PermissionError: when it may not be read.
        ValueError: when it is not such an image, is damaged, or its sections differ in size.

    Example:
        >>> source = open_source("train-volume.tif")  # doctest: +SKIP
        >>> source.read((slice(0, 1), slice(100, 200), slice(0, 50))).shape  # doctest: +SKIP
        (1, 1, 100, 50)
    """
    path = Path(path)
    file, _ = split_inside(path)
    check_file(file)
    kind = _source_type(file)
    if file.is_file() and file.stat().st_size == 0:
        raise ValueError(f"{path} cannot be read as an image: it is empty; fetch or copy it again")
    try:
        return kind(path)
    except ImportError:
        raise
    except Exception as error:  # as in `read`
        raise ValueError(f"{path} cannot be read as an image: {said(error)}") from error


def open_image(
    path: str | os.PathLike[str],
    channels: str | Sequence[str] | None = ONE_CHANNEL,
    pages: Pages | None = None,
) -> ImageSource:
    """`open_source` for an image, whose numbers have to be grey values or colours.

    Args:
        path: the file; where each channel lies in a file of its own, that of any of them.
        channels: that are wanted, see `parse_channels`; all that there are, as they are, when None.
        pages: what the pages of a file are, "sections" or "channels"; as the file says when left out.

    Raises:
        ValueError: when the file has a colour table, no such channels, or another number of them; and as `open_source`.
    """
    wanted = None if channels is None else parse_channels(channels)
    if wanted and in_files(wanted):
        parts = [_open_grey(file) for file in files_of(path, wanted)]
        return Joined(parts, [channel.name for channel in wanted])
    source = as_pages(_open_grey(path), pages)
    return source if wanted is None else with_channels(source, wanted)


def _open_grey(path: str | os.PathLike[str]) -> ImageSource:
    source = open_source(path)
    if source.info.colour_table:
        raise ValueError(
            f"{path} is stored with a colour table, and its numbers are not grey values; convert it to grey, or to RGB "
            "for a network that takes colour"
        )
    return source


def check_file(path: Path) -> None:
    """Refuse what is neither an ordinary file nor a folder, or may not be read.

    Readers would wait for ever for what comes out of a named pipe, and never reach the end of some devices.

    Raises:
        FileNotFoundError, PermissionError, ValueError: naming the path and what was found.
    """
    expected = f"expected an image ({', '.join(SOURCE_SUFFIXES)})"
    try:
        mode = path.stat().st_mode
    except PermissionError as error:
        raise PermissionError(f"{path} cannot be reached by this user: a folder above it forbids it") from error
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        try:
            found = f"is a link to {path.readlink()}, which does not exist"
        except (OSError, ValueError):
            found = f"does not exist; {expected}"
        raise FileNotFoundError(f"{path} {found}") from error
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        kinds = {stat.S_ISFIFO: "a named pipe", stat.S_ISSOCK: "a socket"}
        found = next((name for is_kind, name in kinds.items() if is_kind(mode)), "a device")
        raise ValueError(f"{path} is not an ordinary file but {found}; {expected}")
    if not os.access(path, os.R_OK | (os.X_OK if stat.S_ISDIR(mode) else 0)):
        right = "rx" if stat.S_ISDIR(mode) else "r"
        raise PermissionError(f"{path} cannot be read by this user: its permissions forbid it (chmod u+{right})")


def _source_type(path: Path) -> type[ImageSource]:
    if path.is_dir():
        suffix = _folder_suffix(path)
        if suffix is None:
            raise FileNotFoundError(
                f"{path} is a folder but not a Zarr, an N5 or one with DICOM files; expected an image file "
                f"({', '.join(SOURCE_SUFFIXES)})"
            )
    else:
        name = path.name.lower()
        suffix = next((each for each in SOURCE_SUFFIXES if each not in FOLDER_SUFFIXES and name.endswith(each)), None)
        if suffix is None and is_dicom(path):
            suffix = ".dcm"
        if suffix is None:
            raise ValueError(f"{path}: unknown type; expected {', '.join(SOURCE_SUFFIXES)}")
    module, reader = _READERS[suffix]
    return getattr(importlib.import_module(f"monai_unet.io.sources.{module}"), reader)


def is_image_folder(path: Path) -> bool:
    """Whether a folder is one image: a Zarr, an N5, or the files of a DICOM series."""
    try:
        return path.is_dir() and _folder_suffix(path) is not None
    except PermissionError:
        return False


def _folder_suffix(path: Path) -> str | None:
    """The ending that a folder has, or should have by what lies in it."""
    marks = {".zarr": ("zarr.json", ".zarray", ".zgroup"), ".n5": (ATTRIBUTES,)}
    for suffix, names in marks.items():
        if path.suffix.lower() == suffix or any((path / name).is_file() for name in names):
            return suffix
    return ".dcm" if is_dicom_folder(path) else None
