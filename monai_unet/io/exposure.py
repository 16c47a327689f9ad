"""How grey values become what a network takes: by numbers of the data set, or of the image itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from monai_unet.io.sources import Box, ImageSource, check_finite
from monai_unet.io.streamed import Blocks, moments, percentiles

Normalise = Literal["dataset", "image", "section"]

_BLOCK = 1 << 24  # pixels, of all channels, that are read together


@dataclass(frozen=True)
class Scale:
    """The numbers that normalise one image, (x - mean) / std.

    Attributes:
        mean, std: one row for each channel, or one for all; in it a number for each section, or one for all.
        first: the section that the rows begin with.
    """

    mean: tuple[tuple[float, ...], ...]
    std: tuple[tuple[float, ...], ...]
    first: int = 0

    def normalised(self, block: np.ndarray, start: int = 0) -> np.ndarray:
        """Grey values (C, D, H, W), of the sections from `start` on, as the network takes them: float32."""
        mean, std = (self._of(numbers, start, block.shape[1]) for numbers in (self.mean, self.std))
        return (block.astype(np.float32) - mean) / std

    def _of(self, numbers: tuple[tuple[float, ...], ...], start: int, depth: int) -> np.ndarray:
        array = np.array(numbers, np.float32)[..., None, None]
        return array if array.shape[1] == 1 else array[:, start - self.first : start - self.first + depth]


@dataclass(frozen=True)
class Exposure:
    """Which numbers normalise an image.

    Attributes:
        normalise: "dataset", the same numbers for all images; "image", those of the whole image, of all its sections
            together; "section", those of each section by itself. Each channel has its own.
        mean, std: of "dataset", one number for all channels or one for each.
        percentiles: of "image" and "section", two of 0 to 100: their values become -2 and 2, as 2.3 % and 97.7 % of
            normally distributed grey values are. When left out, or where both are the same grey value, mean and
            deviation become 0 and 1.

    Raises:
        ValueError: for other values.
    """

    normalise: Normalise = "dataset"
    mean: float | Sequence[float] = 0.0
    std: float | Sequence[float] = 1.0
    percentiles: Sequence[float] | None = None

    def __post_init__(self) -> None:
        if self.normalise not in ("dataset", "image", "section"):
            raise ValueError(f"normalise {self.normalise!r}: one of dataset, image, section")
        for name in ("mean", "std", "percentiles"):  # hashable, whatever a config gives
            value = getattr(self, name)
            object.__setattr__(self, name, tuple(value) if isinstance(value, Sequence) else value)
        ends = self.percentiles
        if ends is not None and (len(ends) != 2 or not 0 <= ends[0] < ends[1] <= 100):
            raise ValueError(f"percentiles {list(ends)}: two numbers of 0 to 100, the lower one first")

    @property
    def of_the_image(self) -> bool:
        """Whether an image has to be looked at as a whole before a part of it can be normalised."""
        return self.normalise != "dataset"

    def of_source(self, source: ImageSource, sections: tuple[int, int] | None = None, progress: bool = False) -> Scale:
        """The numbers for an image file, which is read block by block where it has to be looked at.

        Args:
            source: of the image.
            sections: (start, stop), those that will be normalised, of "section"; all when left out.
            progress: show a bar.

        Raises:
            ValueError: for pixels that are not finite, with the file and their place.
        """

        def read(box: Box) -> np.ndarray:
            block = source.read(box)
            check_finite(block, source.info.path, box)
            return block

        return self._scale(read, (source.info.channels, *source.info.shape), sections, progress)

    def of_array(self, image: np.ndarray) -> Scale:
        """The numbers for an image in memory, (C, D, H, W); the same as for its file."""
        return self._scale(lambda box: image[:, box[0], box[1], box[2]], image.shape)

    def normalised(self, image: np.ndarray) -> np.ndarray:
        """A whole image, (C, D, H, W), as the network takes it: float32."""
        return self.of_array(image).normalised(image)

    def _scale(
        self,
        read: Callable[[Box], np.ndarray],
        shape: Sequence[int],
        sections: tuple[int, int] | None = None,
        progress: bool = False,
    ) -> Scale:
        if not self.of_the_image:
            mean, std = np.broadcast_arrays(np.atleast_1d(self.mean), self.std)
            if len(mean) not in (1, shape[0]):
                said = f"image_mean {self.mean} and image_std {self.std}"
                raise ValueError(f"{said}: expected one number, or one for each of {shape[0]} channels")
            return Scale(tuple((float(each),) for each in mean), tuple((float(each),) for each in std))
        from tqdm import tqdm

        num_channels, depth, height, width = shape
        rows = max(_BLOCK // (width * num_channels), 1)
        each_alone = self.normalise == "section"
        first, last = sections if sections is not None and each_alone else (0, depth)
        boxes = [
            [(slice(z, z + 1), slice(row, min(row + rows, height)), slice(0, width)) for row in range(0, height, rows)]
            for z in range(first, last)
        ]
        parts = boxes if each_alone else [[box for section in boxes for box in section]]
        shown = progress and sum(map(len, parts)) > 1
        numbers = [
            self._numbers(lambda part=part: (read(box).reshape(num_channels, -1) for box in part))  # type: ignore[misc]
            for part in tqdm(parts, desc="grey values", disable=not shown, leave=False)
        ]
        mean, std = (np.stack(each, axis=1).tolist() for each in zip(*numbers, strict=True))
        return Scale(tuple(map(tuple, mean)), tuple(map(tuple, std)), first if each_alone else 0)

    def _numbers(self, blocks: Blocks) -> tuple[np.ndarray, np.ndarray]:
        """What is subtracted and what divides, (C,) each."""
        mean, std = np.zeros(1), np.zeros(1)
        if self.percentiles is not None:
            low, high = percentiles(blocks, self.percentiles).T
            mean, std = (low + high) / 2, (high - low) / 4
        if not std.all():  # nearly all pixels of a channel are alike, as where little glows on black
            others = std > 0
            mean, std = (
                np.where(others, own, of_all) for own, of_all in zip((mean, std), moments(blocks), strict=True)
            )
        return mean, np.where(std > 0, std, 1.0)  # of a single grey value, 0 is left, as MONAI has it
