import numpy as np
import pytest
import torch
from monai.metrics import PSNRMetric, SSIMMetric

from monai_unet.report import psnr_and_ssim, restoration_panels


def test_scikit_images_scores_are_those_of_monais_metrics():
    rng = np.random.default_rng(0)
    target = rng.uniform(0, 255, (64, 70)).astype(np.float32)
    image = target + rng.normal(0, 20, target.shape).astype(np.float32)
    psnr, ssim = psnr_and_ssim(image, target, 255.0)
    one, other = torch.from_numpy(image)[None, None], torch.from_numpy(target)[None, None]
    assert PSNRMetric(255.0)(one, other).item() == pytest.approx(psnr, abs=1e-4)
    assert SSIMMetric(2, data_range=255.0)(one, other).item() == pytest.approx(ssim, abs=1e-3)


def test_no_difference_is_middle_grey():
    image = np.zeros((4, 4))
    panel = restoration_panels(image, image, image, 0, 255)["output minus target"]
    assert abs(int(panel.flat[0]) - 128) <= 1
