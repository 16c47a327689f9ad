"""What a report says of classes: their scores over all sections, the confusion matrix, and which sections lack one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from monai_unet import report
from monai_unet.colours import class_names, parse_colours
from monai_unet.io import written_aside
from monai_unet.metrics.classes import mean_score, scores_of_classes
from monai_unet.networks import naming


def class_palette(names: Sequence[str], colours: str | None) -> np.ndarray:
    """A colour for each class, (classes, 3): those of the labels where these are of the same classes, see `palette`.

    Args:
        names: of the classes.
        colours: of labels in colour, see `parse_colours`.
    """
    named = {} if colours is None else parse_colours(colours)
    own = [named[name] for name in names] if sorted(class_names(named)) == sorted(names) else None
    return report.palette(len(names), own)


def class_panels(
    label: np.ndarray, pred: np.ndarray, unknown: np.ndarray | None, palette: np.ndarray
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Pictures of a section, by what they show, and which pixels are known, (H, W).

    Args:
        label: the class of each pixel, (H, W).
        pred: probabilities, (C, H, W).
        unknown: true where nothing is known of the truth, (H, W).
        palette: a colour for each class, see `class_palette`.
    """
    truth, prediction = label.astype(np.int64), pred.argmax(0)
    known = np.ones(truth.shape, bool) if unknown is None else ~unknown
    panels = {
        "truth": palette[truth],
        "prediction": palette[prediction],
        "probability of the predicted class": report.grey(pred.max(0), 0, 1),
        "errors": report.wrong_pixels(truth, prediction, unknown),
    }
    return panels, known


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
