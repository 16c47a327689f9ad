"""MONAI Label without torchvision."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


def stand_in_for_torchvision() -> None:
    """Let MONAI Label import two functions of torchvision that it calls for pictures of its own models only.

    PyPI's torchvision is built for CUDA and fails to import beside a PyTorch for the CPU. One that works is left alone.
    """
    try:
        import torchvision.utils
    except (ImportError, RuntimeError):  # RuntimeError: operator torchvision::nms does not exist
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        utils = ModuleType("torchvision.utils")
        vars(utils).update(make_grid=_missing, save_image=_missing)
        torchvision = ModuleType("torchvision")
        vars(torchvision).update(utils=utils)
        sys.modules.update({"torchvision": torchvision, "torchvision.utils": utils})


def _missing(*args: Any, **kwargs: Any) -> None:
    raise ImportError("this part of MONAI Label needs torchvision, which is not installed")
