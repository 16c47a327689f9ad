"""PNG, read as a whole and kept."""

from __future__ import annotations

import numpy as np

from monai_unet.io.sources.base import Box, ImageInfo, ImageSource


class PngSource(ImageSource):
    """A PNG; read whole, as its compression allows no other way, and kept."""

    def _open(self) -> np.ndarray:
        import imagecodecs  # Pillow makes 8 bits of 16-bit colour, and refuses more than 179 million pixels

        picture = imagecodecs.png_decode(self.path.read_bytes())
        if picture.ndim == 3 and picture.shape[-1] not in (1, 3):
            raise ValueError(
                f"it has the shape {picture.shape}; expected grey or RGB without transparency: save it as one of these"
            )
        return picture.reshape(*picture.shape[:2], -1).transpose(2, 0, 1)[:, None]

    def _describe(self) -> ImageInfo:
        channels, _, height, width = self._file.shape
        return ImageInfo(self.path, (1, height, width), channels, self._file.dtype, ndim=2, samples=channels)

    def _read(self, box: Box) -> np.ndarray:
        sections, rows, columns = box
        return self._file[:, sections, rows, columns]
