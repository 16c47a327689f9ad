"""What a report says of classes: their scores over all sections, the confusion matrix, and which sections lack one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from monai_unet import report
from monai_unet.io import written_aside
from monai_unet.metrics.classes import mean_score, scores_of_classes
from monai_unet.networks import naming


def class_rows(names: Sequence[str], matrices: Sequence[np.ndarray]) -> list[report.ClassRow]:
    """Dice and IoU of each class, as the mean of its sections and over all pixels together.

    Args:
        names: of the classes.
        matrices: of each section, see `confusion_matrix`.
    """
    each, pooled = np.stack(matrices), np.sum(matrices, axis=0)
    of_all = {score: scores_of_classes(pooled, score) for score in ("dice", "iou")}
    rows = []
    for index, name in enumerate(names):
        values = {
            "Dice, mean of sections": mean_score(each, "dice", [index]),
            "IoU, mean of sections": mean_score(each, "iou", [index]),
            "Dice of all pixels": float(of_all["dice"][index]),
            "IoU of all pixels": float(of_all["iou"][index]),
        }
        rows.append(report.ClassRow(name, int(each[:, index].any(-1).sum()), values))
    return rows


def class_results(names: Sequence[str], matrices: Sequence[np.ndarray]) -> dict[str, Any]:
    """The fields of `report.Page` on classes; arguments as `class_rows` has them."""
    rows, pooled, number = class_rows(names, matrices), np.sum(matrices, axis=0), len(matrices)
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
