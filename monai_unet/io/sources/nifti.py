"""NIfTI read box by box; the third axis counts the sections, x and y become columns and rows.

NIfTI has the fourth axis for time and the fifth for the numbers of a vector, and many a program keeps channels in the
fourth: one of the two may be longer than 1, and counts the channels. A file of colours has three, red, green and blue.
"""

from __future__ import annotations

import gzip
import io
import math
import shutil
import tempfile
from typing import IO, Any

import numpy as np

from monai_unet.io.sources.base import DEFLATE_RATIO, Box, ImageInfo, ImageSource, straight_origin, unit_name

NIFTI_UNITS = {"micrometer": "micron", "millimeter": "mm", "meter": "meter"}
"""The units that a NIfTI can have, by their names here."""

_RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
_LONGEST_HEADER = 1 << 26  # bytes before the pixels; with extensions, of which nibabel reads all, some hold whole texts


class NiftiSource(ImageSource):
    """A NIfTI, 1 or 2. A packed one is unpacked at the first read, into a nameless file that goes with the process.

    Gzip can only be read from its beginning: without that file every box would unpack all that comes before it. It
    lies in the folder for temporary files (TMPDIR), with the size that the header gives, and not a byte more.
    """

    def _open(self) -> Any:
        import nibabel

        image: Any = nibabel.load(self.path)
        if not self._is_packed:
            return image.dataobj
        return type(image).from_stream(self._unpack(_end(image.dataobj))).dataobj

    def _unpack(self, size: int) -> IO[bytes]:
        """The unpacked file, which has to have that size."""
        folder = tempfile.gettempdir()
        free = shutil.disk_usage(folder).free
        if size > free:
            raise ValueError(
                f"unpacked it takes {size} bytes, and the folder for temporary files, {folder}, has {free} free; set "
                "TMPDIR to a folder with more room"
            )
        unpacked = tempfile.TemporaryFile()  # noqa: SIM115  open as long as the image that is read from it
        with gzip.open(self.path) as packed:
            left = size
            while left and (piece := packed.read(min(left, 1 << 20))):
                unpacked.write(piece)
                left -= len(piece)
            if left:
                raise ValueError(f"it is cut off: {size - left} bytes of {size} when unpacked; fetch or copy it again")
            if packed.read(1):  # this read also compares the checksum at the end
                raise ValueError(
                    f"it goes on behind the {size} bytes that its header describes; the header or the data is damaged: "
                    "fetch or copy it again"
                )
        return unpacked

    @property
    def _is_packed(self) -> bool:
        return self.path.name.lower().endswith(".gz")

    def _describe(self) -> ImageInfo:
        import nibabel

        with nibabel.openers.Opener(str(self.path)) as file:
            _check_header(file.read(540))
        image: Any = nibabel.load(self.path)
        if not isinstance(image, nibabel.Nifti1Pair):  # NIfTI-2 is a subclass
            raise ValueError("it is not a NIfTI file")
        shape = image.shape
        if len(shape) < 2 or math.prod(shape[5:]) != 1:
            raise ValueError(f"it has the shape {shape}; expected one volume: save each volume in its own file")
        long = [size for size in shape[3:] if size != 1]
        dtype = image.get_data_dtype()
        if len(long) + (dtype == _RGB) > 1:
            raise ValueError(
                f"it has the shape {shape}{' in colour' if dtype == _RGB else ''}; expected channels along one axis, "
                "the fourth or the fifth: save each volume in its own file"
            )
        channels = 3 if dtype == _RGB else long[0] if long else 1
        width, height, depth = (*shape, 1)[:3]
        if min(shape) < 1:
            return ImageInfo(self.path, (depth, height, width), 1, dtype, 3)
        if dtype.kind not in "uif" and dtype != _RGB:
            raise ValueError(f"it holds values of type {dtype}; expected whole or real numbers, or red, green and blue")
        end, size = _end(image.dataobj), self.path.stat().st_size
        if not self._is_packed and end > size:
            raise ValueError(f"it is cut off: {size} bytes of {end}; fetch or copy it again")
        if end > size * DEFLATE_RATIO:
            raise ValueError(
                f"its header describes {end} bytes, shape {shape}, and {size} bytes cannot be unpacked to as many; it "
                "is damaged or cut off: fetch or copy it again"
            )
        x, y, z = (*(float(str(size)) for size in image.header.get_zooms()), 1.0)[:3]  # 0.05, not float32(0.05)
        return ImageInfo(
            self.path,
            (depth, height, width),
            channels,
            np.dtype(np.uint8) if dtype == _RGB else _scaled_type(image.dataobj),
            ndim=2 if len(shape) == 2 else 3,
            spacing=(z, y, x),
            unit=unit_name(image.header.get_xyzt_units()[0]),
            origin=straight_origin(image.affine),
            affine=np.array(image.affine),
        )

    def _read(self, box: Box) -> np.ndarray:
        extent = tuple(part.stop - part.start for part in box)
        z, y, x = box
        shape = self._file.shape
        pixels = np.asarray(self._file[(x, y, z, *(slice(0, size) for size in shape[3:]))[: len(shape)]])
        if pixels.dtype == _RGB:
            pixels = np.ascontiguousarray(pixels).view(np.uint8).reshape(*pixels.shape, 3)
        pixels = pixels.reshape(*extent[::-1], self.info.channels)  # of the last axes one is longer than 1
        return np.ascontiguousarray(pixels.T).astype(self.info.dtype, copy=False)


def _check_header(start: bytes) -> None:
    """Refuse a header that says it is very long, which nibabel would read as a whole."""
    for order in "<>":
        for size, place, kind in ((348, 108, "f4"), (540, 168, "i8")):  # NIfTI-1 and 2: their size and their offset
            if len(start) >= size and np.frombuffer(start, f"{order}i4", 1)[0] == size:
                offset = np.frombuffer(start, f"{order}{kind}", 1, place)[0]
                if not 0 <= offset <= _LONGEST_HEADER:
                    raise ValueError(f"its header says that the pixels begin at byte {offset}; it is damaged")


def _end(pixels: Any) -> int:
    """Byte of the unpacked file behind the last pixel."""
    return pixels.offset + math.prod(pixels.shape) * pixels.dtype.itemsize


def _scaled_type(pixels: Any) -> np.dtype:
    """Of the values as nibabel returns them: slope and intercept of the header make whole numbers real ones."""
    import nibabel

    one = (1,) * len(pixels.shape)
    pixel = io.BytesIO(bytes(pixels.dtype.itemsize))
    alike = nibabel.arrayproxy.ArrayProxy(pixel, (one, pixels.dtype, 0, pixels.slope, pixels.inter))
    return np.asarray(alike[(slice(1),) * len(one)]).dtype.newbyteorder("=")
