"""The weight map, the augmentation and the instances, as functions on arrays and as MONAI transforms."""

from monai_unet.transforms.check_image import CheckImaged
from monai_unet.transforms.decoding import Decoded, Decoding
from monai_unet.transforms.elastic import RandElasticTiled, displacement_field
from monai_unet.transforms.grey_values import RandBlurd, RandGammad, RandNoised
from monai_unet.transforms.instances import (
    label_blocks,
    label_instances,
    watershed_blocks,
    watershed_instances,
)
from monai_unet.transforms.mask_pixels import RandMaskPixelsd
from monai_unet.transforms.normalise_image import NormaliseImaged
from monai_unet.transforms.object_distances import ObjectDistancesd, object_distances
from monai_unet.transforms.recorrupt import RandRecorruptd
from monai_unet.transforms.restoration import Restoration
from monai_unet.transforms.separate_cells import SeparateCellsd, separate_cells
from monai_unet.transforms.weight_map import WeightMap, WeightMapd, border_weight_map, class_balance

__all__ = [
    "CheckImaged",
    "Decoded",
    "Decoding",
    "NormaliseImaged",
    "ObjectDistancesd",
    "RandBlurd",
    "RandElasticTiled",
    "RandGammad",
    "RandMaskPixelsd",
    "RandNoised",
    "RandRecorruptd",
    "Restoration",
    "SeparateCellsd",
    "WeightMap",
    "WeightMapd",
    "border_weight_map",
    "class_balance",
    "displacement_field",
    "label_blocks",
    "label_instances",
    "object_distances",
    "separate_cells",
    "watershed_blocks",
    "watershed_instances",
]
