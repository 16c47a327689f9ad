"""DICOM: a file, or a folder with the files of one series, read section by section through SimpleITK."""

from __future__ import annotations

import locale
import stat
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from monai_unet.io.sources.base import DEFLATE_RATIO, Box, ImageInfo, ImageSource, straight_origin
from monai_unet.io.sources.itk import TO_NIFTI, pixel_type, read_region

DICOM_SUFFIXES = (".dcm", ".dicom")
_INDEX = "DICOMDIR"  # lists the files of a disk, and is no image
_SERIES, _DESCRIPTION, _NUMBER = "0020|000e", "0008|103e", "0020|0013"
_POSITION, _MEANING = "0020|0032", "0028|0004"
_RATIO = 2 * DEFLATE_RATIO  # of the compressions, as for a JPEG; headers alone take a kilobyte
_ONE_AT_A_TIME = threading.Lock()
_GAP = 0.1  # of the distance between sections, by which one may differ


class DicomSource(ImageSource):
    """A DICOM file, or the one series of a folder; stored values times slope plus intercept, in millimetres.

    The sections of a series are in the order of their places in space, or of their numbers where they have no places.
    """

    def _open(self) -> None:
        """Nothing stays open: each section is a file."""

    def _describe(self) -> ImageInfo:
        if self.path.is_dir():
            self._names, first, step = _series(self.path)
        else:
            self._names, first, step = [self.path.name], _header(self.path), None
        width, height, depth = first.size
        if len(self._names) > 1:
            depth = len(self._names)
        expected, stored = depth * height * width * first.channels * first.dtype.itemsize, self._stored_bytes(0)
        if expected > stored * _RATIO:
            raise ValueError(
                f"it describes an image of {(depth, height, width)}, {expected} bytes, and {stored} bytes cannot be "
                "unpacked to as many; it is damaged or cut off: fetch or copy it again"
            )
        affine = np.eye(4)
        spacing = (*first.spacing[:2], step or first.spacing[2])
        affine[:3, :3] = first.direction * np.array(spacing)
        affine[:3, 3] = first.origin
        return ImageInfo(
            self.path,
            (depth, height, width),
            first.channels,
            first.dtype,
            ndim=3,
            spacing=(spacing[2], spacing[1], spacing[0]),
            unit="millimeter",
            origin=straight_origin(TO_NIFTI @ affine),
            affine=TO_NIFTI @ affine,
        )

    def _stored_bytes(self, enough: int) -> int:
        folder = self.path if self.path.is_dir() else self.path.parent
        return sum((folder / name).stat().st_size for name in self._names)

    def _read(self, box: Box) -> np.ndarray:
        with _same_locale():
            return self._read_alone(box)

    def _read_alone(self, box: Box) -> np.ndarray:
        sections, rows, columns = box
        extent = tuple(part.stop - part.start for part in box)
        block = np.empty((self.info.channels, *extent), self.info.dtype)
        if block.size == 0:
            return block
        if not self.path.is_dir():
            return read_region(_reader(self.path), box, 3, self.info.dtype)
        if len(self._names) == 1:
            return read_region(_reader(self.path / self._names[0]), box, 3, self.info.dtype)
        for z in range(sections.start, sections.stop):
            one = (slice(0, 1), rows, columns)
            reader = _reader(self.path / self._names[z])
            block[:, z - sections.start : z - sections.start + 1] = read_region(reader, one, 3, self.info.dtype)
        return block


@dataclass(frozen=True)
class _Header:
    """What a file says of its picture, in the order x, y, z."""

    name: str
    size: tuple[int, int, int]
    spacing: tuple[float, float, float]
    origin: np.ndarray
    direction: np.ndarray
    dtype: np.dtype
    channels: int
    series: str
    description: str
    number: int | None
    has_place: bool


def is_dicom_folder(folder: Path) -> bool:
    """Whether a folder holds DICOM files: by their endings, or of files without a known one by the mark in them."""
    if not folder.is_dir() or folder.suffix.lower() in (".zarr", ".n5"):  # of thousands of files
        return False
    try:
        return any(is_dicom(file) for file in folder.iterdir())
    except PermissionError:
        return False


def is_dicom(file: Path) -> bool:
    """Whether a file is DICOM, which often has no ending, or one that is a part of its number."""
    if file.name.startswith(".") or file.name.upper() == _INDEX:
        return False
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            return False
        if file.name.lower().endswith(DICOM_SUFFIXES):
            return True
        if file.suffix.strip(".").isalpha() and file.suffix.lower() != ".ima":  # another kind of file
            return False
        with file.open("rb") as opened:
            return opened.read(132)[128:] == b"DICM"
    except OSError:
        return False


