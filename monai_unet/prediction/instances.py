"""From a store of probabilities to a store of instances, larger than memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from monai_unet.io.zarr_store import PredictionStore
from monai_unet.transforms.instances import label_blocks


class _Section:
    """One section of a stack, or the whole store, as an array that is read and written box by box."""

    def __init__(self, store: PredictionStore, section: int | None) -> None:
        self.array = store.level(0)
        self.section = section
        self.shape = store.shape if section is None else store.shape[1:]
        self.dtype = store.dtype

    def __getitem__(self, box: Any) -> np.ndarray:
        return np.asarray(self.array[self._where(box)])

    def __setitem__(self, box: Any, values: np.ndarray) -> None:
        self.array[self._where(box)] = values

    def _where(self, box: Any) -> tuple[slice | int, ...]:
        parts = box if isinstance(box, tuple) else (box,)
        return parts if self.section is None else (self.section, *parts)


def label_store(
    probability: PredictionStore, labels: PredictionStore, threshold: float, min_size: int, by_section: bool
) -> int:
    """Number the connected parts of what is above the threshold.

    Args:
        probability: complete, one class; as floating-point numbers.
        labels: of the same shape, of an integer type.
        threshold: see `label_blocks`.
        min_size: objects of fewer pixels are dropped.
        by_section: each section of a stack by itself, its numbers from 1 on; else objects reach through sections.

    Returns:
        The number of objects, of all sections together.
    """
    sections = range(probability.shape[0]) if by_section and len(probability.shape) == 3 else [None]
    blocks = probability.chunks[-2:] if sections != [None] else probability.chunks
    return sum(
        label_blocks(_Section(probability, at), _Section(labels, at), blocks, threshold, min_size) for at in sections
    )
