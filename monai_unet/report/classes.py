"""Classes in a report: their colours, their scores, and the confusion matrix as numbers and as a picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from monai_unet.report.pictures import BACKGROUND_COLOUR, distinct_colours

# Okabe and Ito's colours, told apart by colour-blind people (https://jfly.uni-koeln.de/color/)
_OKABE_ITO = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
_APART = 48  # of 255 in red, green or blue


@dataclass(frozen=True)
class ClassRow:
    """What the page says of a class.

    Args:
        name: of the class.
        sections: in which the truth has it.
        values: by the names of scores; NaN where the class is neither there nor predicted.
    """

    name: str
    sections: int
    values: Mapping[str, float]


def palette(num_classes: int, own: Sequence[Sequence[int]] | None = None) -> np.ndarray:
    """A colour for each class: those of the labels where they are given and can be told apart, else a fixed one.

    Args:
        num_classes: how many there are.
        own: red, green and blue of each, of 8 or 16 bits.

    Returns:
        uint8, (num_classes, 3).
    """
    if own is not None and len(own) == num_classes:
        colours = np.array(own, np.int64)
        colours = colours // 257 if colours.max() > 255 else colours
        apart = np.abs(colours[:, None] - colours[None]).max(-1)
        if (apart[~np.eye(num_classes, dtype=bool)] >= _APART).all():
            return colours.astype(np.uint8)
    fixed = distinct_colours(np.arange(num_classes)[None])[0]
    chosen = (BACKGROUND_COLOUR, *_OKABE_ITO)[:num_classes]
    fixed[: len(chosen)] = chosen
    return fixed


def draw_confusion(names: Sequence[str], matrix: np.ndarray) -> bytes:
    """The confusion matrix as a PNG: the share of each true class's pixels that went to each class.

    Args:
        names: of the classes.
        matrix: pixels, (true classes, predicted classes).
    """
    from matplotlib.figure import Figure  # slow to import; pyplot would change what the user has set

    number = len(names)
    totals = np.sum(matrix, axis=1, keepdims=True)
    shares = np.divide(matrix, totals, out=np.full(matrix.shape, np.nan), where=totals > 0)
    side = min(2.4 + 0.6 * number, 12)
    figure = Figure(figsize=(side, side), dpi=150, layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(number), names, rotation=45, ha="right", fontsize=8)
    axes.set_yticks(range(number), names, fontsize=8)
    axes.set_xlabel("predicted", fontsize=9)
    axes.set_ylabel("true", fontsize=9)
    for row, column in np.ndindex(*shares.shape) if number <= 12 else ():
        share = shares[row, column]
        text = "\N{EN DASH}" if np.isnan(share) else f"{100 * share:.1f} %"
        axes.text(column, row, text, ha="center", va="center", fontsize=8, color="white" if share > 0.5 else "#1b2027")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def confusion_csv(names: Sequence[str], matrix: np.ndarray) -> str:
    """The matrix as a table: a line for each true class, a column for each predicted one, pixels."""
    return _csv([["true", *names], *([name, *row] for name, row in zip(names, matrix.tolist(), strict=True))])


def scores_csv(rows: Sequence[ClassRow], num_sections: int) -> str:
    """The scores of the classes as a table; empty where there is none."""
    head = ["class", "sections with it", "sections", *rows[0].values]
    lines = [
        [
            row.name,
            row.sections,
            num_sections,
            *("" if np.isnan(each) else f"{each:.6g}" for each in row.values.values()),
        ]
        for row in rows
    ]
    return _csv([head, *lines])


def _csv(lines: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()
