"""Floor 2: what the bundles hang on Ignite's engines beside MONAI's own handlers."""

from monai_unet.handlers.checkpoints import LoadWeights, SaveBest, SaveLast, load_weights
from monai_unet.handlers.epoch_seed import EpochSeed
from monai_unet.handlers.pictures import SavePictures
from monai_unet.handlers.progress import TrainingProgress

__all__ = ["EpochSeed", "LoadWeights", "SaveBest", "SaveLast", "SavePictures", "TrainingProgress", "load_weights"]
