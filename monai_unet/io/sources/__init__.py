"""Images read box by box, whatever their format."""

from monai_unet.io.sources.base import METRES, Box, ImageInfo, ImageSource, check_finite, unit_name
from monai_unet.io.sources.channels import (
    COLOURS,
    ONE_CHANNEL,
    Pages,
    channel_names,
    common_part,
    files_of,
    in_files,
    is_unsure,
    parse_channels,
)
from monai_unet.io.sources.open import SOURCE_SUFFIXES, check_file, open_image, open_source

__all__ = [
    "COLOURS",
    "METRES",
    "ONE_CHANNEL",
    "SOURCE_SUFFIXES",
    "Box",
    "ImageInfo",
    "ImageSource",
    "Pages",
    "channel_names",
    "check_file",
    "check_finite",
    "common_part",
    "files_of",
    "in_files",
    "is_unsure",
    "open_image",
    "open_source",
    "parse_channels",
    "unit_name",
]
