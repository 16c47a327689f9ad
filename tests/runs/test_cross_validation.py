"""A cross-validation of a tiny network on six sections: its folds, its report and its ensemble."""

import csv
import json
import shutil

import pytest
import torch
from bundle_runs import REPOSITORY

from monai_unet.data import write_synthetic
from monai_unet.io import read_found
from monai_unet.networks import num_members
from monai_unet.prediction.load import load_model
from monai_unet.runs import folds as module
from monai_unet.runs.folds import cross_validate

SMALL = {"features": [2, 3, 4], "tile": 60, "inference_tile": 60, "device": "cpu", "epochs": 2, "val_interval": 1}


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sections")
    write_synthetic(folder, num_sections=6, size=96, seed=0, num_test_sections=0)
    return {"dataset_dir": str(folder), **SMALL}


@pytest.fixture(scope="module")
def bundle(given, tmp_path_factory):
    return shutil.copytree(REPOSITORY / "bundles" / "isbi", tmp_path_factory.mktemp("bundle") / "isbi")


@pytest.fixture(scope="module")
def done(bundle, given):
    said = []
    (bundle / "models").mkdir(exist_ok=True)
    torch.save({"head.bias": torch.zeros(2)}, bundle / "models" / "model.pt")  # of a training before
    cross_validate(bundle, 3, {**given, "training_sections": [0, 1, 2, 3, 4]}, said.append)
    return said


def test_each_fold_is_a_training_that_left_out_its_block(done, bundle):
    blocks = []
    for number in (1, 2, 3):
        settings = torch.load(bundle / "models" / f"fold_{number}" / "checkpoint.pt", weights_only=True)["settings"]
        blocks.append((settings["training sections"], settings["validation sections"]))
    assert blocks == [
        ("train-volume [2, 3, 4]", "train-volume [0, 1]"),
        ("train-volume [0, 1, 3, 4]", "train-volume [2]"),
        ("train-volume [0, 1, 2]", "train-volume [3, 4]"),
    ]


def test_every_section_that_takes_part_is_scored_once(done, bundle):
    with (bundle / "output" / "folds.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["fold"], row["section"][-1]) for row in rows] == [
        ("fold 1", "0"),
        ("fold 1", "1"),
        ("fold 2", "2"),
        ("fold 3", "3"),
        ("fold 3", "4"),
    ]
    assert all(0 <= float(row["v_rand"]) <= 1 for row in rows)
    assert "5" not in {row["section"][-1] for row in rows}


def test_the_score_of_a_fold_is_that_of_its_own_evaluation(done, bundle):
    page = (bundle / "output" / "folds.html").read_text()
    for number in (1, 2, 3):
        lines = (bundle / "output" / f"fold_{number}" / "metrics.csv").read_text().splitlines()
        scores = {name: float(value) for name, value in csv.reader(lines)}
        assert f"{scores['dice']:.4g}" in page
        assert f'<a href="fold_{number}/report.html">' in page
        assert (bundle / "output" / f"fold_{number}" / "report.html").is_file()


@torch.no_grad()
def test_predict_takes_the_mean_of_the_folds(done, bundle):
    overrides = {"features": [2, 3, 4]}
    image = torch.randn(1, 1, 60, 60, generator=torch.Generator().manual_seed(0))
    members = [
        load_model(str(bundle), json.dumps({**overrides, "ckpt_path": str(bundle / f"models/fold_{number}/model.pt")}))
        for number in (1, 2, 3)
    ]
    mean = torch.stack([member.network(image).softmax(1) for member in members]).mean(0)
    ensemble = load_model(str(bundle), json.dumps(overrides))
    torch.testing.assert_close(ensemble.network(image).softmax(1), mean, atol=1e-6, rtol=0)


def test_the_ensembles_values_were_found_on_all_sections_by_networks_that_did_not_see_them(done, bundle):
    found = read_found(bundle / "models" / "model.pt")
    assert set(found["values"]) == {"threshold"}
    assert found["sections"] == (
        "train-volume [0, 1], train-volume [2], train-volume [3, 4], each by the network that was not trained on it"
    )
    decoding = load_model(str(bundle), json.dumps({"features": [2, 3, 4]})).decoding
    assert decoding.threshold == found["values"]["threshold"]


def test_the_weights_of_a_single_network_are_kept_under_another_name(done, bundle):
    single = torch.load(bundle / "models" / "single_model_1.pt", weights_only=True)
    assert num_members(single) == 1
    assert any("held the weights of one network; they are in" in line for line in done)


@pytest.mark.slow
def test_the_same_command_trains_no_finished_fold_again(done, bundle, given):
    weights = [bundle / "models" / f"fold_{number}" / "checkpoint.pt" for number in (1, 2, 3)]
    before = [path.stat().st_mtime_ns for path in weights]
    model = (bundle / "models" / "model.pt").read_bytes()
    cross_validate(bundle, 3, {**given, "training_sections": [0, 1, 2, 3, 4]}, lambda line: None)
    assert [path.stat().st_mtime_ns for path in weights] == before
    assert (bundle / "models" / "model.pt").read_bytes() == model


@pytest.mark.slow
def test_a_cross_validation_that_was_stopped_goes_on_and_ends_as_one_that_was_not(
    done, bundle, given, tmp_path, monkeypatch
):
    train, trained = module.run, []

    def stopped(folder, what, overrides):
        if len(trained) == 1 and what == "train":
            raise KeyboardInterrupt
        trained.append(what)
        train(folder, what, overrides)

    places = {"ckpt_dir": str(tmp_path / "models"), "output_dir": str(tmp_path / "output")}
    wanted = {**given, "training_sections": [0, 1, 2, 3, 4], **places}
    monkeypatch.setattr(module, "run", stopped)
    with pytest.raises(KeyboardInterrupt):
        cross_validate(bundle, 3, wanted, lambda line: None)
    monkeypatch.setattr(module, "run", train)
    cross_validate(bundle, 3, wanted, lambda line: None)
    one, other = (
        torch.load(folder / "model.pt", weights_only=True) for folder in (bundle / "models", tmp_path / "models")
    )
    assert all(torch.equal(one[name], other[name]) for name in {**one, **other})


@pytest.mark.parametrize(
    ("number", "more", "line"),
    [
        (7, {}, "7 folds of 6 sections: give 2 folds or more, and no more than there are sections"),
        (2, {"validation": [1]}, "--validation does nothing with --folds"),
        (2, {"training_sections": [0, 1, 9]}, "section 9 does not exist: there are 6, counted from 0"),
    ],
)
def test_what_cannot_be_cross_validated_is_refused_before_anything_is_written(
    bundle, given, tmp_path, number, more, line
):
    places = {"ckpt_dir": str(tmp_path / "models"), "output_dir": str(tmp_path / "output")}
    with pytest.raises(ValueError, match=line):
        cross_validate(bundle, number, {**given, **more, **places})
    assert list(tmp_path.iterdir()) == []
