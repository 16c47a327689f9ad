"""A restored image beside what it was made from and what it should be: pictures and scores."""

from __future__ import annotations

import numpy as np
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from monai_unet.report.pictures import grey


def restoration_panels(
    image: np.ndarray, restored: np.ndarray, target: np.ndarray, low: float, high: float
) -> dict[str, np.ndarray]:
    """Pictures of a section, all in the same grey scale but the difference, whose middle grey is 0.

    Args:
        image: grey values, (H, W).
        restored: the same.
        target: the same.
        low: grey value of the targets that is black.
        high: grey value that is white. The difference reaches from minus a quarter of that span to it.
    """
    quarter = (high - low) / 4
    return {
        "input": grey(image, low, high),
        "output": grey(restored, low, high),
        "target": grey(target, low, high),
        "output minus target": grey(restored - target, -quarter, quarter),
    }


def psnr_and_ssim(image: np.ndarray, target: np.ndarray, data_range: float) -> tuple[float, float]:
    """Peak signal-to-noise ratio, dB, and structural similarity of two pictures (H, W), by scikit-image.

    With Gaussian weights of sigma 1.5 in 11 x 11 pixels, as Wang et al. (2004) defined the similarity and MONAI's
    metric computes it.
    """
    image, target = image.astype(np.float64), target.astype(np.float64)
    ssim = structural_similarity(
        image, target, data_range=data_range, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    return float(peak_signal_noise_ratio(target, image, data_range=data_range)), float(ssim)
