"""The network, and its weights."""

from monai_unet.networks.original_unet import OriginalUNet
from monai_unet.networks.standardised_conv import fold
from monai_unet.networks.weights import load_weights, read_checkpoint
from monai_unet.networks.whole_files import naming, save_whole, write_whole

__all__ = ["OriginalUNet", "fold", "load_weights", "naming", "read_checkpoint", "save_whole", "write_whole"]
