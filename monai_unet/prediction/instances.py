"""From a store of probabilities to a store of labels, classes or instances, larger than memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from monai_unet.io.zarr_store import PredictionStore
from monai_unet.transforms.decoding import Decoding
from monai_unet.transforms.instances import label_blocks, watershed_blocks

_PER_PIXEL = 64  # bytes that growing takes for a pixel of a part's bounding box


class _Section:
    """One channel and one section of a store, or all its sections, as an array that is read and written box by box."""

    def __init__(self, store: PredictionStore, section: int | None, channel: int = 0) -> None:
        self.array = store.level(0)
        fixed: list[int] = [channel] if "c" in store.axes else []
        self.fixed = tuple(fixed if section is None else [*fixed, section])
        self.shape = store.shape[len(self.fixed) :]
        self.dtype = store.dtype

    def __getitem__(self, box: Any) -> np.ndarray:
        return np.asarray(self.array[self._where(box)])

    def __setitem__(self, box: Any, values: np.ndarray) -> None:
        self.array[self._where(box)] = values

    def _where(self, box: Any) -> tuple[slice | int, ...]:
        return (*self.fixed, *(box if isinstance(box, tuple) else (box,)))


def sections_of(store: PredictionStore, is_stack: bool) -> Iterator[_Section]:
    """The sections of a stack one by one, or the whole; of a store with channels the first one."""
    depth = store.shape[store.axes.index("z")] if is_stack else 1
    for section in range(depth):
        yield _Section(store, section if is_stack else None)


def label_store(stores: Sequence[PredictionStore], decoding: Decoding, memory: int, by_section: bool) -> int:
    """Number the objects of what was predicted, as `Decoding.instances` does in memory.

    Args:
        stores: of the probability of one class, complete, as floating-point numbers, and of the labels, of the same
            shape and an integer type. With a distance: of two channels, foreground and inside; of the parts of the
            foreground on the way; and of the labels.
        decoding: how objects are made.
        memory: bytes that the largest connected part of the foreground may take.
        by_section: each section of a stack by itself, its numbers from 1 on; else objects reach through sections.

    Returns:
        The number of objects, of all sections together.

    Raises:
        ValueError: when a connected part of the foreground does not fit the memory.
    """
    probability, *_, labels = stores
    is_stack = by_section and len(labels.shape) == 3
    sections: Sequence[int | None] = range(labels.shape[0]) if is_stack else [None]
    blocks = labels.chunks[-2:] if is_stack else labels.chunks
    count = 0
    for at in sections:
        foreground, target = _Section(probability, at), _Section(labels, at)
        if decoding.by_distance:
            count += watershed_blocks(
                _Section(probability, at, channel=1),
                foreground,
                _Section(stores[1], at),
                target,
                blocks,
                decoding.threshold,
                decoding.seed_depth,
                decoding.min_size,
                largest=max(memory // _PER_PIXEL, 1),
            )
        else:
            count += label_blocks(foreground, target, blocks, decoding.threshold, decoding.min_size)
    return count


def class_store(probability: PredictionStore, labels: PredictionStore, decoding: Decoding) -> None:
    """The class of each pixel of what was predicted, as `Decoding.class_map` gives it in memory, chunk by chunk.

    Args:
        probability: complete, as floating-point numbers; see `Decoding.kept`.
        labels: takes the classes; of the same grid.
        decoding: which class a pixel is of.
    """
    channels = (slice(None),) * probability.axes.count("c")
    for index in labels.missing_chunks():
        box = labels.box(index)
        kept = probability.read((*channels, *box))
        labels.write(index, decoding.classes_of_kept(kept if channels else kept[None]))
