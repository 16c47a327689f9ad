"""A sample to try the plugin on."""

from __future__ import annotations

from typing import Any

from monai_unet.data.synthetic import synthetic_sections


def membranes() -> list[tuple[Any, dict[str, Any], str]]:
    """Three sections that look like electron micrographs, made on the spot."""
    images, _ = synthetic_sections(3, 512, seed=0)
    return [(images, {"name": "membranes"}, "image")]
