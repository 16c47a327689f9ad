"""The peer of the benchmarks of prediction: MONAI's padded U-Net in the widths of ours."""

from __future__ import annotations

from collections.abc import Sequence

from monai.networks.nets import BasicUNet


def padded(spatial_dims: int, features: Sequence[int]) -> BasicUNet:
    """A padded U-Net of five levels with the same widths; of fewer widths, the last one stands for the rest."""
    levels = [*features, *[features[-1]] * (5 - len(features))]
    return BasicUNet(spatial_dims, 1, 2, features=(*levels, levels[0]), norm=None, act="relu", upsample="deconv")
