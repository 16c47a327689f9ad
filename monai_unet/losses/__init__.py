"""The loss, and what the trainer hands to it."""

from monai_unet.losses.restoration import RestorationLoss
from monai_unet.losses.weighted_cross_entropy import PrepareWeightedBatch, WeightedCrossEntropyLoss

__all__ = ["PrepareWeightedBatch", "RestorationLoss", "WeightedCrossEntropyLoss"]
