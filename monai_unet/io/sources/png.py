"""PNG, read as a whole and kept."""

from __future__ import annotations

import struct

import numpy as np

from monai_unet.io.sources.base import DEFLATE_RATIO, Box, ImageInfo, ImageSource, is_grey_ramp

_HEADER = struct.Struct(">8sI4sIIBB")  # signature; length and name of the first chunk; width, height, bits, colour type
_PALETTE = 3  # the colour type whose numbers are indices of a colour table
_SAMPLES = {2: 3, 4: 2, 6: 4}  # RGB, grey and RGB with transparency


class PngSource(ImageSource):
    """A PNG; read whole, as its compression allows no other way, and kept."""

    def _open(self) -> tuple[np.ndarray, bool]:
        """The pixels, (channels, 1, H, W), and whether a colour table makes other values of the numbers."""
        bits, colour_type = self._header()
        if colour_type == _PALETTE:
            numbers, table = self._numbers()
            return numbers[None, None], not is_grey_ramp(table, 2**bits)
        import imagecodecs  # Pillow makes 8 bits of 16-bit colour

        picture = imagecodecs.png_decode(self.path.read_bytes())
        if picture.ndim == 3 and picture.shape[-1] not in (1, 3, 4):  # labels may be RGB and opaque
            raise ValueError(
                f"it has the shape {picture.shape}; expected grey or RGB without transparency: save it as one of these"
            )
        return picture.reshape(*picture.shape[:2], -1).transpose(2, 0, 1)[:, None], False

    def _header(self) -> tuple[int, int]:
        """Bits of a value and colour type."""
        with self.path.open("rb") as file:
            start = file.read(_HEADER.size)
        if len(start) < _HEADER.size or not start.startswith(b"\x89PNG\r\n\x1a\n"):
            raise ValueError("it is not a PNG")
        _, _, _, width, height, bits, colour_type = _HEADER.unpack(start)
        size, stored = width * height * _SAMPLES.get(colour_type, 1) * bits // 8, self.path.stat().st_size
        if size > stored * DEFLATE_RATIO:
            raise ValueError(
                f"it describes {height} x {width} pixels, {size} bytes, and {stored} bytes cannot be unpacked to as "
                "many; it is damaged or cut off: fetch or copy it again"
            )
        return bits, colour_type

    def _numbers(self) -> tuple[np.ndarray, np.ndarray]:
        """The indices, (H, W), and the table, (n, 3): imagecodecs would put the colours in their place."""
        from PIL.PngImagePlugin import PngImageFile  # `Image.open` refuses more than 179 million pixels

        with PngImageFile(self.path) as picture:
            picture.load()
            return np.array(picture), np.array(picture.getpalette("RGB")).reshape(-1, 3)

    def _describe(self) -> ImageInfo:
        pixels, colour_table = self._file
        channels, _, height, width = pixels.shape
        return ImageInfo(
            self.path,
            (1, height, width),
            channels,
            pixels.dtype,
            ndim=2,
            colour_table=colour_table,
        )

    def _read(self, box: Box) -> np.ndarray:
        sections, rows, columns = box
        return self._file[0][:, sections, rows, columns]