@contextmanager
def _same_locale() -> Iterator[None]:
    """GDCM sets the locale of the process while it reads, and two threads at once would leave it at "C"."""
    with _ONE_AT_A_TIME:
        before = locale.setlocale(locale.LC_ALL)
        try:
            yield
        finally:
            locale.setlocale(locale.LC_ALL, before)


def _reader(path: Path) -> Any:
    import SimpleITK

    reader = SimpleITK.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    return reader


def _header(path: Path) -> _Header:
    reader = _reader(path)
    try:
        with _same_locale():
            reader.ReadImageInformation()
    except RuntimeError as error:
        reason = str(error).splitlines()[-1]
        raise ValueError(f"{path.name} is no DICOM image, or is damaged: {reason}") from error
    keys = reader.GetMetaDataKeys()

    def said(key: str) -> str:
        return reader.GetMetaData(key).strip().strip("\0") if key in keys else ""

    if said(_MEANING) == "MONOCHROME1":
        raise ValueError(f"{path.name} is stored with white as 0 (MONOCHROME1); save it with black as 0")
    if len(reader.GetSize()) != 3:
        raise ValueError(f"{path.name} has the shape {reader.GetSize()[::-1]}; expected a picture or a volume")
    number = said(_NUMBER)
    return _Header(
        path.name,
        reader.GetSize(),
        reader.GetSpacing(),
        np.array(reader.GetOrigin()),
        np.array(reader.GetDirection()).reshape(3, 3),
        pixel_type(reader),
        reader.GetNumberOfComponents(),
        said(_SERIES),
        said(_DESCRIPTION),
        int(number) if number.lstrip("-").isdigit() else None,
        bool(said(_POSITION)) and bool(np.any(reader.GetOrigin())),  # some writers put 0 for what is not known
    )


def _series(folder: Path) -> tuple[list[str], _Header, float | None]:
    """The files of the one series in their order, what they say, and the distance between them, mm."""
    headers = [_header(file) for file in sorted(folder.iterdir()) if is_dicom(file)]
    series = defaultdict(list)
    for header in headers:
        series[header.series].append(header)
    if len(series) > 1:
        found = "; ".join(
            f"{one[0].description or 'without a description'} ({len(one)} files, {one[0].name} and so on)"
            for one in series.values()
        )
        raise ValueError(f"it holds {len(series)} series: {found}; put each in a folder of its own")
    first = headers[0]
    if len(headers) == 1:
        return [first.name], first, None
    for one in headers:
        if one.size[2] != 1:
            raise ValueError(f"{one.name} in it is a volume of its own: put each in a folder of its own")
        alike = one.size == first.size and one.channels == first.channels
        if not (alike and np.allclose(one.spacing[:2], first.spacing[:2], rtol=1e-3)):
            raise ValueError(
                f"{first.name} and {one.name} in it differ in size: {first.size[:2]} and {one.size[:2]} pixels of "
                f"{first.spacing[:2]} and {one.spacing[:2]} mm"
            )
        if not np.allclose(one.direction, first.direction, atol=1e-3):
            raise ValueError(f"{first.name} and {one.name} in it lie at an angle to each other; put them apart")
    ordered, step = _placed(headers) if any(one.has_place for one in headers) else (_numbered(headers), None)
    dtype = np.result_type(*(one.dtype for one in headers))  # each file may have a slope of its own
    start = ordered[0]
    return [one.name for one in ordered], _Header(**{**vars(start), "dtype": dtype}), step


def _placed(headers: Sequence[_Header]) -> tuple[list[_Header], float]:
    """In the order of their places along the normal of their plane, at one distance."""
    normal = headers[0].direction[:, 2]
    ordered = sorted(headers, key=lambda one: float(one.origin @ normal))
    places = np.array([float(one.origin @ normal) for one in ordered])
    gaps = np.diff(places)
    step = float((places[-1] - places[0]) / len(gaps))
    same = int(np.argmin(gaps))
    if gaps[same] <= _GAP * step:
        raise ValueError(
            f"{ordered[same].name} and {ordered[same + 1].name} in it lie in one place: they are several points in "
            "time or echoes; put each in a folder of its own"
        )
    usual = float(np.median(gaps))
    odd = int(np.argmax(np.abs(gaps - usual)))
    if abs(gaps[odd] - usual) > _GAP * usual:
        raise ValueError(
            f"between {ordered[odd].name} and {ordered[odd + 1].name} in it lie {gaps[odd]:.6g} mm, and {usual:.6g} mm "
            "between others: a section is missing, or two scans are mixed"
        )
    return ordered, step


def _numbered(headers: Sequence[_Header]) -> list[_Header]:
    numbers = [one.number for one in headers]
    if None in numbers or len(set(numbers)) != len(numbers):
        raise ValueError("its files say neither where they lie nor which number each has, so their order is not known")
    return sorted(headers, key=lambda one: one.number or 0)
