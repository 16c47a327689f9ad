"""Reports of scores as tables for people, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from monai_unet.io import written_aside
from monai_unet.score.challenges import Report


def report_text(report: Report) -> str:
    """The report as aligned tables: the scores, then each section."""
    return {"isbi": _isbi_text, "seg": _seg_text, "classes": _class_text}[report["metric"]](report)


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


def _class_text(report: Report) -> str:
    names = report["classes"]
    heads = ("class", "sections", "Dice", "IoU", "Dice, all pixels", "IoU, all pixels")
    rows = [
        heads,
        *((of["class"], str(of["sections"]), *map(_rounded, list(of.values())[2:])) for of in report["of_classes"]),
    ]
    matrix = zip(names, report["confusion_matrix"], strict=True)
    confusion = [("true \\ predicted", *names), *((name, *map(str, pixels)) for name, pixels in matrix)]
    sections = [("Dice of section", *names)]
    sections += [(of["section"], *map(_rounded, of["dice"].values())) for of in report["sections"]]
    means = ", ".join(f"{name.replace('_', ' ')} {_rounded(value)}" for name, value in report["scores"].items())
    return "\n\n".join([f"{means} (without {names[0]})", *map(_aligned, (rows, confusion, sections))])


def _rounded(value: float | None) -> str:
    return "-" if value is None else f"{value:.6f}"


def _aligned(rows: Sequence[tuple[str, ...]]) -> str:
    """Lines with the first column to the left, the others to the right."""
    first, *others = (max(map(len, column)) for column in zip(*rows, strict=True))
    lines = []
    for name, *cells in rows:
        padded = [cell.rjust(width) for cell, width in zip(cells, others, strict=True)]
        lines.append("  ".join([name.ljust(first), *padded]).rstrip())
    return "\n".join(lines)
