"""MONAI's random changes of grey values where MONAI's own wait for a GPU: these never do.

Each is MONAI's class and draws from its random states in its order; on a CPU the results are MONAI's bit for bit.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.networks.layers.convutils import gaussian_1d
from monai.networks.layers.simplelayers import separable_filtering
from monai.transforms import RandAdjustContrastd, RandGaussianNoised, RandGaussianSmoothd

from monai_unet.to_device import to_device


class RandGammad(RandAdjustContrastd):
    """`RandAdjustContrastd`; the darkest and the brightest grey value stay on the device.

    MONAI makes a Python number of their difference. Without its `invert_image` and `retain_stats`.
    """

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The sample with its grey values bent, or as it is."""
        sample = dict(data)
        self.randomize(None)
        if self._do_transform:
            self.adjuster.randomize(None)
            for key in self.key_iterator(sample):
                image, darkest = sample[key], sample[key].min()
                span = sample[key].max() - darkest
                sample[key] = ((image - darkest) / (span + 1e-7)) ** self.adjuster.gamma_value * span + darkest
        return sample


class RandBlurd(RandGaussianSmoothd):
    """`RandGaussianSmoothd` for (C, H, W); the kernels are made on the CPU, where MONAI reads sigma from the device."""

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The sample blurred, or as it is."""
        sample = dict(data)
        self.randomize(None)
        if self._do_transform:
            self.rand_smooth.randomize(None)
            along = [gaussian_1d(torch.tensor(sigma)) for sigma in (self.rand_smooth.x, self.rand_smooth.y)]
            for key in self.key_iterator(sample):
                image = sample[key]
                kernels = to_device(torch.cat(along), image.device).split([len(kernel) for kernel in along])
                sample[key] = separable_filtering(image[None], list(kernels))[0]
        return sample


class RandNoised(RandGaussianNoised):
    """`RandGaussianNoised`; where the image is not on the CPU, the noise is drawn on its device.

    MONAI draws every pixel on the CPU and copies the whole. Here its random state gives the strength and a seed for the
    device, so a run repeats itself on a device, but has other noise than on a CPU.
    """

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The sample with noise, the same for all keys, or as it is."""
        sample = dict(data)
        self.randomize(None)
        if self._do_transform and (first := self.first_key(sample)) != ():
            noise = self._noise(sample[first])
            for key in self.key_iterator(sample):
                sample[key] = sample[key] + noise
        return sample

    def _noise(self, image: torch.Tensor) -> torch.Tensor:
        drawn = self.rand_gaussian_noise
        if image.device.type == "cpu":
            drawn.randomize(image)
            return torch.as_tensor(drawn.noise)
        strength = drawn.R.uniform(0, drawn.std) if drawn.sample_std else drawn.std
        generator = torch.Generator(image.device).manual_seed(int(drawn.R.randint(2**31)))
        return torch.randn(image.shape, generator=generator, device=image.device) * strength + drawn.mean
