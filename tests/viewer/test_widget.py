"""The plugin in a real napari: needs a screen, which `xvfb-run` stands in for."""

import os
import sys
import threading
import time
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("napari", reason="needs the extra `napari`")
if sys.platform == "linux" and not os.environ.get("DISPLAY"):
    pytest.skip("needs a screen: xvfb-run -a python -m pytest tests/viewer", allow_module_level=True)

import napari
import tifffile
from napari.qt.threading import FunctionWorker
from npe2 import PluginManager, PluginManifest
from qtpy.QtCore import QCoreApplication, QEvent
from qtpy.QtWidgets import QApplication, QWidget

import monai_unet.viewer as package
from monai_unet.viewer.painted import BACKGROUND
from monai_unet.viewer.parts import in_background
from monai_unet.viewer.predicting import Shown
from monai_unet.viewer.results import show_results
from monai_unet.viewer.samples import membranes
from monai_unet.viewer.training import Run
from monai_unet.viewer.widget import UNetWidget

PROBABILITY = "stack: probability of inside"  # the class of the bundle `isbi`
MANIFEST = Path(package.__file__).with_name("napari.yaml")


def wait_until(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing came of it"
        QApplication.processEvents()
        time.sleep(0.01)


@pytest.fixture
def viewer():
    made = napari.Viewer(show=True)
    yield made
    made.close()


@pytest.fixture
def widget(viewer, stack):
    viewer.open(stack, plugin="napari")
    made = UNetWidget(viewer)
    viewer.window.add_dock_widget(made, name="U-Net")
    yield made
    made.train.close_down()


def camera(viewer):
    return getattr(viewer, "scene", viewer).camera  # napari 0.9 moved it


def names(viewer):
    return [layer.name for layer in viewer.layers]


def test_the_manifest_is_valid_and_what_it_names_exists():
    manifest = PluginManifest.from_file(MANIFEST)
    manifest.validate_imports()
    assert manifest.name == distribution("monai-unet").name  # else napari does not take it


def test_napari_offers_the_widget_and_the_sample(viewer):
    manager = PluginManager.instance()
    if "monai-unet" not in manager:
        manager.register(PluginManifest.from_file(MANIFEST))
    _, made = viewer.window.add_plugin_dock_widget("monai-unet", "U-Net")
    assert isinstance(made, UNetWidget)
    viewer.open_sample("monai-unet", "membranes")
    assert viewer.layers["membranes"].data.shape == membranes()[0][0].shape == (3, 512, 512)
    made.train.close_down()


def test_what_is_visible_is_predicted_and_lies_over_its_part_of_the_image(widget, viewer, bundle):
    viewer.layers["stack"].scale = (30, 4, 4)
    viewer.dims.set_current_step(0, 1)
    camera(viewer).center, camera(viewer).zoom = (240, 200), 3
    widget.predict.choose_bundle(str(bundle))
    widget.predict.result.setCurrentText("probability alone")
    wait_until(lambda: viewer.layers["stack"].corner_pixels[0, 2] > 0)
    widget.predict.see.click()
    assert not widget.predict.see.isEnabled()
    wait_until(widget.predict.see.isEnabled)
    result = viewer.layers[-1]
    assert result.name == f"{PROBABILITY} (visible part)", widget.predict.status.text()
    assert result.data.shape[0] == 1
    assert 10 < result.data.shape[1] < 131
    assert result.scale.tolist() == [30, 4, 4]
    assert result.translate[0] == 30
    start = result.translate[1:] / 4
    assert np.all(start > 0)
    assert np.allclose(start, np.rint(start))


def test_the_whole_follows_the_visible_part_and_agrees_with_it(widget, viewer, bundle, tmp_path):
    widget.predict.choose_bundle(str(bundle))
    widget.predict.folder.line.setText(str(tmp_path))
    widget.predict.result.setCurrentText("probability alone")
    widget.predict.all.click()
    wait_until(widget.predict.see.isEnabled)
    assert names(viewer)[1:] == [PROBABILITY, f"{PROBABILITY} (visible part)"]
    whole, visible = viewer.layers[1], viewer.layers[2]
    assert whole.data.shape == (2, 131, 120)
    at = int(visible.translate[0])
    part = tuple(slice(int(t), int(t) + n) for t, n in zip(visible.translate, visible.data.shape, strict=True))
    np.testing.assert_allclose(whole.data[part], visible.data, atol=1e-5)
    assert at in (0, 1)
    assert list(tmp_path.glob("*.ome.zarr"))


def test_a_prediction_that_is_stopped_goes_on(widget, viewer, bundle, tmp_path):
    widget.predict.choose_bundle(str(bundle))
    widget.predict.folder.line.setText(str(tmp_path))
    widget.predict.result.setCurrentText("probability alone")
    seen = []
    widget.predict._signals.tile.connect(lambda done, total: (seen.append(done), widget.predict.stop.click()))
    widget.predict.all.click()
    wait_until(widget.predict.see.isEnabled)
    assert "the same prediction goes on from there" in widget.predict.status.text()
    assert 0 < max(seen) < 24
    before, seen[:] = max(seen), []
    widget.predict._signals.tile.disconnect()
    widget.predict._signals.tile.connect(lambda done, total: seen.append(done))
    widget.predict.all.click()
    wait_until(widget.predict.see.isEnabled)
    assert widget.predict.status.text().startswith("the whole image, kept in ")
    assert min(seen) > before


def test_stop_is_offered_as_long_as_there_are_tiles_to_predict(widget, bundle, tmp_path):
    tab = widget.predict
    tab.choose_bundle(str(bundle))
    tab.folder.line.setText(str(tmp_path))
    told = []
    tab._signals.tile.connect(lambda done, total: told.append((done < total, tab.stop.isEnabled(), tab.status.text())))
    for times in (2, 1):  # the second time all tiles are there
        told.clear()
        tab.all.click()
        wait_until(tab.see.isEnabled)
        assert len(told) >= times
        assert all(is_offered == is_left for is_left, is_offered, _ in told)
        assert "cannot be stopped" in told[-1][2]


def test_what_is_visible_can_be_stopped(widget, viewer, bundle):
    widget.predict.choose_bundle(str(bundle))
    widget.predict.see.click()
    widget.predict.stop.click()
    wait_until(widget.predict.see.isEnabled)
    assert widget.predict.status.text() == "stopped"
    assert names(viewer) == ["stack"]


def test_the_folder_of_an_image_is_proposed_without_reading_it(widget, viewer, tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "other.tif", np.zeros((20, 20), np.uint8))
    monkeypatch.setattr("monai_unet.viewer.images.open_source", None)
    viewer.open(tmp_path / "other.tif", plugin="napari")
    widget.predict.image.choose(viewer.layers["other"])
    assert widget.predict.folder.path == tmp_path


def test_errors_are_said_in_the_widget(widget, tmp_path):
    widget.predict.choose_bundle(str(tmp_path / "none"))
    widget.predict.see.click()
    wait_until(widget.predict.see.isEnabled)
    assert "is not a bundle" in widget.predict.status.text()
    widget.train.train()
    assert "draw some strokes first" in widget.train.status.text()


def test_painting_begins_with_the_brush_in_hand_over_the_image(widget, viewer):
    viewer.layers["stack"].scale = (30, 4, 4)
    widget.train.paint()
    layer = viewer.layers["stack: painted"]
    assert viewer.layers.selection.active is layer
    assert (layer.mode, layer.selected_label, layer.data.shape) == ("paint", BACKGROUND + 1, (2, 131, 120))
    assert layer.scale.tolist() == [30, 4, 4]
    layer.data[0, :3] = 1
    widget.train.paint()
    assert layer.data.any(), "what was painted is gone"


def test_results_are_not_offered_as_images_to_predict(widget, viewer, bundle):
    widget.predict.choose_bundle(str(bundle))
    widget.predict.see.click()
    wait_until(widget.predict.see.isEnabled)
    assert len(viewer.layers) > 1
    choices = [widget.train.image.itemText(i) for i in range(widget.train.image.count())]
    assert choices == ["stack"]
    assert widget.train.labels.count() == 0


def test_a_layer_stays_chosen_when_its_name_changes(widget, viewer):
    viewer.add_image(np.zeros((20, 20)), name="other")
    widget.predict.image.choose(viewer.layers["other"])
    viewer.layers["other"].name = "renamed"
    assert widget.predict.image.layer is viewer.layers["renamed"]
    assert widget.predict.image.currentText() == "renamed"
    viewer.layers.remove("renamed")
    assert widget.predict.image.layer is viewer.layers["stack"]


def test_what_was_painted_over_one_image_never_becomes_that_of_another(widget, viewer):
    widget.train.paint()
    painted, other = viewer.layers["stack: painted"], viewer.add_image(np.zeros((2, 131, 120)), name="other")
    widget.train.image.choose(other)
    assert widget.train.pairs() == [(viewer.layers["stack"], painted)]
    widget.train.paint()
    widget.train.image.choose(viewer.layers["stack"])
    assert widget.train.labels.layer is painted
    own = viewer.add_labels(np.zeros((2, 131, 120), int), name="own")
    widget.train.labels.choose(own)
    assert widget.train.pairs()[-1] == (viewer.layers["stack"], own)
    assert len(widget.train.pairs()) == 3


def test_what_was_painted_stays_with_its_image_when_names_change(widget, viewer):
    widget.train.paint()
    image, painted = viewer.layers["stack"], viewer.layers["stack: painted"]
    image.name, painted.name = "renamed", "strokes"
    other = viewer.add_image(np.zeros((2, 131, 120)), name="stack")
    assert widget.train.pairs() == [(image, painted)]
    widget.train.image.choose(other)
    widget.train.image.choose(image)
    widget.train.paint()
    assert viewer.layers.selection.active is painted
    assert names(viewer) == ["renamed", "strokes", "stack"]


def test_a_layer_that_is_no_result_is_not_replaced_by_one(widget, viewer):
    own = viewer.add_labels(np.ones((2, 131, 120), int), name="stack: instances")
    (shown,) = show_results(
        viewer, viewer.layers["stack"], [Shown("labels", np.zeros((2, 131, 120), int), "instances")], "whole"
    )
    assert shown is not own
    assert own in viewer.layers
    assert own.data.all()


def test_a_result_that_is_shown_anew_has_the_scale_that_its_image_has_now(widget, viewer):
    image, result = viewer.layers["stack"], Shown("labels", np.zeros((2, 131, 120), int), "instances")
    (first,) = show_results(viewer, image, [result], "whole")
    image.scale = (30, 4, 4)
    (second,) = show_results(viewer, image, [result], "whole")
    assert second is first
    assert second.scale.tolist() == [30, 4, 4]


def test_a_prediction_whose_image_is_gone_ends_with_a_word(widget, viewer, bundle):
    widget.predict.choose_bundle(str(bundle))
    widget.predict.see.click()
    viewer.layers.remove("stack")
    wait_until(widget.predict.see.isEnabled)
    assert "stack was removed from the viewer" in widget.predict.status.text()
    assert not viewer.layers


@pytest.mark.parametrize("ends", ["napari", "widget"])
def test_work_in_the_background_ends_with_napari_and_with_its_widget(viewer, ends):
    owner, stopped, said = QWidget(), threading.Event(), []
    worker = in_background(owner, lambda: stopped.wait(60), said.append, said.append, stop=stopped.set)
    wait_until(lambda: worker.is_running)
    if ends == "widget":
        owner.deleteLater()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
        assert stopped.is_set()
    FunctionWorker.await_workers(5000)
    assert stopped.is_set()
    QApplication.processEvents()
    assert not said, "a widget that is no more was told"


def test_an_error_in_showing_a_result_is_said_as_one_in_making_it(viewer):
    said = []
    owner = QWidget()
    worker = in_background(owner, lambda: 0, lambda zero: 1 / zero, said.append)
    wait_until(lambda: said)
    assert isinstance(said[0], ZeroDivisionError)
    assert worker is not None


def ready_to_train(widget, viewer, folder, iterations):
    """The tab of a training, with two strokes painted and a tiny network chosen; and the painted layer."""
    tab = widget.train
    tab.paint()
    layer = viewer.layers["stack: painted"]
    layer.data[0, 20:24, 10:60], layer.data[0, 50:54, 10:60] = 1, 2
    tab.folder.line.setText(str(folder))
    tab.begin.addItem("tiny", (None, (2, 3, 4)))
    tab.begin.setCurrentText("tiny")
    tab.iterations.setValue(iterations)
    return tab, layer


def test_a_training_goes_on_while_the_dock_is_hidden_and_stops_when_it_is_closed(viewer, tmp_path, monkeypatch):
    sleeps = [sys.executable, "-c", "import time; time.sleep(60)"]
    monkeypatch.setattr(Run, "command", property(lambda run: sleeps))
    held = UNetWidget(viewer)
    dock = viewer.window.add_dock_widget(held, name="U-Net")
    held.train._run(Run(tmp_path, {}, 1, "starts"))
    training = held.train.training
    dock.close()  # napari's button "hide this panel"
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    assert not held.isVisible()
    assert not training.stopped
    dock.destroyOnClose()  # its button "close this panel"
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    assert training.stopped
    assert training.process.wait(20) != 0


@pytest.mark.slow
def test_a_training_shows_its_loss_and_a_preview_and_leads_to_uncertain_places(widget, viewer, tmp_path):
    tab, layer = ready_to_train(widget, viewer, tmp_path / "bundle", 40)
    tab.start.click()
    assert not tab.start.isEnabled()
    wait_until(tab.start.isEnabled, 250)
    assert tab.status.text().startswith("done: "), tab.status.text()
    assert len(tab.curve.points) >= 3
    wait_until(lambda: "stack: probability of foreground (visible part)" in names(viewer))
    assert viewer.layers.selection.active is layer, "the brush was taken away"
    assert widget.predict.bundle.currentText() == str(tmp_path / "bundle")

    seen = []
    for _ in range(2):
        tab.next.click()
        wait_until(tab.next.isEnabled)
        wait_until(lambda: "unsure by" in tab.status.text())
        seen.append((viewer.dims.current_step[0], *camera(viewer).center))
    assert seen[0] != seen[1]
    assert "paint here" in names(viewer)


@pytest.mark.slow
def test_a_training_can_be_stopped_and_goes_on(widget, viewer, tmp_path):
    tab, _ = ready_to_train(widget, viewer, tmp_path / "bundle", 4000)
    tab.start.click()
    wait_until((tmp_path / "bundle" / "models" / "checkpoint.pt").exists, 250)
    tab.stop.click()
    wait_until(tab.start.isEnabled)
    assert tab.status.text().startswith("stopped; ")
    tab.iterations.setValue(1)
    tab.start.click()
    wait_until(lambda: "it goes on after" in tab.status.text())
    wait_until(tab.start.isEnabled, 250)


def test_a_picture_of_the_viewer_shows_image_and_widget(viewer, tmp_path):
    data, options, _ = membranes()[0]
    viewer.add_image(data, **options)
    made = UNetWidget(viewer)
    viewer.window.add_dock_widget(made, name="U-Net")
    wait_until(lambda: made.width() > 300)
    picture = viewer.screenshot(canvas_only=False, flash=False)
    tifffile.imwrite(tmp_path / "viewer.tif", picture)
    assert picture[..., :3].std() > 20, "nothing is drawn"
    made.train.close_down()
