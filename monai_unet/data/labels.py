"""What a label file may hold, and what it means: for training, and for the survey of a folder before it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from skimage.measure import label as connected_components

_ROUNDING = 1e-4  # what the slope of a NIfTI may leave of a whole number


def whole_labels(labels: np.ndarray, path: str | Path) -> np.ndarray:
    """The labels as int64.

    Raises:
        ValueError: when there are values that are not whole, or too large to number cells with int32.
    """
    if labels.dtype.kind == "f":
        rounded = np.rint(labels)
        broken = np.unique(labels[np.abs(labels - rounded) > _ROUNDING])
        if broken.size:
            raise ValueError(
                f"{path} holds values that are not whole ({few([f'{value:g}' for value in broken], 3)}); expected "
                "numbers of cells or classes: was it resized or smoothed, or is it a probability? Use the labels from "
                "before that, or threshold it"
            )
        labels = rounded
    if labels.max(initial=0) > np.iinfo(np.int32).max:
        raise ValueError(
            f"{path} holds values up to {labels.max():g}; expected numbers below 2**31: renumber the cells"
        )
    return labels.astype(np.int64)


def known_values(labels: np.ndarray, ignore_label: int | None) -> list[int]:
    """The different values of a file, ascending, without the one of pixels that are not known."""
    values = np.unique(labels).tolist()
    return [value for value in values if value != ignore_label]


def mask_background(values: Iterable[Sequence[int]]) -> int:
    """The value of the background in a folder of masks: the smallest that occurs, as 0 of 0 and 255, or 1 of 1 and 2.

    It has to be one for all files: a mask of one value alone has no cell, or is one all over.

    Args:
        values: of each file, see `known_values`.
    """
    return min((of_file[0] for of_file in values if of_file), default=0)


def check_values(
    values: Sequence[int], instances: bool, classes: Sequence[str], path: str | Path, background: int | None = None
) -> None:
    """Refuse values that the labels of a file may not have.

    Args:
        values: the different ones of the known pixels, ascending.
        instances: one integer per cell, 0 for background; else a map of classes, 0 to len(classes) - 1. A map of two
            classes may have any two values, as 0 and 255; the larger one is foreground.
        classes: their names, background first.
        path: of the file, for the message.
        background: of the folder's masks, see `mask_background`.

    Raises:
        ValueError: with what is expected and what would work.
    """
    negative = [value for value in values if value < 0]
    if negative:
        raise ValueError(
            f"{path} holds negative values ({few(negative)}); expected 0 and above: if these pixels are not known, "
            f"give --ignore_label {negative[0]}"
        )
    beyond = [value for value in values if value >= len(classes)]
    if not instances and len(classes) == 2 and len(values) == 2 and background not in (None, values[0]):
        raise ValueError(
            f"{path} holds {values[0]} and {values[1]}, and other masks of the folder {background}: expected one value "
            "for the background in all of them, as 0; write those masks anew that differ"
        )
    if instances or not beyond or (len(classes) == 2 and len(values) <= 2):
        return
    if len(classes) == 2:
        raise ValueError(
            f"{path} holds {len(values)} different values ({few(values)}); expected two, the larger one inside cells "
            "and the smaller one outside, as ISBI 2012 has 255 and 0"
        )
    raise ValueError(
        f"{path} holds {few(beyond)}; with {len(classes)} classes ({', '.join(classes)}) expected 0 to "
        f"{len(classes) - 1}: name the others, renumber them, or give --ignore_label for pixels that are not known"
    )


def class_map(
    labels: np.ndarray, known: np.ndarray, instances: bool, num_classes: int, background: int | None = None
) -> np.ndarray:
    """The class of each pixel of a file, of values that have been checked; 0 where it is not known.

    Args:
        labels: whole numbers, (D, H, W).
        known: whether a pixel's label counts, same shape.
        instances: see `check_values`.
        num_classes: of a map of classes.
        background: of the folder's masks, see `mask_background`; of this file alone when None.

    Returns:
        int64, same shape.
    """
    if instances:
        return ((labels > 0) & known).astype(np.int64)
    if num_classes == 2:
        background = labels[known].min(initial=np.iinfo(np.int64).max) if background is None else background
        return ((labels != background) & known).astype(np.int64)
    return np.where(known, labels, 0)


def known_classes(
    labels: np.ndarray,
    classes: Sequence[str],
    unknown: int | None,
    path: str | Path,
    background: int | None = None,
    instances: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """The class of each pixel of a file, and whether it is known.

    Args:
        labels: whole numbers, any shape.
        classes: see `check_values`.
        unknown: the value of pixels that are not known; all are when None.
        path: of the file, for messages.
        background: see `mask_background`.
        instances: see `check_values`.

    Returns:
        int64, 0 where it is not known, and bool, both of the same shape.

    Raises:
        ValueError: as `check_values`.
    """
    known = np.ones(labels.shape, bool) if unknown is None else labels != unknown
    check_values(known_values(labels, unknown), instances, classes, path, background)
    return class_map(labels, known, instances, len(classes), background), known


def cells_of(labels: np.ndarray, classes: np.ndarray, instances: bool) -> np.ndarray:
    """The cells of one section, one number each: int32, (H, W).

    A section whose cells all have one number is a mask, as annotation tools draw it: its 4-connected parts are the
    cells. In a map of classes they are the 4-connected parts of one class.

    Args:
        labels: of the section.
        classes: its part of `class_map`; 0 where nothing is known.
        instances: see `check_values`.
    """
    numbered = np.where(classes > 0, labels, 0) if instances and not is_mask(labels[classes > 0]) else classes
    if numbered is classes:
        return connected_components(classes, background=0, connectivity=1).astype(np.int32)
    return numbered.astype(np.int32)


def is_mask(numbers: np.ndarray) -> bool:
    """Whether all cells of a section have one number."""
    return len(np.unique(numbers)) == 1


def few(items: Sequence[object], number: int = 5) -> str:
    """The first items, and how many more there are."""
    more = f" and {len(items) - number} more" if len(items) > number else ""
    return ", ".join(map(str, items[:number])) + more
