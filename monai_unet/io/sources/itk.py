"""MetaImage (MHA, MHD) and NRRD, read box by box through SimpleITK."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from monai_unet.io.sources.base import Box, ImageInfo, ImageSource, straight_origin
from monai_unet.io.sources.itk_header import stored_image

# x and y of ITK's world point to the patient's left and back, those of NIfTI to the right and front
TO_NIFTI = np.diag([-1.0, -1.0, 1.0, 1.0])


class ItkSource(ImageSource):
    """An MHA, MHD or NRRD of two or three axes, in millimetres; the numbers of a vector pixel are its channels.

    SimpleITK reads a box of an uncompressed MetaImage alone; of other files it unpacks the whole each time.
    """

    def _open(self) -> Any:
        import SimpleITK

        reader = SimpleITK.ImageFileReader()
        reader.SetFileName(str(self.path))
        reader.ReadImageInformation()
        return reader

    def _describe(self) -> ImageInfo:
        self._stored = stored_image(self.path)  # before ITK opens the files that a header may name
        reader = self._file
        size = reader.GetSize()
        if len(size) not in (2, 3):
            raise ValueError(
                f"it has the shape {size[::-1]}; expected one picture or volume: save each volume in its own file, and "
                "channels as the numbers of each pixel (SimpleITK.GetImageFromArray(array, isVector=True))"
            )
        spacing, direction = reader.GetSpacing(), np.array(reader.GetDirection()).reshape(len(size), len(size))
        if not (np.isfinite(spacing).all() and np.all(spacing) and abs(np.linalg.det(direction)) > 0):
            raise ValueError(
                f"its spacing is {spacing} and its direction {direction.tolist()}; ITK reads no image with a spacing "
                "that is zero or not finite, or with axes in one plane: correct the header"
            )
        dtype, channels = pixel_type(reader), reader.GetNumberOfComponents()
        width, height, depth = (*size, 1)[:3]
        expected, stored = math.prod(size) * channels * dtype.itemsize, self._stored
        if expected > stored.num_bytes * stored.ratio:
            raise ValueError(
                f"it describes an image of {size[::-1]}, {expected} bytes, and the {stored.num_bytes} bytes that are "
                "there cannot hold as many; it is damaged or cut off: fetch or copy it again"
            )
        return ImageInfo(
            self.path,
            (depth, height, width),
            channels,
            dtype,
            ndim=len(size),
            spacing=tuple(reversed((*spacing, 1.0)[:3])),
            unit="millimeter",
            origin=straight_origin(TO_NIFTI @ _affine(reader, len(size))),
            affine=_affine(reader, len(size)),
        )

    def _stored_bytes(self, enough: int) -> int:
        return self._stored.num_bytes

    def _read(self, box: Box) -> np.ndarray:
        # a reader keeps the box, and several threads may read
        return read_region(self._open(), box, self.info.ndim, self.info.dtype)


def pixel_type(reader: Any) -> np.dtype:
    """Of the numbers that a reader, which knows its header, will return."""
    import SimpleITK

    one = SimpleITK.Image([1] * len(reader.GetSize()), reader.GetPixelID(), reader.GetNumberOfComponents())
    return SimpleITK.GetArrayViewFromImage(one).dtype


def read_region(reader: Any, box: Box, num_axes: int, dtype: np.dtype) -> np.ndarray:
    """The pixels of a box, (channels, d, h, w), through a reader of files with that many axes."""
    import SimpleITK

    starts, extent = [int(part.start) for part in box], [int(part.stop - part.start) for part in box]
    if 0 in extent:
        reader.ReadImageInformation()
        return np.empty((reader.GetNumberOfComponents(), *extent), dtype)
    reader.SetExtractIndex(starts[::-1][:num_axes])
    reader.SetExtractSize(extent[::-1][:num_axes])
    pixels = SimpleITK.GetArrayFromImage(reader.Execute()).reshape(*extent, -1)  # the channels are the last axis
    return np.ascontiguousarray(np.moveaxis(pixels, -1, 0)).astype(dtype, copy=False)


def _affine(reader: Any, num_axes: int) -> np.ndarray:
    """From voxels (x, y, z) to millimetres as NIfTI has it."""
    affine = np.eye(4)
    direction = np.array(reader.GetDirection()).reshape(num_axes, num_axes)
    affine[:num_axes, :num_axes] = direction * np.array(reader.GetSpacing())
    affine[:num_axes, 3] = reader.GetOrigin()
    return TO_NIFTI @ affine
