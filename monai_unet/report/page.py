"""The page: what it shows, and the HTML of it, from the template `report.html` beside this file."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from monai_unet.report.classes import ClassRow
from monai_unet.report.objects import SizeClass
from monai_unet.report.template import fill

MISSING = "\N{EN DASH}"


@dataclass(frozen=True)
class Panel:
    """A picture of a section, inlined.

    Args:
        caption: under the picture.
        alt: what it shows, for those who do not see it.
        png: the file.
    """

    caption: str
    alt: str
    png: bytes

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels; a PNG has them at a fixed place."""
        return int.from_bytes(self.png[16:20], "big"), int.from_bytes(self.png[20:24], "big")

    @property
    def uri(self) -> str:
        """The file as a data URI."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")


@dataclass(frozen=True)
class Section:
    """A section as the page shows it.

    Args:
        index: in the order of evaluation, from 0.
        name: file and section.
        panels: its pictures.
        picture: where the picture in full size is, relative to the page.
        counts: numbers by what they count, such as cells that are split; the same ones for every section.
        errors: the numbers of the cells and objects that are wrong, a sentence, or empty.
    """

    index: int
    name: str
    panels: Sequence[Panel]
    picture: str
    counts: Mapping[str, int]
    errors: str = ""


@dataclass(frozen=True)
class Column:
    """A score: its name, whether higher is better, and whether it is the one that weights are chosen by."""

    name: str
    higher_is_better: bool
    is_key: bool = False


@dataclass(frozen=True)
class Row:
    """A line of the table of scores; values by the names of columns, None or NaN or nothing for unknown ones."""

    name: str
    values: Mapping[str, float | None]
    kind: str = "reference"


@dataclass(frozen=True)
class Curve:
    """A learning curve: the tag, its picture, and in words what the picture shows."""

    name: str
    panel: Panel


def number(value: float | None, padded: bool = True) -> str:
    """A number with 4 significant digits, or all before the point, or an en dash for None and NaN.

    Args:
        value: the number.
        padded: whether zeros fill up the 4 digits; not for numbers from elsewhere, which may be known less exactly.

    Example:
        >>> number(0.95), number(0.000005, padded=False), number(12345.6)
        ('0.9500', '0.000005', '12346')
    """
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "\N{INFINITY}" if value > 0 else "\N{MINUS SIGN}\N{INFINITY}"
    if abs(value) >= 1000:
        return str(round(value))
    text = format(Decimal(f"{value:.3e}"), "f")  # not "e-06", which few read
    if not padded and "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.replace("-", "\N{MINUS SIGN}")


@dataclass(frozen=True)
class Page:
    """All that the page shows.

    Args:
        title: of the page.
        date: of the evaluation.
        facts: what was evaluated, by name.
        columns: the scores.
        rows: this evaluation, its thresholds, and what it is compared with.
        note: under the table of scores, on the rows for comparison.
        sections: in the order in which they are shown.
        order: what that order is, a sentence.
        values: by score, the value of each section by its `index`; only scores that have such values.
        hint: what else helps to read the pictures, a sentence.
        legend: of the error map; by name, the CSS colour (or "hatched") and what it means.
        curves: of the training.
        no_curves: why there are none, a sentence.
        totals: counts of all sections together; empty where there are no objects.
        sizes: scores of the cells by their size.
        worst: pictures of the worst cells.
        classes: scores of each class; empty where there are objects.
        lacking: which classes do not occur in all sections, a phrase each.
        confusion: pixels by true and predicted class, in the order of `classes`.
        confusion_picture: the same as a picture.
    """

    title: str
    date: str
    facts: Mapping[str, object]
    columns: Sequence[Column]
    rows: Sequence[Row]
    note: str
    sections: Sequence[Section]
    order: str
    values: Mapping[str, Sequence[float]]
    hint: str
    legend: Mapping[str, tuple[str, str]]
    curves: Sequence[Curve]
    no_curves: str
    totals: Mapping[str, int] = field(default_factory=dict)
    sizes: Sequence[SizeClass] = ()
    worst: Sequence[Panel] = ()
    classes: Sequence[ClassRow] = ()
    lacking: Sequence[str] = ()
    confusion: Sequence[Sequence[int]] = ()
    confusion_picture: Panel | None = None


def render(page: Page) -> str:
    """The HTML of the page; it needs no other file and no network, and opens the pictures in full size by links."""
    return fill("report.html", vars(page), {"number": number})
