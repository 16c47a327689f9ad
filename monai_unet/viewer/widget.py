"""The dock widget of the plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QScrollArea, QTabWidget, QVBoxLayout, QWidget

from monai_unet.viewer.predict_tab import PredictTab
from monai_unet.viewer.train_tab import TrainTab

if TYPE_CHECKING:
    import napari


class UNetWidget(QWidget):
    """Predict and train with the U-Net.

    Args:
        napari_viewer: the viewer that it is docked in; napari gives it by this name.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.predict = PredictTab(napari_viewer)
        self.train = TrainTab(napari_viewer)
        self.train.trained.connect(self.predict.choose_bundle)
        tabs = QTabWidget()
        for tab, title in ((self.predict, "Predict"), (self.train, "Train")):
            area = QScrollArea()
            area.setWidgetResizable(True)
            area.setFrameShape(QScrollArea.Shape.NoFrame)
            area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
            area.setWidget(tab)
            tabs.addTab(area, title)
        self.tabs = tabs
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(tabs)
        self.setMinimumWidth(350)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        """Go when the dock is closed, which takes the widget out of it; what runs ends with it.

        By itself it would stay as long as a script or a console holds it, and a training would go on unseen.
        """
        super().changeEvent(event)
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.deleteLater()
