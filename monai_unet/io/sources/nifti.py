"""NIfTI read box by box; the third axis counts the sections, x and y become columns and rows."""

from __future__ import annotations

import gzip
import math
import shutil
import tempfile
from typing import Any

import numpy as np

from monai_unet.io.sources.base import Box, ImageInfo, ImageSource, straight_origin, unit_name

NIFTI_UNITS = {"micrometer": "micron", "millimeter": "mm", "meter": "meter"}
"""The units that a NIfTI can have, by their names here."""


class NiftiSource(ImageSource):
    """A NIfTI, 1 or 2. A packed one is unpacked at the first read, into a nameless file that goes with the process.

    Gzip can only be read from its beginning: without that file every box would unpack all that comes before it. It
    lies in the folder for temporary files (TMPDIR), with the size of the unpacked image.
    """

    def _open(self) -> Any:
        import nibabel

        image: Any = nibabel.load(self.path)
        if not self._is_packed:
            return image.dataobj
        unpacked = tempfile.TemporaryFile()  # noqa: SIM115  open as long as this object lives
        with gzip.open(self.path) as packed:
            shutil.copyfileobj(packed, unpacked, 1 << 20)
        return type(image).from_stream(unpacked).dataobj

    @property
    def _is_packed(self) -> bool:
        return self.path.name.lower().endswith(".gz")

    def _describe(self) -> ImageInfo:
        import nibabel

        image: Any = nibabel.load(self.path)
        if not isinstance(image, nibabel.Nifti1Pair):  # NIfTI-2 is a subclass
            raise ValueError("it is not a NIfTI file")
        shape = image.shape
        if len(shape) < 2 or math.prod(shape[3:]) != 1:
            raise ValueError(f"it has the shape {shape}; expected one grey volume: save each volume in its own file")
        width, height, depth = (*shape, 1)[:3]
        if 0 in shape:
            return ImageInfo(self.path, (depth, height, width), 1, image.get_data_dtype(), 3)
        if image.get_data_dtype().kind not in "uif":
            raise ValueError(
                f"it holds values of type {image.get_data_dtype()}; expected one whole or real number each"
            )
        pixels: Any = image.dataobj
        end = pixels.offset + math.prod(shape) * image.get_data_dtype().itemsize
        if not self._is_packed and end > self.path.stat().st_size:
            raise ValueError(f"it is cut off: {self.path.stat().st_size} bytes of {end}; fetch or copy it again")
        # slope and intercept of the header make whole numbers real ones
        dtype = np.asarray(pixels[(slice(1),) * len(shape)]).dtype.newbyteorder("=")
        x, y, z = (*(float(str(size)) for size in image.header.get_zooms()), 1.0)[:3]  # 0.05, not float32(0.05)
        return ImageInfo(
            self.path,
            (depth, height, width),
            1,
            dtype,
            ndim=2 if len(shape) == 2 else 3,
            spacing=(z, y, x),
            unit=unit_name(image.header.get_xyzt_units()[0]),
            origin=straight_origin(image.affine),
            affine=np.array(image.affine),
        )

    def _read(self, box: Box) -> np.ndarray:
        extent = tuple(part.stop - part.start for part in box)
        z, y, x = box
        num_axes = len(self._file.shape)
        pixels = self._file[(x, y, z, *(slice(1),) * (num_axes - 3))[:num_axes]]
        block = np.asarray(pixels).T.reshape(1, *extent)
        return block.astype(self.info.dtype, copy=False)
