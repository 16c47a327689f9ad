"""What the report shows of single cells: scores by their size, and pictures of the worst."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from skimage.segmentation import find_boundaries

from monai_unet.report.pictures import SPLIT_COLOUR, colour

CELL_COLOUR, OBJECT_COLOUR = (255, 255, 255), SPLIT_COLOUR
"""Outlines of the true cell and of predicted objects."""

_SIDE = 192  # pixels that a picture has at least
_SIZES = ("small", "medium", "large")


@dataclass(frozen=True)
class Cell:
    """A true cell and what became of it.

    Args:
        section: its name.
        number: of the cell in the truth.
        area: pixels.
        jaccard: intersection by union with the object that matches it, 0 without one, as in SEG.
        became: "hit", "split", "merged" or "missed".
    """

    section: str
    number: int
    area: int
    jaccard: float
    became: str


@dataclass(frozen=True)
class SizeClass:
    """The cells of one size: pixels of the smallest and the largest, how many, how many matched, and their SEG."""

    name: str
    smallest: int
    largest: int
    number: int
    matched: int
    seg: float


def by_size(cells: Sequence[Cell]) -> list[SizeClass]:
    """Scores of the smallest, the middle and the largest third of the cells; fewer parts where there are not three.

    Example:
        >>> cells = [Cell("a", index, area, 0.8, "hit") for index, area in enumerate((30, 10, 20))]
        >>> [(part.name, part.smallest, part.largest) for part in by_size(cells)]
        [('small', 10, 10), ('medium', 20, 20), ('large', 30, 30)]
    """
    ordered = sorted(cells, key=lambda cell: cell.area)
    parts = np.array_split(np.arange(len(ordered)), len(_SIZES))
    classes = []
    for name, part in zip(_SIZES, parts, strict=True):
        chosen = [ordered[index] for index in part]
        if chosen:
            scores = [cell.jaccard for cell in chosen]
            matched = sum(score > 0 for score in scores)
            classes.append(
                SizeClass(name, chosen[0].area, chosen[-1].area, len(chosen), matched, float(np.mean(scores)))
            )
    return classes


def worst(cells: Sequence[Cell], number: int = 3) -> list[Cell]:
    """The cells with the lowest Jaccard index, of equal ones the larger first."""
    return sorted(cells, key=lambda cell: (cell.jaccard, -cell.area))[:number]


def outlined(image: np.ndarray, cells: np.ndarray, objects: np.ndarray, number: int) -> np.ndarray:
    """A cell with what is around it, its outline and those of the predicted objects.

    Args:
        image: grey values, (C, H, W).
        cells: one integer per cell, (H, W).
        objects: one integer per predicted object, same shape.
        number: of the cell.

    Returns:
        uint8, (height, width, 3): the cell's bounding box with half its side around it, each pixel repeated so that no
        side has less than 192 pixels. The cell's outline is white, that of objects yellow; where both are, white.
    """
    rows, columns = np.nonzero(cells == number)
    margin = max(8, max(np.ptp(rows), np.ptp(columns)) // 2)
    box = tuple(slice(max(int(along.min()) - margin, 0), int(along.max()) + 1 + margin) for along in (rows, columns))
    shades = colour(image)[box]
    times = max(-(-_SIDE // min(shades.shape[:2])), 1)
    larger = [np.repeat(np.repeat(part, times, 0), times, 1) for part in (shades, cells[box] == number, objects[box])]
    picture = larger[0] if larger[0].ndim == 3 else np.repeat(larger[0][..., None], 3, axis=2)
    picture[find_boundaries(larger[2], mode="inner")] = OBJECT_COLOUR
    picture[find_boundaries(larger[1], mode="inner")] = CELL_COLOUR
    return picture
