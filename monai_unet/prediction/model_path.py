"""What a model is named by: the file of an exported network, or a bundle."""

from __future__ import annotations

import os
from pathlib import Path

from monai_unet.shipped import bundle_folder

SUFFIXES = {"torchscript": (".ts", ".pt"), "onnx": (".onnx",)}


def is_exported(path: str | os.PathLike[str]) -> bool:
    """Whether a path is the name of an exported network, and not of a bundle."""
    return Path(path).suffix.lower() in sum(SUFFIXES.values(), ())


def model_path(model: str | os.PathLike[str]) -> Path:
    """The file of an exported network, or the folder of a bundle.

    Raises:
        FileNotFoundError, ValueError: as `bundle_folder`; and when there is no such file.
    """
    if not is_exported(model):
        return bundle_folder(model)
    if not Path(model).is_file():
        raise FileNotFoundError(f"{model} does not exist; `monai-unet export` writes such a file")
    return Path(model)
