"""Hide pixels from a network that is to predict them: Noise2Void's blind spots."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform

from monai_unet.to_device import to_device

REACH = 2
"""A hidden pixel takes the value of another one so far away at most along each axis, pixels."""


class RandMaskPixelsd(RandomizableTransform, MapTransform):
    """Replace some pixels of an image by neighbours, and weigh the loss there alone.

    Noise that is independent from pixel to pixel cannot be predicted from the neighbours, and what lies below it can: a
    network that has to tell a hidden pixel's noisy value learns the value without noise. One pixel of every square of
    about 1 / share pixels is drawn, within what the network gives as its output, and takes the value of a random pixel
    of the 5 x 5 around it, never its own; at the edge
    of the image it looks the other way.

    Args:
        keys: of the images, (C, H, W); all channels of a pixel are hidden together.
        target_key: of the target, (C, h, w), the middle of the image; it is left as it is.
        weight_key: gets the weight, (1, h, w), 1 at hidden pixels and 0 elsewhere.
        share: of the pixels that are hidden, above 0, at most 1/4.
        seed: when given, the same pixels are hidden every time, as a validation wants it.

    Raises:
        ValueError: when the share is out of range, or an image and its target do not share their middle.

    Source: Krull, Buchholz and Jug: Noise2Void, CVPR 2019, arXiv:1811.10980, section 3.3 (stratified sampling of blind
    spots, each replaced by a random pixel of its surroundings).
    """

    def __init__(
        self,
        keys: KeysCollection,
        target_key: Hashable = "label",
        weight_key: Hashable = "weight",
        share: float = 0.02,
        seed: int | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob=1.0)
        if not 0 < share <= 0.25:
            raise ValueError(f"masked_share {share}: expected a share above 0, at most 0.25")
        self.target_key = target_key
        self.weight_key = weight_key
        self.side = max(round(share**-0.5), 2)
        self.seed = seed

    def randomize(self, size: tuple[int, int]) -> None:
        """Draw the hidden pixels of (h, w), and what they are replaced by."""
        if self.seed is not None:
            self.set_random_state(self.seed)
        corners = np.stack(np.meshgrid(*(np.arange(0, n, self.side) for n in size), indexing="ij"), axis=-1).reshape(
            -1, 2
        )
        drawn = corners + self.R.randint(self.side, size=corners.shape)
        # the middle of the neighbours is left out, by numbers of one less than there are pixels
        around = 2 * REACH + 1
        neighbour = self.R.randint(around**2 - 1, size=len(drawn))
        neighbour += neighbour >= around**2 // 2
        steps = np.stack([neighbour // around, neighbour % around], axis=-1) - REACH
        inside = (drawn < size).all(axis=1)
        self._hidden, self._steps = drawn[inside], steps[inside]

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """A copy of the sample with pixels hidden and a weight."""
        sample = dict(data)
        target = torch.as_tensor(sample[self.target_key])
        height, width = target.shape[-2:]
        self.randomize((height, width))
        for key in self.key_iterator(sample):
            image = torch.as_tensor(sample[key])
            margins = [n - m for n, m in zip(image.shape[-2:], (height, width), strict=True)]
            if any(margin < 0 or margin % 2 for margin in margins):
                raise ValueError(
                    f"{key} of {tuple(image.shape)} does not have a target of {tuple(target.shape)} inside"
                )
            at = self._hidden + np.array(margins) // 2
            read = self._read_from(at, image.shape[-2:])
            rows, columns, from_rows, from_columns = to_device(
                torch.from_numpy(np.concatenate([at, read], axis=1).T.copy()), image.device
            )
            hidden = image.clone()
            hidden[:, rows, columns] = image[:, from_rows, from_columns]
            sample[key] = hidden
        weight = torch.zeros(1, height, width)
        weight[0, self._hidden[:, 0], self._hidden[:, 1]] = 1
        sample[self.weight_key] = to_device(weight, target.device)
        return sample

    def _read_from(self, at: np.ndarray, size: torch.Size) -> np.ndarray:
        """The pixels that are read: where a step leaves the image, it goes the other way."""
        read = at + self._steps
        outside = (read < 0) | (read >= np.array(size))
        return np.clip(np.where(outside, at - self._steps, read), 0, np.array(size) - 1)
