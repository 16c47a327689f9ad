"""Tensors of the program's memory on a device that need not be waited for."""

from __future__ import annotations

import torch

_FOLLOWING = {"cuda"}


def to_device(values: torch.Tensor, device: str | torch.device) -> torch.Tensor:
    """A copy on the device of a tensor on the CPU; on CUDA it follows what the GPU is at while the program goes on.

    That takes pinned memory: from any other, CUDA waits for the GPU where it likes, and Apple's GPUs read what lies
    there when they come to it (https://github.com/pytorch/pytorch/issues/189690). Anywhere but on CUDA the program
    waits.
    """
    if torch.device(device).type in _FOLLOWING:
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)
