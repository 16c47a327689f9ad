"""What a report says of classes: their scores over all sections, the confusion matrix, and which sections lack one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from monai_unet import report
from monai_unet.io import written_aside
from monai_unet.metrics.classes import scores_of_classes
from monai_unet.networks import naming


def class_results(names: Sequence[str], matrices: Sequence[np.ndarray]) -> dict[str, Any]:
    """The fields of `report.Page` on classes.

    Args:
        names: of the classes.
        matrices: of each section, see `confusion_matrix`.
    """
    each, pooled = np.stack(matrices), np.sum(matrices, axis=0)
    scores = {score: scores_of_classes(each, score) for score in ("dice", "iou")}
    of_all = {score: scores_of_classes(pooled, score) for score in ("dice", "iou")}
    rows = []
    for index, name in enumerate(names):
        values = {
            "Dice, mean of sections": _mean(scores["dice"][:, index]),
            "IoU, mean of sections": _mean(scores["iou"][:, index]),
            "Dice of all pixels": float(of_all["dice"][index]),
            "IoU of all pixels": float(of_all["iou"][index]),
        }
        rows.append(report.ClassRow(name, int(each[:, index].any(-1).sum()), values))
    number = len(matrices)
    title = "confusion matrix, shares of the true class"
    return {
        "classes": rows,
        "lacking": [
            f"{row.name} occurs in {row.sections} of {number} sections" for row in rows if row.sections < number
        ],
        "confusion": pooled.tolist(),
        "confusion_picture": report.Panel(title, title, report.draw_confusion(names, pooled)),
    }


def write_class_results(folder: Path, names: Sequence[str], results: dict[str, Any], num_sections: int) -> None:
    """`classes.csv` and `confusion_matrix.csv` in a folder, written aside and renamed."""
    texts = {
        "classes.csv": report.scores_csv(results["classes"], num_sections),
        "confusion_matrix.csv": report.confusion_csv(names, np.array(results["confusion"])),
    }
    for name, text in texts.items():
        with naming(folder), written_aside(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _mean(values: np.ndarray) -> float:
    there = values[~np.isnan(values)]
    return float(there.mean()) if there.size else float("nan")
