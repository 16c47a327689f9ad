"""The network, and its weights."""

from monai_unet.networks.original_unet import OriginalUNet
from monai_unet.networks.weights import load_weights, read_checkpoint

__all__ = ["OriginalUNet", "load_weights", "read_checkpoint"]
