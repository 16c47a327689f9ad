"""Floor 2: the weight map and the augmentation, as functions on arrays and as MONAI transforms."""

from monai_unet.transforms.check_image import CheckImaged
from monai_unet.transforms.elastic import RandElasticTiled, displacement_field
from monai_unet.transforms.weight_map import WeightMap, WeightMapd, border_weight_map, class_balance

__all__ = [
    "CheckImaged",
    "RandElasticTiled",
    "WeightMap",
    "WeightMapd",
    "border_weight_map",
    "class_balance",
    "displacement_field",
]
