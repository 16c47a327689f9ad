"""Refuse an image that the network cannot use, by the name of its file."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from monai.utils import ImageMetaKey, convert_to_tensor


class CheckImaged(MapTransform):
    """Pass an image on if the network can use it.

    Args:
        keys: images, channel first.
        channels: that the network takes.
        value_range: lowest and highest grey value that the normalisation is made for; any when left out.
        allow_missing_keys: as in MONAI.

    Raises:
        ValueError: otherwise; the message names the file, what was found and what would work.
    """

    def __init__(
        self,
        keys: KeysCollection,
        channels: int = 1,
        value_range: tuple[float, float] | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.channels = channels
        self.value_range = value_range

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The sample as it is."""
        for key in self.key_iterator(dict(data)):
            image = convert_to_tensor(data[key], track_meta=False)
            name = getattr(data[key], "meta", {}).get(ImageMetaKey.FILENAME_OR_OBJ, key)
            if len(image) != self.channels:
                raise ValueError(
                    f"{name} has {len(image)} channels (shape {tuple(image.shape)}); the network takes "
                    f"{self.channels}. Choose them with --channels, or convert it first"
                )
            if image.is_floating_point() and not torch.isfinite(image).all():
                bad = int((~torch.isfinite(image)).sum())
                raise ValueError(f"{name} holds {bad} values that are not finite (NaN or infinite); replace them first")
            if self.value_range is not None:
                darkest, brightest = image.min().item(), image.max().item()
                check_range(darkest, brightest, name, self.value_range)
                check_scale(darkest, brightest, name, self.value_range)
        return dict(data)


def scale_limit(value_range: tuple[float, float]) -> float:
    """The grey value that an image in the range passes somewhere: a 255th of the range."""
    low, high = value_range
    return low + (high - low) / 255


def check_scale(darkest: float, brightest: float, name: Any, value_range: tuple[float, float]) -> None:
    """Refuse an image that seems to be scaled to 0 to 1, which no tile of it can show.

    Args:
        darkest: smallest grey value of the whole image.
        brightest: largest grey value of the whole image.
        name: of the file, for the error.
        value_range: lowest and highest grey value that are expected.
    """
    low, high = value_range
    if darkest < brightest <= scale_limit(value_range):
        raise ValueError(
            f"{name} holds values from {darkest:g} to {brightest:g} only, and the network was trained on "
            f"{low:g} to {high:g}: it seems to be scaled to 0 to 1. Scale it back first"
        )


def check_range(darkest: float, brightest: float, name: Any, value_range: tuple[float, float]) -> None:
    """Refuse grey values that the network's normalisation is not made for.

    Args:
        darkest: smallest grey value found.
        brightest: largest grey value found.
        name: of the file, for the error.
        value_range: lowest and highest grey value that are expected.
    """
    low, high = value_range
    if darkest < low or brightest > high:
        raise ValueError(
            f"{name} holds values from {darkest:g} to {brightest:g}; the network was trained on {low:g} to {high:g}. "
            "Scale it first, or override the normalisation and `value_range`"
        )
