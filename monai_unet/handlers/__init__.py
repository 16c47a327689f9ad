"""What the bundles hang on Ignite's engines beside MONAI's own handlers."""

from monai_unet.handlers.checkpoints import LoadWeights, SaveBest, SaveLast
from monai_unet.handlers.class_pictures import ClassPictures
from monai_unet.handlers.clip_gradients import ClipGradients
from monai_unet.handlers.epoch_seed import EpochSeed
from monai_unet.handlers.find_values import FindValues
from monai_unet.handlers.finite_loss import StopOnBadLoss
from monai_unet.handlers.how_long import SayHowLong
from monai_unet.handlers.learning_rate import LearningRate
from monai_unet.handlers.loss_output import LossOutput
from monai_unet.handlers.progress import TrainingProgress
from monai_unet.handlers.report import SaveReport
from monai_unet.handlers.stop_early import StopEarly
from monai_unet.handlers.validate_last import ValidateLast

__all__ = [
    "ClassPictures",
    "ClipGradients",
    "EpochSeed",
    "FindValues",
    "LearningRate",
    "LoadWeights",
    "LossOutput",
    "SaveBest",
    "SaveLast",
    "SaveReport",
    "SayHowLong",
    "StopEarly",
    "StopOnBadLoss",
    "TrainingProgress",
    "ValidateLast",
]
