"""Sections in memory, prepared once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from monai.data import CacheDataset, get_track_meta, set_track_meta


class CachedSections(CacheDataset):
    """MONAI's `CacheDataset` of samples that are in memory already.

    Args:
        sections: dictionaries of tensors.
        transform: of a sample; random transforms come last.
        progress: show a bar while the sections are prepared.
    """

    def __init__(
        self, sections: Sequence[Any], transform: Sequence[Callable] | Callable, progress: bool = False
    ) -> None:
        # copy_cache: the random transforms never write into what they are given
        super().__init__(sections, transform, progress=progress, copy_cache=False, num_workers=None)

    def _transform(self, index: int) -> Any:
        """As in MONAI, but random transforms get and give plain tensors: each operation on a MetaTensor costs time."""
        tracked = get_track_meta()
        set_track_meta(False)
        try:
            return super()._transform(index)
        finally:
            set_track_meta(tracked)
