"""The command `monai-unet`, a module for each of its commands.

What a command needs is imported in its function: `monai-unet --help` has to answer at once.
"""

from monai_unet.cli.main import main

__all__ = ["main"]
