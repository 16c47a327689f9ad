"""The data set that the bundles train on: the sections of a few files, checked and prepared once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import CacheDataset
from skimage.measure import label as connected_components

from monai_unet.io import read_stack


def read_labelled_sections(
    image: str | Path, label: str | Path, instances: bool = False
) -> list[dict[str, torch.Tensor | str]]:
    """The sections of an image file and of the label file that belongs to it.

    Args:
        image: grey image file, as `read_stack` reads it.
        label: label file of the same shape.
        instances: False for a map of two values, the smaller is background and the cells are its 4-connected
            components; True for one integer a cell, 0 for background.

    Returns:
        A dictionary a section: `image` float32 (1, H, W); `label` float32 (1, H, W), 1 inside cells and 0 outside;
        `cells` int32 (1, H, W), one number a cell; `name`, which says the file and the section.

    Raises:
        FileNotFoundError, ValueError: when a file cannot be used; the message names it.
    """
    pixels, labels = read_stack(image), read_stack(label)
    if pixels.shape != labels.shape:
        raise ValueError(
            f"{image} has the shape {pixels.shape} and its labels {label} have {labels.shape}; "
            "expected one label pixel for each pixel, section by section"
        )
    if instances:
        if labels.dtype.kind not in "ui":
            raise ValueError(f"{label} holds values of type {labels.dtype}; expected one whole number a cell")
        cells = labels.astype(np.int32)
    else:
        values = np.unique(labels)
        if len(values) != 2:
            shown = ", ".join(map(str, values[:5])) + (", ..." if len(values) > 5 else "")
            raise ValueError(
                f"{label} holds {len(values)} different values ({shown}); expected two, the larger one inside cells "
                "and the smaller one on membranes, as ISBI 2012 has 255 and 0"
            )
        inside = (labels == values[1]).astype(np.uint8)
        cells = np.stack([connected_components(section, connectivity=1) for section in inside]).astype(np.int32)
    sections: list[dict[str, torch.Tensor | str]] = []
    for index in range(len(pixels)):
        one = torch.from_numpy(cells[index][None])
        sections.append(
            {
                "image": torch.from_numpy(pixels[index][None].astype(np.float32)),
                "label": (one > 0).float(),
                "cells": one,
                "name": f"{Path(image).name} section {index}",
            }
        )
    return sections


class SectionDataset(CacheDataset):
    """Sections of labelled files; what is not random is computed once and kept in memory.

    Args:
        data: files, `{"image": path, "label": path}` each; a file may hold one section or many, and `"sections"` may
            name those to use, counted from 0; all when left out.
        transform: applied to a section as `read_labelled_sections` gives it; random transforms come last.
        instances: what the label files hold, see `read_labelled_sections`.
        progress: show a bar while the sections are prepared.

    Raises:
        FileNotFoundError, ValueError: when a file cannot be used, or a section is asked for that does not exist.
    """

    def __init__(
        self,
        data: Sequence[Mapping[str, Any]],
        transform: Sequence[Callable] | Callable,
        instances: bool = False,
        progress: bool = False,
    ) -> None:
        chosen: list[dict[str, Any]] = []
        for files in data:
            found = read_labelled_sections(files["image"], files["label"], instances)
            indices = files.get("sections", range(len(found)))
            missing = [index for index in indices if not 0 <= index < len(found)]
            if missing:
                raise ValueError(f"{files['image']} holds sections 0 to {len(found) - 1}; {missing} are asked for")
            chosen += [found[index] for index in indices]
        if not chosen:
            raise ValueError("the data set is empty: no files, or no sections chosen")
        # copy_cache: the random transforms never write into what they are given
        super().__init__(chosen, transform, progress=progress, copy_cache=False, num_workers=None)
