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

    Args:
        channel_wise: whether each channel is bent by a power of its own.
        options: of `RandAdjustContrastd`.
    """

    def __init__(self, *args: Any, channel_wise: bool = False, **options: Any) -> None:
        super().__init__(*args, **options)
        self.channel_wise = channel_wise

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The sample with its grey values bent, or as it is."""
        sample = dict(data)
        self.randomize(None)
        if self._do_transform:
            number = len(sample[self.first_key(sample)]) if self.channel_wise else 1
            powers = [self._power() for _ in range(number)]
            for key in self.key_iterator(sample):
                parts = sample[key].split(1) if self.channel_wise else [sample[key]]
                bent = [_bent(part, power) for part, power in zip(parts, powers, strict=True)]
                sample[key] = torch.cat(bent) if self.channel_wise else bent[0]
        return sample

    def _power(self) -> float:
        self.adjuster.randomize(None)
        return float(self.adjuster.gamma_value)


def _bent(image: torch.Tensor, power: float) -> torch.Tensor:
    darkest = image.min()
    span = image.max() - darkest
    return ((image - darkest) / (span + 1e-7)) ** power * span + darkest


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
