"""Small Qt widgets that the tabs are made of."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from napari.qt.threading import FunctionWorker
from qtpy.QtCore import QPointF, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QLabel, QLineEdit, QToolButton, QWidget

RESULT = "monai_unet_result"
"""In the metadata of layers that show results, which are no images to predict and no labels to train on."""


class LayerChoice(QComboBox):
    """One of a viewer's layers of a kind, by its name.

    Args:
        viewer: the viewer.
        kind: "image" or "labels".
    """

    def __init__(self, viewer: Any, kind: str) -> None:
        super().__init__()
        self.viewer, self.kind = viewer, kind
        self._layers: list[Any] = []  # by their place in the list: a name can change
        narrow(self)
        for event in (viewer.layers.events.inserted, viewer.layers.events.removed):
            event.connect(self._fill)
        viewer.layers.events.inserted.connect(lambda event: event.value.events.name.connect(self._fill))
        for layer in viewer.layers:
            layer.events.name.connect(self._fill)
        self._fill()

    @property
    def layer(self) -> Any | None:
        """The layer that is chosen."""
        index = self.currentIndex()
        return self._layers[index] if index >= 0 else None

    def choose(self, layer: Any) -> None:
        """Choose a layer."""
        self.setCurrentIndex(self._layers.index(layer))

    def _fill(self, event: Any = None) -> None:
        before = self.layer
        self.blockSignals(True)
        self.clear()
        self._layers = [
            layer for layer in self.viewer.layers if layer._type_string == self.kind and RESULT not in layer.metadata
        ]
        self.addItems([layer.name for layer in self._layers])
        self.setCurrentIndex(self._layers.index(before) if before in self._layers else min(self.count(), 1) - 1)
        self.blockSignals(False)
        if self.layer is not before:
            self.currentIndexChanged.emit(self.currentIndex())


def beside(wide: QWidget, *others: QWidget) -> QHBoxLayout:
    """Widgets in a row, of which the first one takes the room that there is."""
    row = QHBoxLayout()
    row.addWidget(wide, 1)
    for widget in others:
        row.addWidget(widget)
    return row


def narrow(box: QComboBox) -> QComboBox:
    """Let a box be narrower than its longest entry, so that the dock need not be wide."""
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(8)
    return box


class FolderChoice(QWidget):
    """A folder, typed or chosen.

    Args:
        start: the folder at first.
        title: of the dialog.
        new: whether it may be one that does not exist yet.
    """

    def __init__(self, start: str, title: str, new: bool = False) -> None:
        super().__init__()
        self.title, self.new = title, new
        self.line = QLineEdit(start)
        button = QToolButton()
        button.setText("…")
        button.setToolTip(title)
        button.clicked.connect(self._ask)
        row = beside(self.line, button)
        row.setContentsMargins(0, 0, 0, 0)
        self.setLayout(row)

    @property
    def path(self) -> Path:
        """The folder that is chosen."""
        return Path(self.line.text()).expanduser()

    def _ask(self) -> None:
        if self.new:
            name, _ = QFileDialog.getSaveFileName(self, self.title, self.line.text())
        else:
            name = QFileDialog.getExistingDirectory(self, self.title, self.line.text())
        if name:
            self.line.setText(name)


def from_home(path: Path) -> str:
    """A path as people say it: from their folder on."""
    return f"~/{path.relative_to(Path.home())}" if path.is_relative_to(Path.home()) else str(path)


class Status(QLabel):
    """A line that says what goes on; errors in another colour."""

    def __init__(self) -> None:
        super().__init__()
        self.setWordWrap(True)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)

    def say(self, text: str, is_error: bool = False) -> None:
        """Show a text in place of the last one."""
        self.setStyleSheet("color: #ff8a80" if is_error else "")
        self.setText(text)


class LossCurve(QWidget):
    """The loss against the iteration, drawn as it comes; the newest value is written beside its end."""

    def __init__(self) -> None:
        super().__init__()
        self.setMinimumHeight(110)
        self.points: list[tuple[int, float]] = []

    def clear(self) -> None:
        """Forget all points."""
        self.points = []
        self.update()

    def add(self, iteration: int, loss: float) -> None:
        """Add a point."""
        if not self.points or self.points[-1][0] < iteration:
            self.points.append((iteration, loss))
            self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802
        """Draw frame, curve and numbers."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        line = painter.fontMetrics().height()
        frame = self.rect().adjusted(4, line + 2, -4, -line - 2)
        painter.setPen(QPen(QColor(128, 128, 128, 120), 1))
        painter.drawRect(frame)
        text = self.palette().windowText().color()
        painter.setPen(text)
        if len(self.points) < 2:
            painter.drawText(frame, int(Qt.AlignmentFlag.AlignCenter), "the loss appears here")
            return
        first, last = self.points[0][0], self.points[-1][0]
        highest = max(loss for _, loss in self.points)
        inner = frame.adjusted(2, 4, -2, -2)
        across, down = inner.width() / (last - first), inner.height() / (highest or 1)
        curve = [
            QPointF(inner.left() + (iteration - first) * across, inner.bottom() - loss * down)
            for iteration, loss in self.points
        ]
        painter.drawText(frame.left(), line - 2, f"loss {self.points[-1][1]:.3g}, from {self.points[0][1]:.3g}")
        painter.drawText(frame.left(), self.height() - 4, f"iteration {first}")
        end = str(last)
        painter.drawText(frame.right() - painter.fontMetrics().horizontalAdvance(end), self.height() - 4, end)
        painter.setPen(QPen(QColor("#4fc3f7"), 2))
        painter.drawPolyline(QPolygonF(curve))


class _Worker(FunctionWorker):
    """Napari asks its workers to quit before it ends, and then waits for them; a function has to be told by itself."""

    def __init__(self, work: Callable[[], Any], stop: Callable[[], None]) -> None:
        super().__init__(work)
        self.stop = stop

    def quit(self) -> None:
        """End soon."""
        self.stop()
        super().quit()


def in_background(
    owner: QWidget,
    work: Callable[[], Any],
    show: Callable[[Any], None],
    fail: Callable[[Exception], None],
    stop: Callable[[], None] = lambda: None,
) -> Any:
    """Do something in a thread of its own, then show in the viewer's what came of it, or why nothing did.

    Errors are the caller's to show: a worker of napari would raise them once more in the viewer's thread.

    Args:
        owner: the widget that shows; when it has gone, nothing is shown.
        work: what is done in the thread.
        show: takes what it returns.
        fail: takes the error of one of the two.
        stop: ends the work early; called when the owner goes, and when napari ends, which waits for the work.

    Returns:
        The worker; it has to be kept until it has finished.
    """
    has_gone = threading.Event()

    def go() -> None:
        has_gone.set()
        stop()

    def outcome() -> tuple[Any, Exception | None]:
        try:
            return work(), None
        except Exception as error:
            return None, error

    def tell(found: tuple[Any, Exception | None]) -> None:
        if has_gone.is_set():
            return
        owner.destroyed.disconnect(go)
        result, error = found
        try:
            if error is not None:
                raise error
            show(result)
        except Exception as failed:
            fail(failed)

    owner.destroyed.connect(go)  # no method of the owner: those are not called any more
    worker = _Worker(outcome, stop)
    worker.returned.connect(tell)
    worker.start()
    return worker


def keep_selection(viewer: Any, change: Callable[[], None]) -> None:
    """Change the layers of a viewer, and leave what is selected and the tool in hand as they were."""
    active = viewer.layers.selection.active
    change()
    if active is not None and active in viewer.layers:
        viewer.layers.selection.active = active
