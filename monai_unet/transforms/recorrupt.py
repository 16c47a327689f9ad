"""Make a noisier image and its noisy target of one noisy image, when the noise is known: Recorrupted-to-Recorrupted."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform

from monai_unet.to_device import to_device

NOISE_MODELS = ("gaussian", "poisson")
ALPHA = 0.5
"""Of Gaussian noise: the image gets so much of a second noise, its target 1 / ALPHA of it, with the other sign."""
SHARE = 0.2
"""Of Poisson noise: the particles that are taken from the image and make its target."""


class RandRecorruptd(RandomizableTransform, MapTransform):
    """Split a noisy image into two whose noise is independent, so that one is learned from the other.

    Gaussian: with z of the noise's deviation, the image becomes y + a z and its target y - z / a. Poisson: every
    particle goes to the target with a probability of `SHARE` and stays in the image otherwise, both scaled to the
    brightness of y. The noise of the two is independent, so the network that is best at telling the target tells the
    image without noise. It is learned at slightly more noise than the images have and used on these as they are.

    Args:
        keys: of the images, (C, H, W), normalised.
        target_key: of the target, (C, h, w), the same image's middle, normalised in the same way.
        noise: "gaussian" or "poisson".
        level: standard deviation of the noise, or the grey values of one particle, above 0; grey values. Noise must be
            independent from pixel to pixel, and not be clipped. With Poisson noise black has to be 0: take the offset
            of a camera away before.
        mean, std: with which the images are normalised, one number or one for each channel; grey values.
        seed: when given, the same numbers are drawn every time, as a validation wants it.

    Raises:
        ValueError: when there is no such noise, its level is not above 0, or an image and its target do not share their
            middle and their channels.

    Source: Pang, Zheng, Quan and Ji: Recorrupted-to-Recorrupted, CVPR 2021, for Gaussian noise; Monroy, Bacca and
    Tachella: Generalized Recorrupted-to-Recorrupted, arXiv:2412.04648, for Poisson noise. They predict a mean over
    noisier images; here the image itself is predicted, which was as good on EM sections and needs one pass.
    """

    def __init__(
        self,
        keys: KeysCollection,
        target_key: Hashable = "label",
        noise: str | None = None,
        level: float | None = None,
        mean: float | list[float] = 0.0,
        std: float | list[float] = 1.0,
        seed: int | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob=1.0)
        if noise not in NOISE_MODELS:
            raise ValueError(f"noise_model {noise!r}: targets recorrupted need one of {', '.join(NOISE_MODELS)}")
        if level is None or not level > 0:
            raise ValueError(f"noise_level {level}: targets recorrupted need a number above 0, in grey values")
        self.target_key = target_key
        self.noise = noise
        self.level = level
        self.mean, self.std = (np.asarray(value, dtype=np.float32).reshape(-1, 1, 1) for value in (mean, std))
        self.seed = seed

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """A copy of the sample with another image and target."""
        if self.seed is not None:
            self.set_random_state(self.seed)
        sample = dict(data)
        like = torch.as_tensor(sample[self.target_key])
        for key in self.key_iterator(sample):
            image = torch.as_tensor(sample[key])
            margins = [n - m for n, m in zip(image.shape[-2:], like.shape[-2:], strict=True)]
            if len(image) != len(like) or any(margin < 0 or margin % 2 for margin in margins):
                raise ValueError(f"{key} of {tuple(image.shape)} does not have a target of {tuple(like.shape)} inside")
            grey = image.cpu().numpy() * self.std + self.mean
            noisier, target = self._gaussian(grey) if self.noise == "gaussian" else self._poisson(grey)
            top, left = (margin // 2 for margin in margins)
            target = target[:, top : top + like.shape[-2], left : left + like.shape[-1]]
            sample[key], sample[self.target_key] = (
                to_device(torch.from_numpy(((part - self.mean) / self.std).astype(np.float32)), image.device)
                for part in (noisier, target)
            )
        return sample

    def _gaussian(self, grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        noise = self.level * self.R.standard_normal(grey.shape)
        return grey + ALPHA * noise, grey - noise / ALPHA

    def _poisson(self, grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        counts = np.maximum(np.rint(grey / self.level), 0).astype(np.int64)
        taken = self.R.binomial(counts, SHARE)
        return (counts - taken) * (self.level / (1 - SHARE)), taken * (self.level / SHARE)
