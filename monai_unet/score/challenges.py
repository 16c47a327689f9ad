"""The challenges' scores of a proposal in files against labels in files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from skimage.measure import label as connected_parts

from monai_unet.colours import UNKNOWN, Colour, class_names, parse_colours
from monai_unet.data.label_files import unknown_value
from monai_unet.data.labels import cells_of, known_classes, whole_labels
from monai_unet.io import is_coloured
from monai_unet.io.zarr_store import label_names
from monai_unet.metrics.frames import as_arrays, is_folder, sections
from monai_unet.metrics.isbi2012 import THRESHOLDS, checked_probabilities, isbi2012_scores
from monai_unet.metrics.overlaps import checked_ids
from monai_unet.metrics.section_statistics import SCORES
from monai_unet.metrics.seg import seg_of_sections
from monai_unet.transforms.instances import label_instances

Report = dict[str, Any]


def isbi_report(
    labels: str | Path,
    proposal: str | Path,
    thresholds: Sequence[float] | None = None,
    warping: bool = True,
    colours: str | None = None,
) -> Report:
    """The scores of the ISBI 2012 challenge for two stacks.

    Args:
        labels: inside a cell where not 0; a file, as `read_stack` takes it.
        proposal: probability of "inside", floating point; the same.
        thresholds: the organisers' ten when None.
        warping: False leaves out the two warping scores, which need numba.
        colours: of labels in colour, see `parse_colours`; the first one is outside.

    Returns:
        What `json.dumps` takes: `metric`, `labels`, `proposal`, `thresholds`, and `scores`, by name: `value`,
        `best_threshold`, `over_sections` ("pooled" or "mean"), `best` (1 or 0), and `per_section`.

    Raises:
        FileNotFoundError: when a file is missing.
        ValueError: when files cannot be read, or cannot be compared; it names them.
        ImportError: when numba is missing and `warping` is set.
    """
    thresholds = THRESHOLDS if thresholds is None else tuple(thresholds)
    for path in (labels, proposal):
        if is_folder(path):
            raise ValueError(f"{path} is a folder; the metric isbi takes two stacks, such as TIFF files")
    named = _colours(colours)
    if UNKNOWN in named:
        raise ValueError(f"colours {colours!r}: the metric isbi counts every pixel, so none can be {UNKNOWN}")
    stacks = as_arrays(labels, proposal, named or None)
    try:
        scores = isbi2012_scores(*stacks, thresholds, warping)
    except TypeError as error:
        raise ValueError(
            f"{labels} and {proposal}: {error}; `monai-unet predict --dtype float32` writes probabilities as they are"
        ) from error
    except ValueError as error:
        raise ValueError(f"{labels} and {proposal}: {error}") from error
    return {
        "metric": "isbi",
        "labels": str(labels),
        "proposal": str(proposal),
        "thresholds": list(thresholds),
        "scores": {
            name: {
                "value": getattr(scores, name),
                "best_threshold": scores.best_threshold[name],
                "over_sections": "pooled" if SCORES[name].pooled else "mean",
                "best": int(SCORES[name].higher_is_better),
                "per_section": list(of_sections),
            }
            for name, of_sections in scores.per_section.items()
        },
    }


def seg_report(
    labels: str | Path,
    proposal: str | Path,
    threshold: float | None = None,
    min_size: int | None = None,
    colours: str | None = None,
) -> Report:
    """SEG, the Cell Tracking Challenge's score, for two stacks or two folders of its frames.

    Args:
        labels: one integer per cell, 0 outside; a file as for `isbi_report`, or a folder of `man_segNNN.tif`.
        proposal: one integer per object, 0 in none, or the probability of "inside", floating point; a file, or a folder
            of `maskNNN.tif`.
        threshold: for probabilities: a pixel is foreground above it, and an object a 4-connected part; 0.5 when None.
        min_size: for probabilities: objects of fewer pixels are dropped; 0 when None.
        colours: of labels in colour, see `parse_colours`: a cell is a 4-connected part of one class, as in training. A
            proposal may be in colour too.

    Returns:
        What `json.dumps` takes: `metric`, `labels`, `proposal`, `threshold` and `min_size` (None for integers), `seg`,
        `num_cells`, `num_matched`, and `sections`, a list of `section`, `seg`, `num_cells`, `num_matched`,
        `num_objects`, and `jaccard`, by id.

    Raises:
        FileNotFoundError: when a file is missing, or the mask for a frame that has labels.
        ValueError: when files cannot be read, or cannot be compared; it names them.
    """
    named = _colours(colours)
    if threshold is None and "instances" in label_names(proposal):
        raise ValueError(
            f"{proposal} holds probabilities as its image, and the objects beside it: score "
            f"{Path(proposal) / 'labels' / 'instances'}, or give a --threshold to score the parts of the image above it"
        )
    names, truths, masks = zip(*_sections(labels, proposal, named or None), strict=True)
    of_labels, where = (
        [f"{what}, section {name}" for name in names] for what in (f"labels {labels}", f"proposal {proposal}")
    )
    if named:
        truths = [_parts(*section, named) for section in zip(of_labels, truths, strict=True)]
    else:
        truths = [_ids(*section) for section in zip(of_labels, truths, strict=True)]
        _refuse_masks(f"labels {labels}", truths)
    if named and _in_colour(proposal):
        masks = [_parts(*section, named) for section in zip(where, masks, strict=True)]
    if any(mask.dtype.kind == "f" for mask in masks):
        threshold, min_size = 0.5 if threshold is None else threshold, min_size or 0
        if not 0 <= threshold <= 1:
            raise ValueError(f"--threshold {threshold}: expected a probability, 0 to 1")
        masks = [_instances(*section, threshold, min_size) for section in zip(where, masks, strict=True)]
    elif threshold is not None or min_size is not None:
        raise ValueError(
            f"proposal {proposal} is {masks[0].dtype}, so each value is an object: --threshold and --min-size are for "
            "probabilities in floating point; divide grey values by their maximum, 255 for uint8, to get those"
        )
    else:
        masks = [_ids(*section) for section in zip(where, masks, strict=True)]
        _refuse_masks(f"proposal {proposal}", masks)
    scores = seg_of_sections(zip(truths, masks, strict=True))
    return {
        "metric": "seg",
        "labels": str(labels),
        "proposal": str(proposal),
        "threshold": threshold,
        "min_size": min_size,
        "seg": scores.seg,
        "num_cells": scores.num_cells,
        "num_matched": scores.num_matched,
        "sections": [
            {
                "section": name,
                "seg": seg,
                "num_cells": len(jaccard),
                "num_matched": sum(value > 0 for value in jaccard.values()),
                "num_objects": int(np.unique(mask[mask > 0]).size),
                "jaccard": jaccard,
            }
            for name, seg, jaccard, mask in zip(names, scores.per_section, scores.jaccard, masks, strict=True)
        ],
    }


def _in_colour(proposal: str | Path) -> bool:
    """Whether a file is in colour, or the first one of a folder."""
    return is_coloured(sorted(Path(proposal).glob("*.tif"))[0] if is_folder(proposal) else proposal)


def _colours(text: str | None) -> dict[str, Colour]:
    return {} if text is None else parse_colours(text)


def _parts(where: str, numbers: np.ndarray, colours: Mapping[str, Colour]) -> np.ndarray:
    """The cells of a section of classes, as the data set of a training has them."""
    numbers = whole_labels(numbers, where)
    classes, _ = known_classes(numbers, class_names(colours), unknown_value(None, colours), where, background=0)
    return cells_of(numbers, classes, instances=False)


def _sections(
    labels: str | Path, proposal: str | Path, colours: Mapping[str, Colour] | None
) -> list[tuple[str, np.ndarray, np.ndarray]]:
    if is_folder(labels) or is_folder(proposal):
        return list(sections(labels, proposal, colours))  # errors name the files
    stacks = as_arrays(labels, proposal, colours)
    try:
        return list(sections(*stacks))
    except ValueError as error:
        raise ValueError(f"{labels} and {proposal}: {error}") from error


def _ids(where: str, ids: np.ndarray) -> np.ndarray:
    try:
        checked_ids("values", ids)
        if ids.min(initial=0) < 0:
            raise ValueError(f"values down to {ids.min()}; expected 0 where there is none, and 1 or more in each")
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from error
    return ids


def _instances(where: str, probability: np.ndarray, threshold: float, min_size: int) -> np.ndarray:
    try:
        return label_instances(checked_probabilities(probability) > threshold, min_size)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from error


def _refuse_masks(what: str, stack: Sequence[np.ndarray]) -> None:
    """Refuse integers that are a mask or grey values and not objects: their SEG would mean nothing."""
    ids = [np.unique(section[section > 0]) for section in stack]
    parts = [connected_parts(section.clip(0), connectivity=1, return_num=True)[1] for section in stack]
    present = np.unique(np.concatenate(ids))
    remedy = "SEG needs one integer per object; number the parts by monai_unet.transforms.instances.label_instances"
    if len(present) == 1 and max(parts) > 1:
        raise ValueError(
            f"{what} have one value besides 0, {present[0]}, in {max(parts)} separate parts of a section: a mask; "
            f"{remedy} (`monai-unet predict --output instances` does), or score a mask of labels by --metric isbi"
        )
    # a hundred objects lie in some hundred parts; a hundred grey values in thousands
    if stack[0].dtype == np.uint8 and present[-1:].tolist() == [255] and sum(parts) > 10 * sum(map(len, ids)):
        raise ValueError(
            f"{what} have {len(present)} values up to 255 in {sum(parts)} separate parts: grey values; {remedy}, or "
            "divide probabilities by 255 and save them in floating point"
        )
