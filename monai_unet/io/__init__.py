"""Floor 1: files. Imports nothing but NumPy; MONAI's part is `monai_unet.io.monai_files`."""

from monai_unet.io.aside import written_aside
from monai_unet.io.stack import READ_SUFFIXES, count_sections, image_files, read_stack

__all__ = ["READ_SUFFIXES", "count_sections", "image_files", "read_stack", "written_aside"]
