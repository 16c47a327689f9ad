"""Overlap-tile prediction, and what the network computes in."""

from monai_unet.inferers.overlap_tile import OverlapTileInferer
from monai_unet.inferers.precision import AutocastInferer, allow_tf32, compute_dtype

__all__ = ["AutocastInferer", "OverlapTileInferer", "allow_tf32", "compute_dtype"]
