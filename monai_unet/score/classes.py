"""Dice, IoU and the confusion matrix of maps of classes in files, as the evaluation of a bundle has them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from monai_unet.colours import class_names, colours_of_classes, parse_colours
from monai_unet.data.label_files import Colours, read_labels, unknown_value
from monai_unet.data.labels import known_classes, known_values, mask_background
from monai_unet.handlers.class_results import class_rows
from monai_unet.io import open_source, put_onto, read_whole, stem
from monai_unet.io.stack import list_images
from monai_unet.metrics.classes import SCORES, confusion_matrix, mean_score, scores_of_classes
from monai_unet.metrics.frames import is_folder
from monai_unet.metrics.isbi2012 import checked_probabilities

_OF_INFERENCE = "_label"  # what it adds to the name of an image


@dataclass(frozen=True)
class _Meaning:
    """What labels mean."""

    classes: Sequence[str]
    colours: Colours | None
    unknown: int | None


def class_report(
    labels: str | Path,
    proposal: str | Path,
    classes: Sequence[str] | None = None,
    colours: str | None = None,
    ignore_label: int | None = None,
) -> dict[str, Any]:
    """Dice and IoU of maps of classes, over the pixels that are known.

    Args:
        labels: the true classes, a file or a folder of files; numbers from 0 on, two values where there are two
            classes, or colours.
        proposal: a file of the same kinds; or probabilities in floating point, a channel for each class, of which the
            highest counts (of two classes also that of the second alone, which counts above 0.5). Of a folder, a folder
            that has a file `NAME` or `NAME_label`, with any ending, for each of its files `NAME`.
        classes: their names, background first; those of the colours when None.
        colours: of files in colour, see `parse_colours`.
        ignore_label: number of the pixels that are not known.

    Returns:
        What `json.dumps` takes: `metric`, `labels`, `proposal`, `classes`; `scores`, `mean_dice` and `mean_iou` as
        `ClassScoreMetric` has them; `of_classes`, a list of `class`, `sections` (that have it), `dice` and `iou` (means
        of sections), `dice_of_all_pixels` and `iou_of_all_pixels`; `confusion_matrix`, pixels by true and predicted
        class; and `sections`, a list of `section`, and of `dice` and `iou` by class. None where a class is neither in
        the labels nor in the proposal.

    Raises:
        FileNotFoundError: when a file is missing, or the proposal for a file of labels.
        ValueError: when files cannot be read, or cannot be compared; it names them.
    """
    if colours is None and classes is None:
        raise ValueError("--metric classes: name the classes, --classes background,A,..., or their colours, --colours")
    named = colours_of_classes(colours, classes or class_names(parse_colours(colours))) if colours is not None else None
    names = tuple(classes or class_names(named or ()))
    if len(names) < 2 or len(set(names)) < len(names):
        raise ValueError(f"classes {', '.join(names)}: expected two different names or more, background first")
    meaning = _Meaning(names, named, unknown_value(ignore_label, named))
    found = [section for pair in _sections(_pairs(Path(labels), Path(proposal)), meaning) for section in pair]
    matrices = [confusion_matrix(truth, predicted, len(names), known) for _, truth, predicted, known in found]
    scores = {score: scores_of_classes(np.stack(matrices), score) for score in SCORES}
    rows = class_rows(names, matrices)
    return {
        "metric": "classes",
        "labels": str(labels),
        "proposal": str(proposal),
        "classes": list(names),
        "scores": {f"mean_{score}": _number(mean_score(np.stack(matrices), score)) for score in SCORES},
        "of_classes": [
            {
                "class": row.name,
                "sections": row.sections,
                **{key: _number(value) for key, value in zip(_KEYS, row.values.values(), strict=True)},
            }
            for row in rows
        ],
        "confusion_matrix": np.sum(matrices, axis=0).tolist(),
        "sections": [
            {
                "section": section,
                **{
                    score: {name: _number(value) for name, value in zip(names, values[index], strict=True)}
                    for score, values in scores.items()
                },
            }
            for index, (section, *_) in enumerate(found)
        ],
    }


_KEYS = ("dice", "iou", "dice_of_all_pixels", "iou_of_all_pixels")  # in the order of `class_rows`


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _pairs(labels: Path, proposal: Path) -> list[tuple[Path, Path]]:
    """Files of labels, and those of the proposal that belong to them."""
    if is_folder(labels) != is_folder(proposal):
        raise ValueError(f"{labels} and {proposal}: expected two files, or two folders")
    if not is_folder(labels):
        return [(labels, proposal)]
    there: dict[str, list[str]] = {}
    for file in list_images(proposal):
        there.setdefault(stem(file).removesuffix(_OF_INFERENCE), []).append(file)
    pairs = []
    for file in list_images(labels):
        name = stem(file)
        found = there.get(name.removesuffix(_OF_INFERENCE), [])
        if not found:
            raise FileNotFoundError(
                f"{proposal} holds no proposal for {file}: expected {name} or {name}{_OF_INFERENCE} there, with any "
                "ending"
            )
        if len(found) > 1:
            raise ValueError(f"{', '.join(found)} are all proposals for {file}: keep one of them")
        pairs.append((Path(file), Path(found[0])))
    if not pairs:
        raise FileNotFoundError(f"{labels} holds no labels")
    return pairs


def _sections(
    pairs: Sequence[tuple[Path, Path]], meaning: _Meaning
) -> Iterator[list[tuple[str, np.ndarray, np.ndarray, np.ndarray]]]:
    """Of each pair of files its sections: name, true classes, predicted classes, and which pixels are known; (H, W)."""
    background = 0
    if meaning.colours is None and len(meaning.classes) == 2:  # of any two values, the same ones in both
        masks = [truth for truth, _ in pairs]
        masks += [
            proposal for _, proposal in pairs if open_source(proposal).info.dtype.kind != "f"
        ]  # else probabilities
        background = mask_background(known_values(read_labels(file), meaning.unknown) for file in masks)
    for label, proposal in pairs:
        labels = read_labels(label, None, meaning.colours)
        truth, known = known_classes(labels, meaning.classes, meaning.unknown, label, background)
        predicted = _predicted(proposal, label, known, meaning, background)
        sections = zip(truth, predicted, known, strict=True)
        yield [
            (f"{label.name} section {index}" if len(truth) > 1 else label.name, *section)
            for index, section in enumerate(sections)
        ]


def _predicted(path: Path, label: Path, known: np.ndarray, meaning: _Meaning, background: int) -> np.ndarray:
    """The classes of a proposal on the grid of its labels, (D, H, W)."""
    info, number = open_source(path).info, len(meaning.classes)
    is_one_of_two = (number, info.channels) == (2, 1)
    if info.dtype.kind == "f" and (info.channels == number or is_one_of_two):
        try:
            probability = checked_probabilities(read_whole(open_source(path)))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        return put_onto(probability[0] > 0.5 if is_one_of_two else probability.argmax(0), info, label).astype(np.int64)
    if info.channels == number > 1 and meaning.colours is None:
        raise ValueError(
            f"{path} has {number} channels of type {info.dtype}; expected probabilities in floating point, as "
            "`monai-unet predict --dtype float32` writes them, or one number per pixel"
        )
    labels = read_labels(path, label, meaning.colours)
    classes, _ = known_classes(np.where(known, labels, background), meaning.classes, None, path, background)
    return classes
