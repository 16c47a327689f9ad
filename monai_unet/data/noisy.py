"""Synthetic sections with noise and without it, as pairs, all from a seed."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import tifffile

from monai_unet.data.synthetic import synthetic_sections
from monai_unet.io import folder_written_aside

logger = logging.getLogger(__name__)

SIGMA = 25.0
"""Standard deviation of the noise of the synthetic pairs, grey values."""


def add_gaussian_noise(image: np.ndarray, sigma: float, seed: int) -> np.ndarray:
    """The image with noise of this standard deviation, not clipped; float32, of the same shape."""
    noise = np.random.default_rng(seed).standard_normal(image.shape, dtype=np.float32)
    return image.astype(np.float32) + np.float32(sigma) * noise


def add_poisson_noise(image: np.ndarray, peak: float, seed: int, brightest: float = 255.0) -> np.ndarray:
    """The image as it is when a pixel of grey value `brightest` counts `peak` particles on average; float32."""
    counts = np.random.default_rng(seed).poisson(image / brightest * peak)
    return (counts * (brightest / peak)).astype(np.float32)


def noisy_dataset(root: str | os.PathLike[str], num_sections: int = 12, size: int = 384, seed: int = 0) -> Path:
    """The synthetic pairs, made on first use: `images/sections.tif`, noisy, and `targets/sections.tif`, without noise.

    The folder is written aside and renamed, and has the same bytes every time.

    Args:
        root: folder of the data sets; the pairs lie in `noisy/data` in it.
        num_sections: in the stack.
        size: of a section, pixels.
        seed: of sections and noise.

    Returns:
        The folder.
    """
    folder = Path(root, "noisy", "data")
    if not (folder / "images").is_dir():
        logger.info(f"making synthetic noisy sections in {folder}, which takes seconds")
        clean, _ = synthetic_sections(num_sections, size, seed)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder_written_aside(folder) as aside:
            for part, stack in (("images", add_gaussian_noise(clean, SIGMA, seed)), ("targets", clean)):
                (aside / part).mkdir()
                # no metadata: a date or a version in the file would make two runs differ
                tifffile.imwrite(
                    aside / part / "sections.tif", stack, photometric="minisblack", metadata=None, software=False
                )
    return folder
