"""What the probabilities of a network mean: the class of each pixel, and the objects that are made of them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.transforms import MapTransform
from monai.utils import convert_data_type, convert_to_dst_type, ensure_tuple_rep

from monai_unet.transforms.instances import label_instances, watershed_instances


@dataclass(frozen=True)
class Decoding:
    """How the output of a bundle's network is read; every way to a prediction reads it by this.

    Attributes:
        classes: names, one for each channel, background first.
        objects: whether the bundle's labels are objects, one integer each, and not classes.
        threshold: with two classes, a pixel is inside where the probability of the second is above it; not where it is
            equal. With more classes, the most probable one wins, the first of equal ones.
        min_size: objects of fewer pixels are background.
        separation: "gap", where objects are the connected parts of the second class, or "distance". With a distance
            the network has a channel more than classes: background, inside, border. Inside is the distance to the
            object's border, and objects are grown from its peaks over inside and border.
        seed_depth: with a distance, two peaks are two objects where inside falls by more than this between them.

    Raises:
        ValueError: when a threshold or the depth is not within 0 and 1, the size is negative, the separation is
            another, or there are fewer than two classes, or more than two and objects are wanted.

    Example:
        >>> probability = np.array([[[0.4, 0.9, 0.2]], [[0.6, 0.1, 0.8]]])
        >>> Decoding(("background", "cell"), objects=True).labels(probability)
        array([[1, 0, 2]], dtype=int32)
    """

    classes: Sequence[str]
    objects: bool = False
    threshold: float = 0.5
    min_size: int = 0
    separation: str = "gap"
    seed_depth: float = 0.1

    def __post_init__(self) -> None:
        for name in ("threshold", "seed_depth"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} {getattr(self, name)}: expected a number of 0 to 1")
        if self.separation != "gap" and not (self.separation == "distance" and self.objects):
            raise ValueError(f"separation {self.separation!r}: expected 'gap', or 'distance' with objects")
        if self.min_size < 0:
            raise ValueError(f"min_size {self.min_size}: expected a number of pixels, 0 or more")
        if len(self.classes) < 2 or (self.objects and len(self.classes) != 2):
            raise ValueError(f"classes {', '.join(self.classes)}: expected two or more, and two for objects")

    @property
    def by_distance(self) -> bool:
        """Whether objects are grown from the peaks of a distance."""
        return self.separation == "distance"

    @property
    def channel_names(self) -> tuple[str, ...]:
        """One name for each channel of the network's output."""
        return (*self.classes, "border") if self.by_distance else tuple(self.classes)

    @property
    def channels(self) -> int:
        """Of the network's output."""
        return len(self.channel_names)

    def foreground(self, probability: Any) -> Any:
        """Probability of each class but the background, (C, *size) -> (len(classes) - 1, *size)."""
        return 1 - probability[:1] if self.by_distance else probability[1:]

    def kept(self, probability: Any) -> Any:
        """What a file of probabilities holds: with two classes that of the second alone, else those of all."""
        return self.foreground(probability) if len(self.classes) == 2 else probability

    def class_map(self, probability: np.ndarray) -> np.ndarray:
        """The class of each pixel: (C, *size) -> uint8 (*size)."""
        return self.classes_of_kept(self.kept(probability))

    def classes_of_kept(self, kept: np.ndarray) -> np.ndarray:
        """`class_map` of what `kept` gives; channels behind the class of two are not read."""
        if len(self.classes) == 2:
            return (kept[0] > self.threshold).astype(np.uint8)
        return kept.argmax(0).astype(np.uint8)

    def instances(self, probability: np.ndarray) -> np.ndarray:
        """The objects of two classes, (C, H, W) or (C, D, H, W) -> int32 (*size).

        See `label_instances`, and with a distance `watershed_instances`.
        """
        if len(self.classes) != 2 or len(probability) != self.channels:
            raise ValueError(f"objects are made of two classes; there are {len(probability)}")
        foreground = self.foreground(probability)[0]
        if self.by_distance:
            return watershed_instances(probability[1], foreground, self.threshold, self.seed_depth, self.min_size)
        return label_instances(foreground > self.threshold, self.min_size)

    def labels(self, probability: np.ndarray) -> np.ndarray:
        """What the bundle writes as its label: objects, or else classes."""
        return self.instances(probability) if self.objects else self.class_map(probability)


class Decoded(MapTransform):
    """Make labels of a sample's probabilities, (C, *size) -> (1, *size), by a `Decoding`.

    Args:
        keys: of the probabilities.
        decoding: how they are read.
        names: where the labels go, for each key; in place of the probabilities when left out.
        section_axis: for a stack of pictures, the spatial axis that counts them; each is labelled by itself, with
            objects from 1 on. When left out, objects of a volume reach through its sections.
        allow_missing_keys: as in MONAI.

    Example:
        >>> two = Decoding(("background", "cell"))
        >>> Decoded("pred", two, "label")({"pred": np.array([[[0.2]], [[0.8]]])})["label"]
        array([[[1]]], dtype=uint8)
    """

    def __init__(
        self,
        keys: KeysCollection,
        decoding: Decoding,
        names: KeysCollection | None = None,
        section_axis: int | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.decoding = decoding
        self.names = self.keys if names is None else ensure_tuple_rep(names, len(self.keys))
        self.section_axis = section_axis

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """A copy of the sample with labels; NumPy arrays, tensors and MetaTensors come back as what they are."""
        sample = dict(data)
        for key, name in self.key_iterator(sample, self.names):
            probability = convert_data_type(sample[key], np.ndarray)[0]
            labels = self._labels(probability)[None]
            sample[name] = convert_to_dst_type(labels, sample[key], dtype=labels.dtype)[0]
        return sample

    def _labels(self, probability: np.ndarray) -> np.ndarray:
        if self.section_axis is None or probability.ndim == 3:
            return self.decoding.labels(probability)
        axis = self.section_axis if self.section_axis < 0 else self.section_axis + 1
        sections = [self.decoding.labels(section) for section in np.moveaxis(probability, axis, 0)]
        return np.stack(sections, axis=axis if axis < 0 else axis - 1)
