"""The report of a cross-validation: scores of each fold, their mean and spread, and of every section once."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from monai_unet.report.page import number
from monai_unet.report.template import fill


@dataclass(frozen=True)
class Fold:
    """What a network scores on the sections that it was not trained on.

    Attributes:
        name: of the fold.
        held_out: these sections, in words.
        scores: by their names, of all of them.
        sections: scores of each, by their names, by the section's name.
        page: the fold's own report, relative to that of all folds.
    """

    name: str
    held_out: str
    scores: Mapping[str, float]
    sections: Mapping[str, Mapping[str, float]]
    page: str


def sections_csv(names: Sequence[str], values: Mapping[str, Sequence[float]]) -> str:
    """Scores of every section: a line each, a column for each score.

    Args:
        names: of the sections.
        values: by score, one for each section.
    """
    return _csv(["section", *values], [[name, *row] for name, *row in zip(names, *values.values(), strict=True)])


def folds_csv(folds: Sequence[Fold]) -> str:
    """The same over all folds, with the fold that each section was held out of."""
    names = _names([scores for fold in folds for scores in fold.sections.values()])
    rows = [
        [fold.name, section, *(scores.get(name, math.nan) for name in names)]
        for fold in folds
        for section, scores in fold.sections.items()
    ]
    return _csv(["fold", "section", *names], rows)


def folds_table(folds: Sequence[Fold]) -> list[list[str]]:
    """Scores of each fold, then their mean and standard deviation over the folds; the head comes first."""
    names = _names([fold.scores for fold in folds])
    columns = [[fold.scores[name] for fold in folds] for name in names]
    return [
        ["", *names],
        *([fold.name, *(number(fold.scores[name]) for name in names)] for fold in folds),
        ["mean", *(number(mean(column)) for column in columns)],
        ["standard deviation", *(number(stdev(column)) for column in columns)],
    ]


def folds_page(title: str, facts: Mapping[str, object], folds: Sequence[Fold], notes: Sequence[str]) -> str:
    """The HTML of the report.

    Args:
        title: of the page.
        facts: what was trained on what, by name.
        folds: two or more.
        notes: what has to be known of the scores, a sentence each.
    """
    per_section = list(csv.reader(io.StringIO(folds_csv(folds))))
    shown = [[*row[:2], *(number(float(value)) for value in row[2:])] for row in per_section[1:]]
    values = {
        "title": title,
        "facts": facts,
        "table": folds_table(folds),
        "folds": folds,
        "sections": [per_section[0], *shown],
        "notes": notes,
    }
    return fill("folds.html", values)


def _names(all_scores: Sequence[Mapping[str, float]]) -> list[str]:
    """Of the scores that all have, in the order of the first."""
    return [name for name in (all_scores[0] if all_scores else ()) if all(name in scores for scores in all_scores)]


def _csv(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue()
