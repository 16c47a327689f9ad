"""Normalise an image in memory by the data set's numbers or its own."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from monai.config import KeysCollection
from monai.transforms import MapTransform
from monai.utils import convert_to_dst_type, convert_to_numpy

from monai_unet.io import Exposure


class NormaliseImaged(MapTransform):
    """Normalise whole images, (C, W, H) or (C, W, H, D) as MONAI's readers give them.

    Args:
        keys: of images.
        exposure: which numbers normalise them.
        allow_missing_keys: as in MONAI.
    """

    def __init__(self, keys: KeysCollection, exposure: Exposure, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.exposure = exposure

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The sample with its images in float32."""
        result = dict(data)
        for key in self.key_iterator(result):
            image = convert_to_numpy(result[key])
            sections = image[..., None] if image.ndim == 3 else image
            normalised = self.exposure.normalised(sections.transpose(0, 3, 2, 1)).transpose(0, 3, 2, 1)
            result[key] = convert_to_dst_type(normalised.reshape(image.shape), result[key], dtype=normalised.dtype)[0]
        return result
