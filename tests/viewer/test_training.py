"""A training on painted images: the bundle that is made for it, what it starts from, and what its bar says."""

import io
import json

import numpy as np
import pytest
import torch
from tqdm import tqdm

from monai_unet.viewer.painted import Painted
from monai_unet.viewer.training import Step, Training, prepare, read_bar, transferred, weights_of

NARROW = {"features": (2, 3, 4), "values": {"tile": 60}}


def painted(strokes=((20, 1), (50, 2)), size=100, name="image"):
    image = np.random.default_rng(0).integers(0, 255, (size, size), np.uint8)
    labels = np.zeros((size, size), int)
    for row, number in strokes:
        labels[row : row + 4, 10:40] = number
    return Painted(name, image, labels)


def config(run, name="train"):
    return json.loads((run.bundle / "configs" / f"{name}.json").read_text())


def test_the_bar_of_a_training_is_read_as_it_is_shown():
    out = io.StringIO()
    bar = tqdm(total=20, unit="it", desc="training", file=out, dynamic_ncols=True, mininterval=0)
    bar.set_postfix(loss="0.1234", refresh=False)
    bar.update(10)
    bar.close()
    last = [step for step in map(read_bar, out.getvalue().split("\r")) if step][-1]
    assert (last.iteration, last.total, last.loss) == (10, 20, 0.1234)
    assert read_bar("training: 5%|5 | 1/20 [00:05<?, ?it/s]") == Step(1, 20, None, "?")
    assert read_bar("bundle x, weights in y") is None


def test_classes_become_a_map_of_classes_in_which_unpainted_pixels_are_unknown(tmp_path):
    run = prepare(tmp_path / "b", [painted(((20, 1), (50, 2), (70, 3)))], "classes", **NARROW)
    train = config(run)
    assert train["classes"] == ["background", "class_1", "class_2"]
    assert (train["instances"], train["ignore_label"], train["validation"]) == (False, 255, 0)
    assert train["dataset_dir"] == str((tmp_path / "b" / "painted").resolve())
    assert train["features"] == config(run, "inference")["features"] == [2, 3, 4]


def test_cells_become_objects_that_are_told_apart_by_their_distance(tmp_path):
    run = prepare(tmp_path / "b", [painted(((20, 1), (50, 2), (70, 9)))], "cells", **NARROW)
    train = config(run)
    assert train["classes"] == ["background", "cell"]
    assert (train["instances"], train["separation"]) == (True, "distance")


def test_classes_get_the_names_that_are_given(tmp_path):
    run = prepare(tmp_path / "b", [painted()], "classes", ["background", "nucleus"], **NARROW)
    assert config(run)["classes"] == ["background", "nucleus"]
    with pytest.raises(ValueError, match=r"2 classes are painted, with background; 3 are named: a, b, c"):
        prepare(tmp_path / "c", [painted()], "classes", ["a", "b", "c"], **NARROW)


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.txt").write_text("all of it")
    with pytest.raises(FileExistsError, match="was not made by training in the viewer"):
        prepare(tmp_path / "b", [painted()], "classes", **NARROW)
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["thesis.txt"]


def test_what_is_refused_leaves_the_bundle_as_it_was(tmp_path):
    prepare(tmp_path / "b", [painted()], "classes", **NARROW)
    before = {path: path.read_bytes() for path in (tmp_path / "b").rglob("*") if path.is_file()}
    flat = Painted("image", np.full((100, 100), 7, np.uint8), painted().labels)
    with pytest.raises(ValueError, match="single grey value"):
        prepare(tmp_path / "b", [flat], "classes", **NARROW)
    assert {path: path.read_bytes() for path in (tmp_path / "b").rglob("*") if path.is_file()} == before


def test_weights_of_other_classes_are_taken_over_but_for_the_last_layer(tmp_path, pytestconfig):
    start = "dic_hela_compact"  # of cells with a distance: three channels
    run = prepare(tmp_path / "b", [painted()], "classes", start=start, values={"tile": 60})
    source = torch.load(
        pytestconfig.rootpath / "bundles" / start / "models" / "model.pt", weights_only=True, map_location="cpu"
    )
    weights = torch.load(run.options["initial_weights"], weights_only=True)
    for name, value in weights.items():
        assert torch.equal(value, source[name]) != name.startswith("head."), name
    assert weights["head.weight"].shape[0] == 2
    assert "no commercial use" in (run.bundle / "LICENSE").read_text().lower()
    assert "dic_hela_compact" in (run.bundle / "LICENSE").read_text()


def test_weights_of_another_network_are_refused(tmp_path):
    run = prepare(tmp_path / "b", [painted()], "classes", **NARROW)
    with pytest.raises(ValueError, match="has another network than the images need"):
        transferred("dic_hela_compact", run.bundle)


@pytest.mark.slow
def test_a_training_shows_its_steps_goes_on_and_starts_anew_when_more_is_painted(tmp_path):
    first = prepare(tmp_path / "b", [painted()], "classes", iterations=12, **NARROW)
    assert first.story == "starts from random weights"
    steps = list(Training(first, threads=1).steps())
    assert (steps[-1].iteration, steps[-1].total) == (12, 12)
    assert any(step.loss is not None for step in steps)
    assert weights_of(first.bundle).is_file()

    again = prepare(tmp_path / "b", [painted()], "classes", iterations=12, **NARROW)
    assert (again.story, again.options["epochs"]) == ("goes on after 12 iterations", 24)
    steps = list(Training(again, threads=1).steps())
    assert {step.total for step in steps} == {24}
    assert min(step.iteration for step in steps) >= 12

    more = prepare(tmp_path / "b", [painted(((20, 1), (50, 2), (80, 1)))], "classes", iterations=12, **NARROW)
    assert more.story == "starts from the weights of the last training"
    before = torch.load(more.options["initial_weights"], weights_only=True)
    kept = torch.load(weights_of(more.bundle), weights_only=True)
    assert all(torch.equal(before[name], value) for name, value in kept.items())
    assert not (more.bundle / "models" / "checkpoint.pt").exists()

    other = prepare(tmp_path / "b", [painted(((20, 1), (50, 2), (80, 3)))], "classes", iterations=12, **NARROW)
    assert other.story == "starts from random weights"  # of another class
    assert not weights_of(other.bundle).exists()


@pytest.mark.slow
def test_a_training_that_is_stopped_keeps_its_checkpoint(tmp_path):
    run = prepare(tmp_path / "b", [painted()], "classes", iterations=4000, features=(2, 3, 4), values={"tile": 60})
    training = Training(run, threads=1)
    for _ in training.steps():
        if (run.bundle / "models" / "checkpoint.pt").exists():
            training.stop()
    assert training.process.returncode != 0
    again = prepare(tmp_path / "b", [painted()], "classes", iterations=12, features=(2, 3, 4), values={"tile": 60})
    assert again.story.startswith("goes on after ")


@pytest.mark.slow
def test_a_training_that_fails_says_why(tmp_path):
    run = prepare(tmp_path / "b", [painted()], "classes", iterations=12, **NARROW)
    for path in (run.bundle / "painted" / "labels").iterdir():
        path.write_bytes(b"not a TIFF")
    with pytest.raises(RuntimeError, match=r"image\.tif"):
        list(Training(run, threads=1).steps())
