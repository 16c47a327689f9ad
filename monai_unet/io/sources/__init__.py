"""Images read box by box, whatever their format."""

from monai_unet.io.sources.base import METRES, Box, ImageInfo, ImageSource, check_finite, unit_name
from monai_unet.io.sources.open import SOURCE_SUFFIXES, check_file, open_image, open_source

__all__ = [
    "METRES",
    "SOURCE_SUFFIXES",
    "Box",
    "ImageInfo",
    "ImageSource",
    "check_file",
    "check_finite",
    "open_image",
    "open_source",
    "unit_name",
]
