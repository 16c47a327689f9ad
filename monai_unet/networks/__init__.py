"""Floor 1: the network."""

from monai_unet.networks.original_unet import OriginalUNet

__all__ = ["OriginalUNet"]
