"""The network, and its weights."""

from monai_unet.networks.ensemble import Ensemble, bytes_of_others, for_weights, num_members, say_if_together, together
from monai_unet.networks.original_unet import OriginalUNet
from monai_unet.networks.standardised_conv import fold
from monai_unet.networks.weights import load_weights, read_checkpoint, read_weights
from monai_unet.networks.whole_files import naming, save_whole, write_whole

__all__ = [
    "Ensemble",
    "OriginalUNet",
    "bytes_of_others",
    "fold",
    "for_weights",
    "load_weights",
    "naming",
    "num_members",
    "read_checkpoint",
    "read_weights",
    "save_whole",
    "say_if_together",
    "together",
    "write_whole",
]
