"""Images with mirrored pixels around them, and predictions without."""

import numpy as np
import torch


def with_halo(image, halo):
    """(B, C, *size) with `halo` mirrored pixels on each side."""
    padding = [(0, 0), (0, 0)] + [(halo, halo)] * (image.dim() - 2)
    return torch.from_numpy(np.pad(image.numpy(), padding, "reflect"))


def without_halo(prediction, halo):
    return prediction[(slice(None), slice(None)) + (slice(halo, -halo),) * (prediction.dim() - 2)]
