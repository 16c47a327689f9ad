"""Images read box by box, whatever their format."""

from monai_unet.io.sources.base import METRES, Box, ImageInfo, ImageSource, check_finite, unit_name
from monai_unet.io.sources.channels import (
    COLOURS,
    ONE_CHANNEL,
    Pages,
    as_pages,
    channel_names,
    common_part,
    files_of,
    in_files,
    is_unsure,
    parse_channels,
)
from monai_unet.io.sources.dicom import is_dicom
from monai_unet.io.sources.inside import split_inside
from monai_unet.io.sources.open import (
    FOLDER_SUFFIXES,
    SOURCE_SUFFIXES,
    check_file,
    is_image_folder,
    open_image,
    open_source,
)
from monai_unet.io.sources.picture import PICTURE_SUFFIXES

__all__ = [
    "COLOURS",
    "FOLDER_SUFFIXES",
    "METRES",
    "ONE_CHANNEL",
    "PICTURE_SUFFIXES",
    "SOURCE_SUFFIXES",
    "Box",
    "ImageInfo",
    "ImageSource",
    "Pages",
    "as_pages",
    "channel_names",
    "check_file",
    "check_finite",
    "common_part",
    "files_of",
    "in_files",
    "is_dicom",
    "is_image_folder",
    "is_unsure",
    "open_image",
    "open_source",
    "parse_channels",
    "split_inside",
    "unit_name",
]
