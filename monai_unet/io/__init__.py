"""Files. Imports nothing but NumPy; MONAI's part is `monai_unet.io.monai_files`.

Readers and writers of a format import its package when they are used: `monai_unet.io.zarr_store` and
`monai_unet.io.convert` want zarr.
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
from monai_unet.io.exposure import Exposure, Normalise, Scale
from monai_unet.io.fingerprint import fingerprint
from monai_unet.io.found_values import found_file, found_in_words, found_value, put_aside, read_found, write_found
from monai_unet.io.grid import put_onto, read_onto
from monai_unet.io.lock import one_writer
from monai_unet.io.sources import (
    COLOURS,
    ONE_CHANNEL,
    SOURCE_SUFFIXES,
    Box,
    ImageInfo,
    ImageSource,
    Pages,
    channel_names,
    check_finite,
    in_files,
    open_image,
    open_source,
    parse_channels,
)
from monai_unet.io.stack import READ_SUFFIXES, count_sections, image_files, read_image, read_stack, read_whole, stem

__all__ = [
    "COLOURS",
    "MANY_COLOURS",
    "ONE_CHANNEL",
    "READ_SUFFIXES",
    "SOURCE_SUFFIXES",
    "UNKNOWN_NUMBER",
    "Box",
    "Exposure",
    "ImageInfo",
    "ImageSource",
    "Normalise",
    "Pages",
    "Scale",
    "channel_names",
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
    "in_files",
    "is_coloured",
    "one_writer",
    "open_image",
    "open_source",
    "parse_channels",
    "put_aside",
    "put_onto",
    "read_found",
    "read_image",
    "read_numbers",
    "read_onto",
    "read_stack",
    "read_whole",
    "remove_leftovers",
    "stem",
    "write_found",
    "written_aside",
]
