"""Score a proposal in files against labels in files: a report, as numbers for JSON and as text for people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from skimage.measure import label as connected_parts

from monai_unet.io import written_aside
from monai_unet.metrics.frames import as_arrays, is_folder, sections
from monai_unet.metrics.isbi2012 import THRESHOLDS, checked_probabilities, isbi2012_scores
from monai_unet.metrics.overlaps import checked_ids
from monai_unet.metrics.section_statistics import SCORES
from monai_unet.metrics.seg import seg_of_sections
from monai_unet.transforms.instances import label_instances

Report = dict[str, Any]


def isbi_report(
    labels: str | Path, proposal: str | Path, thresholds: Sequence[float] | None = None, warping: bool = True
) -> Report:
    """The scores of the ISBI 2012 challenge for two stacks.

    Args:
        labels: inside a cell where not 0; a file, as `read_stack` takes it.
        proposal: probability of "inside", floating point; the same.
        thresholds: the organisers' ten when None.
        warping: False leaves out the two warping scores, which need numba.

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
    stacks = as_arrays(labels, proposal)
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
    labels: str | Path, proposal: str | Path, threshold: float | None = None, min_size: int | None = None
) -> Report:
    """SEG, the Cell Tracking Challenge's score, for two stacks or two folders of its frames.

    Args:
        labels: one integer per cell, 0 outside; a file as for `isbi_report`, or a folder of `man_segNNN.tif`.
        proposal: one integer per object, 0 in none, or the probability of "inside", floating point; a file, or a folder
            of `maskNNN.tif`.
        threshold: for probabilities: a pixel is foreground above it, and an object a 4-connected part; 0.5 when None.
        min_size: for probabilities: objects of fewer pixels are dropped; 0 when None.

    Returns:
        What `json.dumps` takes: `metric`, `labels`, `proposal`, `threshold` and `min_size` (None for integers), `seg`,
        `num_cells`, `num_matched`, and `sections`, a list of `section`, `seg`, `num_cells`, `num_matched`,
        `num_objects`, and `jaccard`, by id.

    Raises:
        FileNotFoundError: when a file is missing, or the mask for a frame that has labels.
        ValueError: when files cannot be read, or cannot be compared; it names them.
    """
    names, truths, masks = zip(*_sections(labels, proposal), strict=True)
    truths = [_ids(f"labels {labels}, section {name}", truth) for name, truth in zip(names, truths, strict=True)]
    _refuse_masks(f"labels {labels}", truths)
    where = [f"proposal {proposal}, section {name}" for name in names]
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


def report_text(report: Report) -> str:
    """The report as aligned tables: the scores, then each section."""
    return _isbi_text(report) if report["metric"] == "isbi" else _seg_text(report)


def write_report(report: Report, path: str | Path) -> None:
    """The report as a JSON file, written aside and renamed."""
    with written_aside(path) as temporary:
        temporary.write_text(json.dumps(report, indent=2) + "\n")


def _isbi_text(report: Report) -> str:
    scores = report["scores"]
    rows = [("score", "value", "threshold", "sections", "best")]
    for name, score in scores.items():
        at = f"{score['best_threshold']:g}"
        rows.append((name, f"{score['value']:.6f}", at, score["over_sections"], str(score["best"])))
    words = [name.split("_") for name in scores]  # one below the other, or a row would not fit a terminal
    height = max(map(len, words))
    heads = [[""] * (height - len(name)) + name for name in [["section"], *words]]
    per_section = [tuple(head[line] for head in heads) for line in range(height)]
    columns = [score["per_section"] for score in scores.values()]
    per_section += [
        (str(section), *(f"{value:.6f}" for value in values))
        for section, values in enumerate(zip(*columns, strict=True))
    ]
    return f"{_aligned(rows)}\n\n{_aligned(per_section)}"


def _seg_text(report: Report) -> str:
    rows = [("section", "SEG", "cells", "matched", "objects")]
    total = {**report, "section": "all", "num_objects": sum(of["num_objects"] for of in report["sections"])}
    for of in (*report["sections"], total):
        counts = (str(of[name]) for name in ("num_cells", "num_matched", "num_objects"))
        rows.append((of["section"], f"{of['seg']:.6f}" if of["num_cells"] else "-", *counts))
    how = ""
    if report["threshold"] is not None:
        how = f"\nobjects: parts above {report['threshold']:g}, of {report['min_size']} pixels or more"
    return f"SEG {report['seg']:.6f}{how}\n\n{_aligned(rows)}"


def _aligned(rows: Sequence[tuple[str, ...]]) -> str:
    """Lines with the first column to the left, the others to the right."""
    first, *others = (max(map(len, column)) for column in zip(*rows, strict=True))
    lines = []
    for name, *cells in rows:
        padded = [cell.rjust(width) for cell, width in zip(cells, others, strict=True)]
        lines.append("  ".join([name.ljust(first), *padded]).rstrip())
    return "\n".join(lines)


def _sections(labels: str | Path, proposal: str | Path) -> list[tuple[str, np.ndarray, np.ndarray]]:
    if is_folder(labels) or is_folder(proposal):
        return list(sections(labels, proposal))  # errors name the files
    stacks = as_arrays(labels, proposal)
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
