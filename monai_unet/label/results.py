"""What MONAI Label's server makes of a prediction: a label image, and the file that it sends."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from monai.config import DtypeLike, NdarrayOrTensor
from monai.utils import convert_data_type, convert_to_dst_type

from monai_unet.io import written_aside
from monai_unet.io.monai_files import TiffWriter, check_range

_WRITTEN = (".tif", ".tiff", ".nii", ".nii.gz", ".png")


def label_image(labels: NdarrayOrTensor, dtype: DtypeLike) -> NdarrayOrTensor:
    """Labels without their channel, (1, W, H[, D]) to (W, H[, D]), in an integer type.

    Raises:
        OverflowError: when a label does not fit the type.
    """
    check_range(convert_data_type(labels, np.ndarray)[0], dtype)
    return convert_to_dst_type(labels[0], labels, dtype=np.dtype(dtype))[0]


def result_type(suffix: str) -> str | None:
    """The ending among those that `write_result` knows, or None: `a.b.nii.gz` gives `.nii.gz`."""
    return next((known for known in sorted(_WRITTEN, key=len)[::-1] if suffix.lower().endswith(known)), None)


def write_result(path: str | Path, labels: np.ndarray, meta: Mapping[str, Any]) -> None:
    """Write a label image.

    Args:
        path: ends in .tif, .tiff, .nii, .nii.gz or .png.
        labels: whole numbers in MONAI's order, (W, H) or (W, H, D).
        meta: of the image, with its `affine`.

    Raises:
        ValueError: when a PNG would have to hold several sections.
    """
    suffix = result_type(str(path))
    if suffix == ".png":
        from skimage.io import imsave

        if labels.ndim == 3 and labels.shape[2] != 1:
            raise ValueError(f"a PNG holds one section, and the result has {labels.shape[2]}; ask for .tif or .nii.gz")
        picture = labels.reshape(labels.shape[:2]).T
        with written_aside(path) as temporary:
            imsave(temporary, picture, check_contrast=False)
        return
    if suffix in (".nii", ".nii.gz"):
        import nibabel

        # MONAI's writer cuts the affine of a single picture down to two axes
        affine = np.asarray(meta.get("affine", np.eye(4)), np.float64)
        image = nibabel.Nifti1Image(labels, affine)
        image.set_sform(affine, code="scanner")
        image.set_qform(affine, code="scanner")
        with written_aside(path) as temporary:
            nibabel.save(image, temporary)
        return
    writer = TiffWriter(output_dtype=labels.dtype)
    writer.set_data_array(labels, channel_dim=None)
    writer.write(path)
