"""The bundle that is made for painted images, and what its training starts from."""

import json

import numpy as np
import pytest
import torch

from monai_unet.io import one_writer
from monai_unet.networks import OriginalUNet
from monai_unet.viewer.painted import Painted
from monai_unet.viewer.prepare import prepare, transferred
from monai_unet.viewer.training import weights_of

NARROW = {"features": (2, 3, 4), "values": {"tile": 60}}


def config(run, name="train"):
    return json.loads((run.bundle / "configs" / f"{name}.json").read_text())


def test_classes_become_a_map_of_classes_in_which_unpainted_pixels_are_unknown(tmp_path, painted):
    run = prepare(tmp_path / "b", [painted(((20, 1), (50, 2), (70, 3)))], "classes", **NARROW)
    train = config(run)
    assert train["classes"] == ["background", "class_1", "class_2"]
    assert (train["instances"], train["ignore_label"], train["validation"]) == (False, 255, 0)
    assert train["dataset_dir"] == str((tmp_path / "b" / "painted").resolve())
    assert train["features"] == config(run, "inference")["features"] == [2, 3, 4]


def test_cells_become_objects_that_are_told_apart_by_their_distance(tmp_path, painted):
    run = prepare(tmp_path / "b", [painted(((20, 1), (50, 2), (70, 9)))], "cells", **NARROW)
    train = config(run)
    assert train["classes"] == ["background", "cell"]
    assert (train["instances"], train["separation"]) == (True, "distance")


def test_classes_get_the_names_that_are_given(tmp_path, painted):
    run = prepare(tmp_path / "b", [painted()], "classes", ["background", "nucleus"], **NARROW)
    assert config(run)["classes"] == ["background", "nucleus"]
    with pytest.raises(ValueError, match=r"2 classes are painted, with background; 3 are named: a, b, c"):
        prepare(tmp_path / "c", [painted()], "classes", ["a", "b", "c"], **NARROW)


def test_a_folder_of_something_else_is_left_alone(tmp_path, painted):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.txt").write_text("all of it")
    with pytest.raises(FileExistsError, match="was not made by training in the viewer"):
        prepare(tmp_path / "b", [painted()], "classes", **NARROW)
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["thesis.txt"]


def test_what_is_refused_leaves_the_bundle_as_it_was(tmp_path, painted):
    prepare(tmp_path / "b", [painted()], "classes", **NARROW)
    before = {path: path.read_bytes() for path in (tmp_path / "b").rglob("*") if path.is_file()}
    flat = Painted("image", np.full((100, 100), 7, np.uint8), painted().labels)
    with pytest.raises(ValueError, match="single grey value"):
        prepare(tmp_path / "b", [flat], "classes", **NARROW)
    assert {path: path.read_bytes() for path in (tmp_path / "b").rglob("*") if path.is_file()} == before


def test_weights_of_other_classes_are_taken_over_but_for_the_last_layer(tmp_path, pytestconfig, painted):
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


def test_weights_of_another_network_are_refused(tmp_path, painted):
    run = prepare(tmp_path / "b", [painted()], "classes", **NARROW)
    with pytest.raises(ValueError, match="has another network than the images need"):
        transferred("dic_hela_compact", run.bundle)


@pytest.fixture
def trained(tmp_path, painted):
    """The folder of a bundle with weights, as a training leaves it."""
    run = prepare(tmp_path / "b", [painted()], "classes", **NARROW)
    torch.save(OriginalUNet(features=(2, 3, 4), normalisation="weights").state_dict(), weights_of(run.bundle))
    return run.bundle


def test_the_weights_in_the_folder_go_on_whatever_width_a_first_training_would_have(trained, painted):
    for wider in ({"features": (4, 5, 6)}, {"start": "phc_u373_compact"}):
        run = prepare(trained, [painted()], "classes", **{**NARROW, **wider})
        assert run.story == "starts from the weights of the last training"
        assert config(run)["features"] == [2, 3, 4]
        assert weights_of(trained).is_file()


def test_weights_of_other_classes_are_kept_beside_the_new_ones(trained, painted):
    weights = weights_of(trained).read_bytes()
    run = prepare(trained, [painted(((20, 1), (50, 2), (70, 3)))], "classes", **NARROW)
    assert "starts from random weights; the weights that were there" in run.story
    assert (trained / "models" / "before_1.pt").read_bytes() == weights
    assert not weights_of(trained).exists()


def test_a_folder_in_which_a_training_runs_is_left_alone(trained, painted):
    before = {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}
    with one_writer(trained / "models" / "checkpoint.pt"), pytest.raises(OSError, match="is being written by process"):
        prepare(trained, [painted(((20, 1), (60, 2)))], "classes", **NARROW)
    assert {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()} == before
