"""The data set that the bundles train on: the sections of a few files, checked and prepared once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import ndimage

from monai_unet.data.absent import NoFiles
from monai_unet.data.cached_sections import CachedSections
from monai_unet.data.label_files import Colours, read_labels, unknown_value
from monai_unet.data.labels import cells_of, known_classes, known_values, mask_background
from monai_unet.io import ONE_CHANNEL, Exposure, Pages, open_image, read_whole

_BESIDE = 6  # pixels around a labelled cell that are known to be background, wherever it lies


def read_labelled_sections(
    image: str | Path,
    label: str | Path,
    instances: bool = False,
    num_classes: int = 2,
    ignore_label: int | None = None,
    partly_annotated: bool = False,
    unknown_rim: int = 0,
    background: int | None = None,
    channels: str | Sequence[str] = ONE_CHANNEL,
    pages: Pages | None = None,
    colours: Colours | None = None,
    exposure: Exposure | None = None,
) -> list[dict[str, torch.Tensor | str]]:
    """The sections of an image file and of the label file that belongs to it.

    Args:
        image: image file, as `read_image` reads it.
        label: label file of the same shape.
        instances: True for one integer per cell, 0 for background; False for a map of classes. See
            `monai_unet.data.labels` for what the files may hold.
        num_classes: of a map of classes.
        ignore_label: the value of pixels that are unknown.
        partly_annotated: only some cells are labelled, so the background is unknown.
        unknown_rim: pixels from the image's edge within which cells need not be labelled, as outside the Cell Tracking
            Challenge's field of interest: what is not in a labelled cell or within 6 pixels of one is unknown there.
        background: the value of background in masks, see `background_of`; the smallest of this file when left out.
        channels: of the image, see `monai_unet.io.open_image`.
        pages: of the image, see `monai_unet.io.open_image`.
        colours: of label files in colour, see `read_labels`; the colour "ignore" is of unknown pixels.
        exposure: how grey values are normalised; as they are in the file when left out.

    Returns:
        A dictionary per section: `image` float32 (C, H, W); `label` float32 (1, H, W), the class, 1 inside cells and 0
        outside where there are two; `cells` int32 (1, H, W), one integer per cell, which are the 4-connected parts of
        one class in a map of classes; `ignore` uint8 (1, H, W), 1 where the truth is unknown; `name`, the file and the
        section.

    Raises:
        FileNotFoundError, ValueError: when a file cannot be used; the message names it.
    """
    source = open_image(image, channels, pages)
    pixels, labels = read_whole(source), read_labels(label, source.info, colours)
    names = ("background", *(f"class {index}" for index in range(1, num_classes)))
    classes, known = known_classes(labels, names, unknown_value(ignore_label, colours), label, background, instances)
    cells = np.stack([cells_of(*section, instances) for section in zip(labels, classes, strict=True)])
    ignore = ~known | (cells == 0) if partly_annotated else ~known
    if unknown_rim:
        ignore = ignore | np.stack([_unlabelled_rim(section, unknown_rim) for section in cells])
    grey = pixels.astype(np.float32) if exposure is None else exposure.normalised(pixels)
    return [
        {
            "image": torch.from_numpy(grey[:, index]),
            "label": torch.from_numpy(classes[index][None].astype(np.float32)),
            "cells": torch.from_numpy(cells[index][None]),
            "ignore": torch.from_numpy(ignore[index][None].astype(np.uint8)),
            "name": f"{Path(image).name} section {index}" if len(labels) > 1 else Path(image).name,
        }
        for index in range(len(labels))
    ]


def background_of(
    files: Iterable[Mapping[str, Any]], ignore_label: int | None = None, colours: Colours | None = None
) -> int:
    """The value of background in the masks of a folder; reads all its labels.

    Args:
        files: with a "label" each, as `labelled_files` gives them.
        ignore_label: as in `read_labelled_sections`.
        colours: as in `read_labelled_sections`; they say that it is 0.
    """
    if colours is not None:
        return 0
    return mask_background(known_values(read_labels(file["label"]), ignore_label) for file in files)


def can_tell(dataset: Sequence[Mapping[str, Any]]) -> bool:
    """Whether sections can tell good weights from bad: whether a known pixel of one of them is of a cell or class.

    Where there is none, scores of objects are perfect whatever is predicted, or are not defined.

    Args:
        dataset: samples with `label` (1, H, W), 0 for background, and perhaps `ignore`, not 0 where it is unknown.
    """
    for index in range(len(dataset)):  # MONAI's data sets fail where an empty one is iterated over
        sample = dataset[index]
        label = torch.as_tensor(sample["label"]) > 0
        if "ignore" in sample:
            label &= torch.as_tensor(sample["ignore"]) == 0
        if label.any():
            return True
    return False


def say_if_blind(dataset: Sequence[Mapping[str, Any]]) -> None:
    """Say at the start of a training that its validation sections cannot choose weights."""
    if len(dataset) > 0 and not can_tell(dataset):
        print(
            "no cell is labelled in the validation sections: they cannot tell which weights are best, so the last ones "
            'are kept. Choose others with --validation "[...]"'
        )


def _unlabelled_rim(cells: np.ndarray, width: int) -> np.ndarray:
    rim = np.ones(cells.shape, bool)
    rim[width:-width, width:-width] = False
    beside = ndimage.distance_transform_edt(cells == 0) <= _BESIDE if cells.any() else np.zeros(cells.shape, bool)
    return rim & ~beside


class SectionDataset(CachedSections):
    """Sections of labelled files; what is not random is computed once and kept in memory.

    Args:
        data: files, `{"image": path, "label": path}` each, or `NoFiles`; a file may hold one section or many, and
            `"sections"` may name those to use, counted from 0; all when left out. `"partly_annotated"` as in
            `read_labelled_sections`.
        transform: applied to a section as `read_labelled_sections` gives it; random transforms come last.
        instances, num_classes, ignore_label, unknown_rim: what the label files hold, see `read_labelled_sections`.
        folder: all labelled files of the folder that `data` is a part of: which value of masks is background is decided
            over all of them, as a part may have no cell. `data` itself when left out.
        channels, pages: of the images, see `monai_unet.io.open_image`.
        progress: show a bar while the sections are prepared.
        colours: of label files in colour, see `read_labelled_sections`.
        exposure: how grey values are normalised, see `read_labelled_sections`.

    Raises:
        FileNotFoundError, ValueError: when a file cannot be used, or a section is asked for that does not exist.
    """

    def __init__(
        self,
        data: Sequence[Mapping[str, Any]],
        transform: Sequence[Callable] | Callable,
        instances: bool = False,
        num_classes: int = 2,
        ignore_label: int | None = None,
        unknown_rim: int = 0,
        folder: Sequence[Mapping[str, Any]] | None = None,
        progress: bool = False,
        channels: str | Sequence[str] = ONE_CHANNEL,
        pages: Pages | None = None,
        colours: Colours | None = None,
        exposure: Exposure | None = None,
    ) -> None:
        if isinstance(data, NoFiles):
            super().__init__(data, transform)
            return
        is_mask = not instances and num_classes == 2
        background = background_of(data if folder is None else folder, ignore_label, colours) if is_mask else None
        chosen: list[dict[str, Any]] = []
        for files in data:
            found = read_labelled_sections(
                files["image"],
                files["label"],
                instances,
                num_classes,
                ignore_label,
                files.get("partly_annotated", False),
                unknown_rim,
                background,
                channels,
                pages,
                colours,
                exposure,
            )
            indices = files.get("sections", range(len(found)))
            missing = [index for index in indices if not 0 <= index < len(found)]
            if missing:
                raise ValueError(f"{files['image']} holds sections 0 to {len(found) - 1}; {missing} were asked for")
            chosen += [found[index] for index in indices]
        if not chosen:
            raise ValueError("the data set is empty: no files, or no sections chosen")
        super().__init__(chosen, transform, progress=progress)
