"""TorchScript: the network itself, scripted, with the settings of its prediction in the archive."""

from __future__ import annotations

import io
from pathlib import Path

import torch

from monai_unet.prediction.exported import SETTINGS, settings_text
from monai_unet.prediction.model import Model


def write_torchscript(model: Model, path: Path) -> None:
    """Script the network, its check of sizes included, and save it: (B, C, *valid size) -> logits, or grey values.

    Scripting keeps the conditions and loops of the network, where tracing would keep one path through them.
    """
    # by way of memory: PyTorch's own writer ends the process when the disk is full
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(model.network), buffer, _extra_files={SETTINGS: settings_text(model)})
    path.write_bytes(buffer.getbuffer())
