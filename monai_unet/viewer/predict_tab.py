"""The tab that predicts: what is seen at once, then the whole image."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from monai_unet.errors import cause_under_monai, in_one_line
from monai_unet.viewer.images import file_of, source_path, visible_box
from monai_unet.viewer.parts import RESULT, FolderChoice, LayerChoice, Status, beside, from_home, in_background, narrow
from monai_unet.viewer.predicting import (
    Request,
    Shown,
    StoppedError,
    bundles_with_weights,
    predict_visible,
    predict_whole,
    shown,
)
from monai_unet.viewer.results import show_results

MOST = 1024
"""Pixels of a side that are predicted of what is seen; the middle of a larger view."""

_RESULTS = {"objects, a number each": "instances", "classes": "label", "probability alone": "probability"}
_OWN = "the bundle's"


class _Signals(QObject):
    tile = Signal(int, int)


class PredictTab(QWidget):
    """Predict with a bundle.

    Args:
        viewer: the viewer that it is docked in.
    """

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self.viewer = viewer
        self.image = LayerChoice(viewer, "image")
        self.bundle = narrow(QComboBox())
        self.bundle.addItems(bundles_with_weights())
        other = QToolButton()
        other.setText("…")
        other.setToolTip("another bundle: its folder, for instance one that was trained here")
        other.clicked.connect(self._ask_bundle)
        self.result = narrow(QComboBox())
        for text, output in _RESULTS.items():
            self.result.addItem(text, output)
        self.threshold = QDoubleSpinBox()
        self.threshold.setRange(-0.01, 1)
        self.threshold.setSingleStep(0.05)
        self.threshold.setValue(-0.01)
        self.threshold.setSpecialValueText(_OWN)
        self.threshold.setToolTip("a pixel is inside where its probability is above it")
        self.smallest = QSpinBox()
        self.smallest.setRange(-1, 10**7)
        self.smallest.setValue(-1)
        self.smallest.setSpecialValueText(_OWN)
        self.smallest.setSuffix(" px")
        self.smallest.setToolTip("smaller objects are dropped")
        self.folder = FolderChoice("~", "where the prediction of the whole image is kept")
        self.folder.line.setToolTip("the prediction of the whole image is kept here, as OME-Zarr")
        self.see = QPushButton("Predict what is visible")
        self.all = QPushButton("Predict the whole image")
        self.stop = QPushButton("Stop")
        self.bar = QProgressBar()
        self.bar.setFormat("%v of %m tiles")
        self.status = Status()
        self.status.say("The visible part is predicted exactly as it will be in the whole image.")

        form = QFormLayout()
        form.addRow("Image", self.image)
        form.addRow("Bundle", beside(self.bundle, other))
        form.addRow("Result", self.result)
        form.addRow("Threshold", self.threshold)
        form.addRow("Smallest object", self.smallest)
        form.addRow("Keep in", self.folder)
        column = QVBoxLayout(self)
        column.addLayout(form)
        column.addWidget(self.see)
        column.addLayout(beside(self.all, self.stop))
        column.addWidget(self.bar)
        column.addWidget(self.status)
        column.addStretch()

        self._signals = _Signals()
        self._signals.tile.connect(self._show_tile)
        self._is_stopped = threading.Event()
        self.worker: Any = None
        self.see.clicked.connect(lambda: self.predict(whole=False))
        self.all.clicked.connect(lambda: self.predict(whole=True))
        self.stop.clicked.connect(self.stop_whole)
        self.image.currentIndexChanged.connect(self._propose_folder)
        self._propose_folder()
        self._set_busy(False)

    def choose_bundle(self, folder: str) -> None:
        """Choose a bundle by its folder or name."""
        if self.bundle.findText(folder) < 0:
            self.bundle.addItem(folder)
        self.bundle.setCurrentText(folder)

    def predict(self, whole: bool) -> None:
        """Predict what is visible, and the whole image after it if that is wanted and there is more."""
        layer = self.image.layer
        if layer is None:
            self.status.say("Open an image first: drop a file on the viewer, or File > Open Sample > U-Net.", True)
            return
        if len(self.viewer.dims.displayed) != 2:
            self.status.say("Switch to the 2-D view first: what is visible is a part of a section.", True)
            return
        try:
            box = visible_box(layer, self.viewer.dims.displayed, self.viewer.dims.current_step, MOST)
        except ValueError as error:
            self.status.say(str(error), True)
            return
        output = self.result.currentData()
        request = {
            "bundle": self.bundle.currentText(),
            "output": output,
            "threshold": self.threshold.value() if self.threshold.value() >= 0 and output != "probability" else None,
            "min_size": self.smallest.value() if self.smallest.value() >= 0 and output == "instances" else None,
        }
        self._set_busy(True)
        self.status.say("predicting what is visible …")
        self._is_stopped.clear()

        def work() -> list[Shown]:
            return predict_visible(Request(file_of(layer), **request), box, self._is_stopped.is_set)

        def show(results: list[Shown]) -> None:
            self._check_is_there(layer)
            show_results(self.viewer, layer, results, "visible", [start for start, _ in box])
            self.status.say("the visible part, exactly as it will be in the whole image")
            if whole:
                self._predict_whole(layer, request)
            else:
                self._set_busy(False)

        self.worker = in_background(self, work, show, self._fail, self._is_stopped.set)

    def stop_whole(self) -> None:
        """Stop after the tile that is being computed."""
        self._is_stopped.set()
        self.status.say("stopping after this tile …")

    def _predict_whole(self, layer: Any, request: dict[str, Any]) -> None:
        folder = self.folder.path
        self.bar.setRange(0, 0)
        self.bar.show()
        self.status.say("predicting the whole image …")

        def work() -> tuple[Path, list[Shown]]:
            out = predict_whole(
                Request(file_of(layer), **request), folder, self._signals.tile.emit, self._is_stopped.is_set
            )
            return out, shown(out)

        def show(found: tuple[Path, list[Shown]]) -> None:
            out, results = found
            self._check_is_there(layer)
            show_results(self.viewer, layer, results, "whole")
            for other in self.viewer.layers:
                if other.metadata.get(RESULT) == "visible":
                    other.visible = False
            self._set_busy(False)
            self.status.say(f"the whole image, kept in {from_home(out)}")

        self.worker = in_background(self, work, show, self._fail, self._is_stopped.set)

    def _check_is_there(self, layer: Any) -> None:
        """What was predicted lies over its image, which may have been removed meanwhile."""
        if layer not in self.viewer.layers:
            raise StoppedError(f"{layer.name} was removed from the viewer: its prediction is not shown")

    def _fail(self, error: Exception) -> None:
        self._set_busy(False)
        self.status.say(in_one_line(cause_under_monai(error)), not isinstance(error, StoppedError))

    def _show_tile(self, done: int, total: int) -> None:
        self.bar.setRange(0, total)
        self.bar.setValue(done)
        if done == total:
            self.bar.setRange(0, 0)
            self.stop.setEnabled(False)
            self.status.say("all tiles are predicted; making the result of them, which cannot be stopped …")

    def _set_busy(self, is_busy: bool) -> None:
        self.see.setEnabled(not is_busy)
        self.all.setEnabled(not is_busy)
        self.stop.setEnabled(is_busy)
        if not is_busy:
            self.bar.hide()

    def _ask_bundle(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "the folder of a bundle", str(Path.home()))
        if name:
            self.choose_bundle(name)

    def _propose_folder(self) -> None:
        layer = self.image.layer
        path = source_path(layer) if layer is not None else None
        if path is not None and path.parent.is_dir():  # which that of a web address is not
            self.folder.line.setText(from_home(path.parent))
