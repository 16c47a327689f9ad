"""Images read box by box, whatever their format."""

from monai_unet.io.sources.base import METRES, Box, ImageInfo, ImageSource, check_finite, unit_name
from monai_unet.io.sources.dicom import is_dicom, is_dicom_folder
from monai_unet.io.sources.inside import split_inside
from monai_unet.io.sources.open import SOURCE_SUFFIXES, check_file, open_image, open_source
from monai_unet.io.sources.picture import PICTURE_SUFFIXES

__all__ = [
    "METRES",
    "PICTURE_SUFFIXES",
    "SOURCE_SUFFIXES",
    "Box",
    "ImageInfo",
    "ImageSource",
    "check_file",
    "check_finite",
    "is_dicom",
    "is_dicom_folder",
    "open_image",
    "open_source",
    "split_inside",
    "unit_name",
]
