"""The data set that the server validates on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from monai_unet.data.sections import SectionDataset


class ValidationSections(SectionDataset):
    """A `SectionDataset` that takes other files when there are none: with one or two labels, the server leaves none.

    Args:
        data: as in `SectionDataset`.
        otherwise: the files to take when `data` is empty.
        arguments: of `SectionDataset`.
    """

    def __init__(
        self, data: Sequence[Mapping[str, Any]], otherwise: Sequence[Mapping[str, Any]], **arguments: Any
    ) -> None:
        super().__init__(data or otherwise, **arguments)
