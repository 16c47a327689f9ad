"""The report of an evaluation: one HTML file with scores, learning curves and pictures, worst sections first."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import monai
import numpy as np
import torch
from ignite.engine import Engine, Events
from ignite.metrics import Metric
from monai.handlers import IgniteMetricHandler
from monai.utils import convert_data_type
from numpy.typing import ArrayLike

from monai_unet import __version__, report
from monai_unet.handlers.class_results import class_palette, class_panels, class_results, write_class_results
from monai_unet.handlers.compared_cells import compare, crop, draw_cells, errors_in_words, single_cells
from monai_unet.io import read_found, written_aside
from monai_unet.metrics import IsbiMetric
from monai_unet.metrics.classes import confusion_matrix
from monai_unet.metrics.section_metric import SectionMetric
from monai_unet.metrics.section_statistics import SCORES
from monai_unet.networks import naming
from monai_unet.transforms.decoding import Decoding
from monai_unet.transforms.instances import label_instances
from monai_unet.transforms.restoration import Restoration

logger = logging.getLogger(__name__)

INLINE_SIDE = 768
"""Pixels a side that a picture has in the page at most."""


class SaveReport:
    """Write `report.html`, the scores of every section as `sections.csv`, and its pictures; attached to an evaluator.

    A section is a dictionary in the engine's output; what is not there is taken from its batch. It has `image`
    (C, H, W); `label` (1, H, W), the class of each pixel; `pred` (C, H, W), probabilities. It may have `cells`
    (1, H, W), one integer per true cell, else they are the 4-connected components of `label`; `instances` (1, H, W),
    one integer per predicted object; `ignore` (1, H, W), not 0 where the truth is unknown; and `name`.

    With one channel (inside) or two (outside, inside) the error map shows cells that are split, merged or missed, by
    `split_merge`. With more, one per class, it shows the wrong pixels, and the scores and the confusion matrix of the
    classes stand in the page, in `classes.csv` and in `confusion_matrix.csv`.

    Of a network that restores images, `label` is the target, and all three are grey values: there are pictures of
    input, output, target and difference, and the scores of the input as it is, as a row to compare with.

    Args:
        output_dir: folder of `report.html`, of `pictures/section_000.png` and so on in the order of evaluation, and of
            `curves/`; the files are written aside and renamed.
        title: of the page.
        decoding: a `Restoration`; or what makes predicted objects of the probabilities, in pictures and counts, for
            sections that do not bring
            `instances`; scores may have thresholds of their own.
        metrics: the evaluator's metrics by their names, for best thresholds and values of single sections.
        reference: rows to compare with; by name, values by the names of metrics.
        reference_note: a sentence on those rows, such as that they are of other images.
        training_dir: folder of the training's TensorBoard events, for the learning curves.
        facts: what was evaluated, by name, such as the file of the weights; shown as it is.
        weights: file of the weights; what a training found for them is shown as curves.
        colours: of labels in colour, as the knob has them; those of the classes in the pictures too.
        as_classes: show classes, though there are only two channels.

    Raises:
        TypeError: when a reference value is not a number.
    """

    def __init__(
        self,
        output_dir: str | Path,
        title: str = "Evaluation",
        decoding: Decoding | Restoration = Decoding(("outside", "inside")),  # noqa: B008 - it cannot be changed
        metrics: Mapping[str, Metric] | None = None,
        reference: Mapping[str, Mapping[str, float | None]] | None = None,
        reference_note: str = "",
        training_dir: str | Path | None = None,
        facts: Mapping[str, object] | None = None,
        weights: str | Path | None = None,
        colours: str | None = None,
        as_classes: bool = False,
    ) -> None:
        for name, values in (reference or {}).items():
            for metric, value in values.items():
                if not (value is None or isinstance(value, int | float)):
                    raise TypeError(f"reference {name!r} has {metric} = {value!r}, expected a number, or None")
        self.output_dir = Path(output_dir)
        self.title = title
        self.decoding = decoding
        self.metrics = dict(metrics or {})
        self.reference = dict(reference or {})
        self.reference_note = reference_note
        self.training_dir = training_dir
        self.facts = dict(facts or {})
        self.weights = weights
        self.colours = colours
        self.as_classes = as_classes
        self._sections: list[_Assessed] = []
        self._of_inputs: list[tuple[float, ...]] = []  # PSNR and SSIM of images before they were restored

    def attach(self, engine: Engine) -> None:
        """Listen to the evaluator."""
        engine.add_event_handler(Events.STARTED, self._restart)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)
        engine.add_event_handler(Events.COMPLETED, self._write)

    def __call__(self, engine: Engine) -> None:
        """Write the pictures of a batch."""
        outputs: Any = engine.state.output
        batch: Any = engine.state.batch
        if not (isinstance(batch, list) and all(isinstance(sample, dict) for sample in batch)):
            batch = [{}] * len(outputs)  # an engine that does not decollate
        for sample, output in zip(batch, outputs, strict=True):
            self._sections.append(self._assess({**sample, **output}))

    def _restart(self) -> None:
        self._sections = []
        self._of_inputs = []

    def _assess(self, sample: Mapping[str, Any]) -> _Assessed:
        """Draw a section, write its picture and count its errors."""
        index = len(self._sections)
        image, label, pred = (_array(sample[key]) for key in ("image", "label", "pred"))
        if isinstance(self.decoding, Restoration):
            return self._assess_restored(sample, image, pred, label)
        unknown = _array(sample["ignore"])[0] > 0 if "ignore" in sample else None
        has_unknown = unknown is not None and bool(unknown.any())
        # a network may have a channel for the borders of cells
        has_classes = len(pred) > 2 and not (self.decoding.objects and len(pred) == self.decoding.channels)
        has_classes = has_classes or self.as_classes
        confusion = None
        if has_classes:
            panels, known = class_panels(label[0], pred, unknown, self._palette(len(pred)))
            num_errors = int(((label[0] != pred.argmax(0)) & known).sum())
            counts = {"pixels": int(known.sum()), "wrong pixels": num_errors}
            confusion = confusion_matrix(label[0], pred.argmax(0), len(pred), known)
            objects = None
        else:
            cells = _array(sample["cells"])[0] if "cells" in sample else label_instances(label[0] > 0)
            inside = self.decoding.foreground(pred)[0] if len(pred) > 1 else pred[0]
            objects = compare(cells, self._objects(sample, pred), unknown)
            panels, counts, num_errors = draw_cells(objects, inside, unknown)
        title = str(sample.get("name", f"section {index}"))
        shown, file = self._pictures(index, title, {"image": report.colour(image), **panels})
        errors, found, crops = "", [], {}
        if objects is not None:
            errors = errors_in_words(objects)
            found = single_cells(title, objects) if self.decoding.objects else []
            crops = {each.number: crop(image, objects, each.number) for each in report.worst(found)}
        section = report.Section(index, title, shown, file, counts, errors)
        return _Assessed(section, num_errors, len(pred), has_unknown, found, crops, confusion)

    def _assess_restored(
        self, sample: Mapping[str, Any], image: np.ndarray, restored: np.ndarray, target: np.ndarray
    ) -> _Assessed:
        """The same for a section that was restored; its pictures are of the first channel."""
        index = len(self._sections)
        title = str(sample.get("name", f"section {index}"))
        decoding = self.decoding
        assert isinstance(decoding, Restoration)
        low, high = decoding.value_range
        panels = report.restoration_panels(image[0], restored[0], target[0], low, high)
        shown, file = self._pictures(index, title, panels)
        if image.shape == target.shape:
            pairs = zip(image, target, strict=True)
            of_input = [report.psnr_and_ssim(*pair, decoding.data_range) for pair in pairs]
            self._of_inputs.append(tuple(np.mean(of_input, axis=0).tolist()))
        return _Assessed(report.Section(index, title, shown, file, {}, ""), 0, 0, False, [], {}, None)

    def _pictures(self, index: int, title: str, panels: Mapping[str, np.ndarray]) -> tuple[list[report.Panel], str]:
        """The panels as the page shows them, and the file that was written of them, from the page."""
        name = f"section_{index:03d}.png"
        with naming(self.output_dir), written_aside(self.output_dir / "pictures" / name) as temporary:
            temporary.write_bytes(report.png(report.side_by_side(list(panels.values()))))
        shown = [
            report.Panel(caption, f"{caption} of {title}", report.png(panel, INLINE_SIDE))
            for caption, panel in panels.items()
        ]
        return shown, f"pictures/{name}"

    def _objects(self, sample: Mapping[str, Any], probability: np.ndarray) -> np.ndarray:
        if "instances" in sample:
            return _array(sample["instances"])[0]
        if len(probability) == 1:  # of inside alone
            probability = np.concatenate([1 - probability, probability])
        assert isinstance(self.decoding, Decoding)
        return self.decoding.instances(probability)

    def _write(self, engine: Engine) -> None:
        state = engine.state
        key = getattr(state, "key_metric_name", None)
        values = self._values_of_sections(getattr(state, "metric_details", {}))
        columns = [
            report.Column(name, _higher_is_better(engine, name), name == key)
            for name in dict.fromkeys([*state.metrics, *(name for row in self.reference.values() for name in row)])
        ]
        sections = list(self._sections)
        if key in values:
            sign = 1 if _higher_is_better(engine, key) else -1
            sections.sort(key=lambda one: _nan_first(sign * values[key][one.section.index]))
            order = f"Worst first, by {key}."
        else:
            sections.sort(key=lambda one: -one.num_errors)
            order = "Those with most errors first."
        hint = "A predicted object has the colour of the cell that it shows most of." if self._shows_cells() else ""
        if isinstance(self.decoding, Restoration):
            quarter = self.decoding.data_range / 4
            hint = f"In the difference, middle grey is none, white {quarter:g} grey values too many, black too few."
        curves, no_curves = self._curves(engine)
        page = report.Page(
            title=self.title,
            date=datetime.now().astimezone().strftime("%d %B %Y, %H:%M %Z"),
            facts=self._facts(),
            columns=columns,
            rows=self._rows(state.metrics),
            note=self.reference_note if self.reference else "",
            sections=[one.section for one in sections],
            order=order,
            values=values,
            hint=hint,
            legend=self._legend(),
            curves=curves,
            no_curves=no_curves,
            **self._of_objects(),
            **self._of_classes(),
        )
        with naming(self.output_dir), written_aside(self.output_dir / "report.html") as temporary:
            temporary.write_text(report.render(page), encoding="utf-8")
        with naming(self.output_dir), written_aside(self.output_dir / "sections.csv") as temporary:
            names = [one.section.name for one in self._sections]
            temporary.write_text(report.sections_csv(names, values), encoding="utf-8")
        logger.info(f"report: {self.output_dir / 'report.html'}")

    def _of_objects(self) -> dict[str, Any]:
        """What the page says of single cells; nothing where labels are classes."""
        cells = [cell for one in self._sections for cell in one.cells]
        if not cells:
            return {}
        crops = {(one.section.name, number): crop for one in self._sections for number, crop in one.crops.items()}
        totals: dict[str, int] = {}
        for one in self._sections:
            totals = {name: totals.get(name, 0) + count for name, count in one.section.counts.items()}
        pictures = []
        for cell in report.worst(cells):
            caption = (
                f"{cell.section}, cell {cell.number}: {cell.became}, {cell.area} pixels, Jaccard {cell.jaccard:.2f}"
            )
            pictures.append(report.Panel(caption, caption, crops[cell.section, cell.number]))
        return {"totals": totals, "sizes": report.by_size(cells), "worst": pictures}

    def _of_classes(self) -> dict[str, Any]:
        """What the page says of classes, also written as tables; nothing where there are objects."""
        matrices = [one.confusion for one in self._sections if one.confusion is not None]
        if not matrices:
            return {}
        names = self._names(len(matrices[0]))
        results = class_results(names, matrices)
        write_class_results(self.output_dir, names, results, len(matrices))
        return results

    def _names(self, num_classes: int) -> list[str]:
        own = self.decoding.classes if isinstance(self.decoding, Decoding) else ()
        return list(own) if len(own) == num_classes else [f"class {index}" for index in range(num_classes)]

    def _palette(self, num_classes: int) -> np.ndarray:
        return class_palette(self._names(num_classes), self.colours)

    def _facts(self) -> dict[str, object]:
        known = {name: fact for name, fact in self.facts.items() if fact != ""}
        facts = {"number of sections": len(self._sections), **known}
        if self._shows_cells():
            facts["objects in pictures"] = self._how_objects_are_made()
        versions = f"monai-unet {__version__}, MONAI {monai.__version__}, PyTorch {torch.__version__}"
        return {**facts, "software": versions}

    def _how_objects_are_made(self) -> str:
        assert isinstance(self.decoding, Decoding)
        size = f", of {self.decoding.min_size} pixels at least" if self.decoding.min_size else ""
        if self.decoding.by_distance:
            return (
                f"grown from peaks of the distance that rise by {self.decoding.seed_depth:g}, over what is above "
                f"probability {self.decoding.threshold:g}{size}"
            )
        return f"connected parts above probability {self.decoding.threshold:g}{size}"

    def _has_classes(self) -> bool:
        return any(one.confusion is not None for one in self._sections)

    def _shows_cells(self) -> bool:
        return not self._has_classes() and not isinstance(self.decoding, Restoration)

    def _rows(self, values: Mapping[str, Any]) -> list[report.Row]:
        rows = [report.Row("this evaluation", {name: _scalar(value) for name, value in values.items()}, "own")]
        thresholds = {
            name: metric.metric_fn.best_threshold()
            for name, metric in self.metrics.items()
            if isinstance(metric, IgniteMetricHandler) and hasattr(metric.metric_fn, "best_threshold")
        }
        if thresholds:
            rows.append(report.Row("at its best threshold", thresholds, "threshold"))
        if self._of_inputs:
            mean = np.mean(self._of_inputs, axis=0).tolist()
            rows.append(report.Row("the input as it is", dict(zip(("psnr", "ssim"), mean, strict=True))))
        return rows + [report.Row(name, row) for name, row in self.reference.items()]

    def _values_of_sections(self, details: Mapping[str, Any]) -> dict[str, list[float]]:
        """By metric, a value per section, of the metrics that were given and keep such values."""
        values = {}
        for name, handler in self.metrics.items():
            found, metric = details.get(name), getattr(handler, "metric_fn", None)
            if found is None:
                continue
            rows = _array(found).astype(np.float64)
            if isinstance(metric, IsbiMetric):  # what the score is made of at each threshold
                best = metric.thresholds.index(metric.best_threshold())
                rows = SCORES[metric.score].value(rows[:, best])
            elif isinstance(metric, SectionMetric):
                rows = np.array([metric.score_of(row[None]) for row in rows])
            elif rows.ndim == 2:  # MONAI's metrics keep a value for each class
                rows = np.array([_mean(row) for row in rows])
            if rows.shape == (len(self._sections),):
                values[name] = rows.tolist()
        return values

    def _curves(self, engine: Engine) -> tuple[list[report.Curve], str]:
        """Of the training, and of the values that were found after it."""
        curves, no_curves = self._curves_of_training(engine)
        return curves + self._curves_of_values(), no_curves

    def _curves_of_values(self) -> list[report.Curve]:
        found = None if self.weights is None else read_found(self.weights)
        curves = []
        for name, tried in (found or {}).get("tried", {}).items():
            title = f"{found['score']} by {name}" if found else name
            tries = {float(value): score for value, score in tried.items()}
            png = report.draw_curve(title, np.array(list(tries)), np.array(list(tries.values())), along=name)
            curves.append(report.Curve(title, report.Panel(title, f"curve of {title}, on validation sections", png)))
        return curves

    def _curves_of_training(self, engine: Engine) -> tuple[list[report.Curve], str]:
        if self.training_dir is None:
            return [], "No folder of a training was given (training_dir), so there are no learning curves."
        curves = []
        for name, (steps, values) in report.read_curves(self.training_dir).items():
            png = report.draw_curve(name, steps, values, _higher_is_better(engine, name))
            with (
                naming(self.output_dir),
                written_aside(self.output_dir / "curves" / f"{name.replace('/', '_')}.png") as temporary,
            ):
                temporary.write_bytes(png)
            last = f"last value {report.number(float(values[-1]))}"
            curves.append(report.Curve(name, report.Panel(name, f"curve of {name}, {last}", png)))
        return curves, f"There are no TensorBoard events in {self.training_dir}, so there are no learning curves."

    def _legend(self) -> dict[str, tuple[str, str]]:
        legend: dict[str, tuple[str, str]] = {}
        if isinstance(self.decoding, Restoration):
            return legend
        if self._has_classes():
            number = max(one.num_channels for one in self._sections)
            names = self._names(number)
            legend = {name: (_css(colour), "") for name, colour in zip(names, self._palette(number), strict=True)}
            legend["wrong class"] = (_css(report.MISSED_COLOUR), "in the error map")
        else:
            legend = {
                "split": (_css(report.SPLIT_COLOUR), "two or more objects in a cell"),
                "merged": (_css(report.MERGED_COLOUR), "cells that share an object"),
                "missed": (_css(report.MISSED_COLOUR), "no object holds more than half of the cell"),
                "hit": (_css(report.HIT_COLOUR), "one cell, one object"),
                "lighter": (
                    _css(report.lighter(report.MERGED_COLOUR)),
                    "in a cell, no object; beside it, what joins cells",
                ),
            }
        if any(one.has_unknown for one in self._sections):
            legend["unknown"] = ("hatched", "no truth there")
        return legend


@dataclass(frozen=True)
class _Assessed:
    section: report.Section
    num_errors: int
    num_channels: int
    has_unknown: bool
    cells: list[report.Cell]
    crops: dict[int, bytes]  # of its worst cells, by their numbers
    confusion: np.ndarray | None  # of its classes


def _higher_is_better(engine: Engine, name: str) -> bool:
    if name == getattr(engine.state, "key_metric_name", None) and hasattr(engine, "metric_cmp_fn"):
        return bool(engine.metric_cmp_fn(1.0, 0.0))  # what the best weights are chosen by
    return not any(word in name.lower() for word in ("error", "loss", "mismatch", "distance"))


def _scalar(value: Any) -> float | None:
    return float(value) if np.size(value) == 1 else None


def _mean(row: np.ndarray) -> float:
    known = row[~np.isnan(row)]
    return float(known.mean()) if len(known) else math.nan


def _nan_first(value: float) -> tuple[bool, float]:
    return not math.isnan(value), value


def _css(colour: ArrayLike) -> str:
    return "#" + np.asarray(colour, np.uint8).tobytes().hex()


def _array(tensor: torch.Tensor) -> np.ndarray:
    return convert_data_type(tensor, np.ndarray)[0]
