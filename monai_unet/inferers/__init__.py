"""Floor 2: overlap-tile prediction."""

from monai_unet.inferers.overlap_tile import OverlapTileInferer

__all__ = ["OverlapTileInferer"]
