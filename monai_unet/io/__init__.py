"""Files. Imports nothing but NumPy; MONAI's part is `monai_unet.io.monai_files`.

Readers and writers of a format import its package when they are used: `monai_unet.io.zarr_store` and
`monai_unet.io.convert` want the extra `large`.
"""

from monai_unet.io.atomic import folder_written_aside, remove_leftovers, written_aside
from monai_unet.io.coloured import (
    MANY_COLOURS,
    UNKNOWN_NUMBER,
    colours_in_words,
    count_colours,
    is_coloured,
    read_numbers,
)
from monai_unet.io.fingerprint import fingerprint
from monai_unet.io.found_values import found_file, found_in_words, found_value, read_found, write_found
from monai_unet.io.grid import read_onto
from monai_unet.io.lock import one_writer
from monai_unet.io.sources import SOURCE_SUFFIXES, Box, ImageInfo, ImageSource, check_finite, open_image, open_source
from monai_unet.io.stack import READ_SUFFIXES, count_sections, image_files, read_image, read_stack, stem

__all__ = [
    "MANY_COLOURS",
    "READ_SUFFIXES",
    "SOURCE_SUFFIXES",
    "UNKNOWN_NUMBER",
    "Box",
    "ImageInfo",
    "ImageSource",
    "check_finite",
    "colours_in_words",
    "count_colours",
    "count_sections",
    "fingerprint",
    "folder_written_aside",
    "found_file",
    "found_in_words",
    "found_value",
    "image_files",
    "is_coloured",
    "one_writer",
    "open_image",
    "open_source",
    "read_found",
    "read_image",
    "read_numbers",
    "read_onto",
    "read_stack",
    "remove_leftovers",
    "stem",
    "write_found",
    "written_aside",
]
