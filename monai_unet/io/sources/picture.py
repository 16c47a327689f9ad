"""JPEG and BMP, read as a whole and kept."""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from monai_unet.io.sources.base import DEFLATE_RATIO, Box, ImageInfo, ImageSource, is_grey_ramp

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".bmp")
"""Of the pictures that are no labels: JPEG loses what was painted, and both are what programs show, not measure."""

_CHANNELS = {"1": 1, "L": 1, "P": 1, "RGB": 3}  # of Pillow's modes
_ORIENTATION = 0x0112  # the tag of EXIF; 1 is as stored
_RATIO = 2 * DEFLATE_RATIO  # a blank JPEG takes a bit for a block of each colour, 768 bytes for 6 of them

logger = logging.getLogger(__name__)


class PictureSource(ImageSource):
    """A grey or RGB picture, 8 bits. Its rows and columns are those of the file, also where EXIF asks to turn it."""

    def _open(self) -> tuple[np.ndarray, bool]:
        """The pixels, (channels, 1, H, W), and whether a colour table makes other values of the numbers."""
        from PIL.BmpImagePlugin import BmpImageFile  # `Image.open` refuses more than 179 million pixels
        from PIL.JpegImagePlugin import JpegImageFile

        kind: Any = BmpImageFile if self.path.suffix.lower() == ".bmp" else JpegImageFile
        with kind(self.path) as picture:
            if picture.mode not in _CHANNELS:
                raise ValueError(f"its colours are stored as {picture.mode}; save it as grey or RGB")
            size = picture.width * picture.height * _CHANNELS[picture.mode]
            stored = self.path.stat().st_size
            if size > stored * _RATIO:
                raise ValueError(
                    f"it describes {picture.height} x {picture.width} pixels, {size} bytes, and {stored} bytes cannot "
                    "be unpacked to as many; it is damaged or cut off: fetch or copy it again"
                )
            turned = picture.getexif().get(_ORIENTATION, 1)
            if turned in range(2, 9):
                _say_turned(self.path, turned)
            pixels = np.array(picture)
            table = np.array(picture.getpalette("RGB") or [], int).reshape(-1, 3) if picture.mode == "P" else None
        pixels = pixels.astype(np.uint8, copy=False).reshape(*pixels.shape[:2], -1).transpose(2, 0, 1)[:, None]
        return pixels, table is not None and not is_grey_ramp(table, 256)

    def _describe(self) -> ImageInfo:
        pixels, colour_table = self._file
        channels, _, height, width = pixels.shape
        return ImageInfo(self.path, (1, height, width), channels, pixels.dtype, ndim=2, colour_table=colour_table)

    def _read(self, box: Box) -> np.ndarray:
        sections, rows, columns = box
        return self._file[0][:, sections, rows, columns]


@cache  # once for a file, however often it is opened
def _say_turned(path: Path, orientation: int) -> None:
    logger.warning(
        f"{path} asks viewers to turn or mirror it (EXIF orientation {orientation}); it is read as it is stored, and "
        "its result lies on the pixels as they are stored"
    )
