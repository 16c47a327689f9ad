"""The tab that trains on what is painted, shows how it goes, and leads to the places worth painting next."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from monai_unet.errors import cause_under_monai, in_one_line
from monai_unet.viewer.images import file_of, pixels_of, placed, session_folder, spatial_shape, visible_box
from monai_unet.viewer.painted import BACKGROUND, Meaning, Painted
from monai_unet.viewer.parts import (
    FolderChoice,
    LayerChoice,
    LossCurve,
    Status,
    beside,
    from_home,
    in_background,
    keep_selection,
    narrow,
)
from monai_unet.viewer.predict_tab import MOST
from monai_unet.viewer.predicting import Request, Shown, bundles_with_weights, least_sure_places, predict_visible
from monai_unet.viewer.prepare import FEATURES, START, prepare
from monai_unet.viewer.results import show_results
from monai_unet.viewer.training import Run, Step, Training, weights_of
from monai_unet.viewer.uncertain import Place, is_painted

PAINT = "monai_unet_painted_over"
"""In the metadata of Labels layers that are painted for training: the `unique_id` of their image, as names change."""

HINTS: dict[Meaning, str] = {
    "classes": "Paint 1 over background and 2 over what you look for (3, 4, … are further classes). Short strokes will "
    "do; 0 is not painted and weighs nothing. Where objects touch, draw 1 between them.",
    "cells": "Paint 1 over some background, then cells: each whole, with a number of its own from 2 on (M takes the "
    "next). 0 is not painted and weighs nothing: leave cells out as you like.",
}
_MEANINGS: dict[str, Meaning] = {"classes, by strokes": "classes", "cells, a number each": "cells"}
_RANDOM = {"random weights, narrow network": FEATURES, "random weights, full width": (64, 128, 256, 512, 1024)}
_LOOK = 1000  # milliseconds between two looks for new weights
_ON_SCREEN = 300  # pixels that a place to paint takes there


class _Signals(QObject):
    step = Signal(object)


class TrainTab(QWidget):
    """Train on painted layers.

    Args:
        viewer: the viewer that it is docked in.
    """

    trained = Signal(str)
    """The folder of a bundle that there are new weights in."""

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self.viewer = viewer
        self.image = LayerChoice(viewer, "image")
        self.labels = LayerChoice(viewer, "labels")
        paint = QPushButton("Paint")
        paint.setToolTip("a new Labels layer over the image, with the brush in hand")
        paint.clicked.connect(self.paint)
        self.meaning = narrow(QComboBox())
        for text, meaning in _MEANINGS.items():
            self.meaning.addItem(text, meaning)
        self.hint = QLabel()
        self.hint.setWordWrap(True)
        self.classes = QLineEdit()
        self.classes.setPlaceholderText("background, foreground")
        self.classes.setToolTip("names of the classes, background first; may be left empty")
        self.begin = narrow(QComboBox())
        for name in bundles_with_weights():
            self.begin.addItem(f"weights of {name}", (name, FEATURES))
        for text, features in _RANDOM.items():
            self.begin.addItem(text, (None, features))
        self.begin.setCurrentIndex(max(self.begin.findText(f"weights of {START}"), 0))
        self.begin.setToolTip(
            "of the first training; the next ones go on from the weights in the bundle. The terms of weights hold for "
            "what becomes of them: see the bundle's LICENSE. Random weights need many strokes, and hours or a GPU."
        )
        self.iterations = QSpinBox()
        self.iterations.setRange(1, 10**6)
        self.iterations.setValue(100)
        self.iterations.setSingleStep(100)
        self.iterations.setToolTip("steps of this training; the next one goes on from its weights")
        self.folder = FolderChoice("~/painted", "the folder of the bundle", new=True)
        self.folder.line.setToolTip("the bundle is made here: configs, weights, and what was painted")
        self.start = QPushButton("Train")
        self.start.setToolTip("goes on from the weights in the folder, if there are some")
        self.stop = QPushButton("Stop")
        self.bar = QProgressBar()
        self.curve = LossCurve()
        self.preview = QCheckBox("Preview what is visible while training")
        self.preview.setChecked(True)
        self.next = QPushButton("Uncertain place next")
        self.next.setToolTip("go to the place that the newest weights are least sure of, where nothing is painted yet")
        self.status = Status()

        form = QFormLayout()
        form.addRow("Image", self.image)
        form.addRow("Painted in", beside(self.labels, paint))
        form.addRow("Numbers are", self.meaning)
        form.addRow(self.hint)
        form.addRow("Names", self.classes)
        form.addRow("Start from", self.begin)
        form.addRow("Iterations", self.iterations)
        form.addRow("Bundle", self.folder)
        column = QVBoxLayout(self)
        column.addLayout(form)
        column.addLayout(beside(self.start, self.stop))
        for widget in (self.bar, self.curve, self.preview, self.next, self.status):
            column.addWidget(widget)
        column.addStretch()

        self.training: Training | None = None
        self.workers: list[Any] = []
        self.previewing = False
        self._previewed: int | None = None  # time of the weights that the preview shows
        self._places: list[Place] = []
        self._places_of: tuple[Any, ...] = ()
        self._is_closed = threading.Event()
        self._signals = _Signals()
        self._signals.step.connect(self._show_step)
        self._timer = QTimer(self)
        self._timer.setInterval(_LOOK)
        self._timer.timeout.connect(self._look_for_weights)
        self.meaning.currentIndexChanged.connect(self._show_hint)
        self.start.clicked.connect(self.train)
        self.stop.clicked.connect(self.stop_training)
        self.next.clicked.connect(self.next_place)
        self.image.currentIndexChanged.connect(self._choose_painted)
        self._show_hint()
        self._set_busy(False)

    def paint(self) -> None:
        """Make a Labels layer over the image, or take the one that there is, and the brush in hand."""
        image = self.image.layer
        if image is None:
            self.status.say("Open an image first.", True)
            return
        layer = self._painted_over(image)
        if layer is None:
            drawn, name = np.zeros(spatial_shape(image), np.int32), f"{image.name}: painted"
            layer = self.viewer.add_labels(drawn, name=name, metadata={PAINT: image.unique_id}, **placed(image))
        self.viewer.layers.selection.active = layer
        layer.selected_label, layer.brush_size, layer.mode = BACKGROUND + 1, 6, "paint"
        self.labels.choose(layer)
        self.status.say("")

    def pairs(self) -> list[tuple[Any, Any]]:
        """The images with the layers painted over them.

        All that were made here, each with its own image, whichever is chosen; and the chosen ones, where the layer was
        made elsewhere.
        """
        images = {layer.unique_id: layer for layer in self.viewer.layers}
        made = [
            (images[layer.metadata[PAINT]], layer)
            for layer in self.viewer.layers
            if layer.metadata.get(PAINT) in images
        ]
        image, labels = self.image.layer, self.labels.layer
        is_chosen = image is not None and labels is not None and all(labels is not layer for _, layer in made)
        return [*made, (image, labels)] if is_chosen else made

    def _choose_painted(self) -> None:
        """Choose the layer that was made over the chosen image."""
        image = self.image.layer
        layer = self._painted_over(image) if image is not None else None
        if layer is not None:
            self.labels.choose(layer)

    def _painted_over(self, image: Any) -> Any | None:
        """The layer that was made over an image."""
        return next((layer for layer in self.viewer.layers if layer.metadata.get(PAINT) == image.unique_id), None)

    def train(self) -> None:
        """Write what is painted, make the bundle or go on with it, and start the training."""
        pairs = self.pairs()
        if not pairs:
            self.status.say("Press Paint and draw some strokes first.", True)
            return
        meaning, folder = self.meaning.currentData(), self.folder.path
        names = [each.strip() for each in self.classes.text().split(",") if each.strip()]
        (begin, features), iterations = self.begin.currentData(), self.iterations.value()
        try:
            # not copied, as a stack may be large: a stroke that is drawn while they are read may be half there
            painted = [Painted(image.name, pixels_of(image), labels.data) for image, labels in pairs]
        except ValueError as error:
            self.status.say(str(error), True)
            return
        self._set_busy(True)
        self.status.say(f"looking through {len(pairs)} painted image{'s' if len(pairs) > 1 else ''} …")

        def work() -> Run:
            return prepare(folder, painted, meaning, names, iterations, features, begin)

        self._work(work, self._run)

    def stop_training(self) -> None:
        """Stop; the next training goes on from there."""
        if self.training is not None:
            self.training.stop()
            self.status.say("stopping …")

    def close_down(self) -> None:
        """Stop what runs."""
        self._is_closed.set()
        if self.training is not None:
            self.training.stop()

    def next_place(self) -> None:
        """Show the least sure place of the image that is not painted yet, by the newest weights."""
        image, labels, bundle = self.image.layer, self.labels.layer, self.folder.path
        if image is None or not weights_of(bundle).is_file():
            self.status.say("There are no weights in the bundle's folder yet: train first.", True)
            return
        key = (image.unique_id, bundle, weights_of(bundle).stat().st_mtime_ns)
        if key == self._places_of:
            self._go_on(image, labels)
            return
        self.next.setEnabled(False)
        self.status.say("predicting the image to find where it is unsure …")

        def work() -> list[Place]:
            return least_sure_places(Request(file_of(image), str(bundle)), session_folder(), self._is_closed.is_set)

        def go(places: list[Place]) -> None:
            self._places, self._places_of = places, key
            self.next.setEnabled(True)
            self._go_on(image, labels)

        self._work(work, go)

    def _go_on(self, image: Any, labels: Any | None) -> None:
        while self._places:
            place = self._places.pop(0)
            if labels is None or not is_painted(labels.data, place):
                self._show(image, place)
                return
        self.status.say("Something is painted in every place that it was unsure of: train again.")

    def _show(self, image: Any, place: Place) -> None:
        """Move the view to a place, and frame it."""
        where = placed(image)
        scale, first = where["scale"], where["translate"]
        corner = np.array([place.section, place.y, place.x])[-len(scale) :]
        size = np.array([0, place.size, place.size])[-len(scale) :]
        start, stop = first + scale * corner, first + scale * (corner + size)
        if len(scale) == 3:
            self.viewer.dims.set_point(self.viewer.dims.ndim - 3, start[0])
        camera = getattr(self.viewer, "scene", self.viewer).camera  # napari 0.9 moved it
        camera.center = tuple((start + stop) / 2)
        camera.zoom = _ON_SCREEN / (place.size * scale[-1])
        (y, x), (low, right) = start[-2:], stop[-2:]
        rest = list(start[:-2])
        corners = [[*rest, y, x], [*rest, y, right], [*rest, low, right], [*rest, low, x]]
        name = "paint here"

        def change() -> None:
            if name in self.viewer.layers:
                self.viewer.layers.remove(name)
            width = 2 * scale[-1]
            style = {"face_color": "transparent", "edge_color": "yellow", "edge_width": width}
            self.viewer.add_shapes([corners], shape_type="polygon", name=name, **style)

        keep_selection(self.viewer, change)
        self._previewed = None  # another part is visible now
        self._look_for_weights()
        self.status.say(f"unsure by {100 * place.entropy:.0f} %: paint what you know here, then train again")

    def _run(self, run: Run) -> None:
        self.curve.clear()
        self.status.say(f"training on {run.files} painted part{'s' if run.files > 1 else ''}; it {run.story}")
        self.training = training = Training(run)
        weights = weights_of(run.bundle)
        self._previewed = weights.stat().st_mtime_ns if weights.is_file() else None
        self._timer.start()

        def work() -> None:
            for step in training.steps():
                self._signals.step.emit(step)

        self._work(work, lambda nothing: self._end(), stop=training.stop)

    def _show_step(self, step: Step) -> None:
        self.bar.setRange(0, step.total)
        self.bar.setValue(step.iteration)
        self.bar.setFormat(f"%v of %m, {step.left} left")
        if step.loss is not None:
            self.curve.add(step.iteration, step.loss)

    def _end(self) -> None:
        training, self.training = self.training, None
        self._timer.stop()
        self._set_busy(False)
        if training is None:
            return
        bundle = training.run.bundle
        if training.stopped:
            self.status.say(f"stopped; Train goes on from the weights in {from_home(bundle)}")
        elif training.process.returncode == 0:
            self.status.say(f"done: {from_home(bundle)} is a bundle, to predict with and to train further")
        if weights_of(bundle).is_file():
            self.trained.emit(str(bundle))
        self._look_for_weights()

    def _look_for_weights(self) -> None:
        """Predict what is visible anew when there are new weights."""
        weights, image = weights_of(self.folder.path), self.image.layer
        if not self.preview.isChecked() or self.previewing or image is None or not weights.is_file():
            return
        newest = weights.stat().st_mtime_ns
        if newest == self._previewed or len(self.viewer.dims.displayed) != 2:
            return
        try:
            box = visible_box(image, self.viewer.dims.displayed, self.viewer.dims.current_step, MOST)
        except ValueError:
            return
        self.previewing, self._previewed = True, newest
        bundle = str(self.folder.path)

        def work() -> list[Shown]:
            return predict_visible(Request(file_of(image), bundle, "probability"), box)

        def show(results: list[Shown]) -> None:
            self.previewing = False
            if image in self.viewer.layers:
                show_results(self.viewer, image, results, "visible", [start for start, _ in box])

        self._work(work, show, self._fail_preview)

    def _fail_preview(self, error: Exception) -> None:
        self.previewing = False
        self.status.say(f"no preview: {in_one_line(cause_under_monai(error))}", True)

    def _work(self, work: Any, show: Any, fail: Any = None, stop: Any = None) -> None:
        self.workers = [each for each in self.workers if each.is_running]
        self.workers.append(in_background(self, work, show, fail or self._fail, stop or self._is_closed.set))

    def _fail(self, error: Exception) -> None:
        self.next.setEnabled(True)
        if self.training is None or self.training.process.poll() is not None:
            self.training = None
            self._timer.stop()
            self._set_busy(False)
        self.status.say(in_one_line(cause_under_monai(error)), True)

    def _show_hint(self) -> None:
        meaning = self.meaning.currentData()
        self.hint.setText(HINTS[meaning])
        self.classes.setEnabled(meaning == "classes")

    def _set_busy(self, is_busy: bool) -> None:
        self.start.setEnabled(not is_busy)
        self.stop.setEnabled(is_busy)
        self.bar.setVisible(is_busy)
