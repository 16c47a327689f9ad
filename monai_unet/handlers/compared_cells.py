"""The cells of a section beside the objects that were predicted: compared, drawn, and said in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from monai_unet import report
from monai_unet.metrics.seg import seg_of_sections
from monai_unet.metrics.split_merge import SplitMerge, split_merge


@dataclass(frozen=True)
class ComparedCells:
    """Cells and objects of a section, what is known of them, and what became of them."""

    cells: np.ndarray
    objects: np.ndarray
    known_cells: np.ndarray
    known_objects: np.ndarray
    found: SplitMerge
    extra: list[int]


def compare(cells: np.ndarray, objects: np.ndarray, unknown: np.ndarray | None) -> ComparedCells:
    """Compare the cells (H, W) with the objects; true in `unknown` is where nothing is known of the truth."""
    known_cells, known_objects = (
        labels if unknown is None else np.where(unknown, 0, labels) for labels in (cells, objects)
    )
    found = split_merge(known_cells, known_objects)
    # of an object that is mostly unknown, nothing can be said
    extra = [int(each) for each in found.extra_objects if 2 * (known_objects == each).sum() > (objects == each).sum()]
    return ComparedCells(cells, objects, known_cells, known_objects, found, extra)


def errors_in_words(compared: ComparedCells) -> str:
    """The cells that are split, merged or missed and the objects that are too many, by their numbers."""
    found = compared.found
    wrong = {"Split": found.splits, "Merged": found.mergers, "Missed": found.missed}
    parts = [f"{name}: cell{'s'[: len(ids) > 1]} {_listed(ids)}" for name, ids in wrong.items() if len(ids)]
    if compared.extra:
        parts.append(f"Extra: object{'s'[: len(compared.extra) > 1]} {_listed(compared.extra)}")
    return ". ".join(parts) + ("." if parts else "")


def _listed(ids: Sequence[int] | np.ndarray, most: int = 20) -> str:
    more = f" and {len(ids) - most} more" if len(ids) > most else ""
    return ", ".join(str(each) for each in ids[:most]) + more


def crop(image: np.ndarray, compared: ComparedCells, number: int) -> bytes:
    """A cell with what is around it, as a PNG; the image is (C, H, W)."""
    return report.png(report.outlined(image, compared.cells, compared.objects, number))


def single_cells(title: str, compared: ComparedCells) -> list[report.Cell]:
    """What became of each cell of a section of this title."""
    scored = seg_of_sections([(compared.cells, compared.objects)]).jaccard[0]
    numbers, areas = np.unique(compared.cells[compared.cells > 0], return_counts=True)
    found = compared.found
    became = {int(each): "hit" for each in found.hits}
    for name, ids in (("missed", found.missed), ("split", found.splits), ("merged", found.mergers)):
        became |= {int(each): name for each in ids}
    return [
        report.Cell(title, number, area, scored[number], became.get(number, "unknown"))
        for number, area in zip(numbers.tolist(), areas.tolist(), strict=True)
    ]


def draw_cells(
    compared: ComparedCells, inside: np.ndarray, unknown: np.ndarray | None
) -> tuple[dict[str, np.ndarray], dict[str, int], int]:
    """Pictures, counts and the number of errors of a section with cells."""
    cells, objects, found = compared.cells, compared.objects, compared.found
    known_cells, known_objects = compared.known_cells, compared.known_objects
    panels = {
        "truth": report.distinct_colours(cells),
        "prediction": report.distinct_colours(report.same_colours(cells, objects)),
        "probability": report.grey(inside, 0, 1),
        "errors": report.error_map(found.code, known_objects, found.merging_objects, unknown),
    }
    num_cells = len(np.unique(known_cells[known_cells > 0]))
    became = {"hit": found.hits, "split": found.splits, "merged": found.mergers, "missed": found.missed}
    counts = {"cells": num_cells, **{name: len(ids) for name, ids in became.items()}, "extra": len(compared.extra)}
    return panels, counts, num_cells - len(found.hits)
