"""A softmax over classes whose every bit is a matter of the pixel alone."""

from __future__ import annotations

import torch
from torch.nn import functional

_LANES = 64  # numbers in the widest registers, and more


def softmax_of_pixels(logits: torch.Tensor) -> torch.Tensor:
    """`logits.softmax(1)`, the same to the last bit wherever in a tile a pixel lies.

    On a CPU, PyTorch computes as many pixels as fill a register together and those left over one by one, by another
    exponential. So none are left over here.

    Args:
        logits: (B, classes, *size), single precision or better.
    """
    pixels = logits.flatten(2)
    filled = functional.pad(pixels, [0, -pixels.shape[-1] % _LANES])
    return filled.softmax(1)[..., : pixels.shape[-1]].reshape(logits.shape)


def logits_of(probability: torch.Tensor) -> torch.Tensor:
    """Logits whose softmax is a probability: its logarithm.

    Args:
        probability: (B, classes, *size), of sum 1 over the classes; a class without a chance keeps the least one.
    """
    # the least of single precision, written out: TorchScript knows no finfo
    return probability.clamp_min(1.1754943508222875e-38).log()
