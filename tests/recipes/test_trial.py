"""The trial of a new bundle, with cells of which the image says where they are."""

import json

import numpy as np
import pytest
import tifffile
import torch

from monai_unet.cli import main
from monai_unet.recipes import timing, trial
from monai_unet.recipes.create import new_bundle
from monai_unet.report.overlays import OUTLINE_COLOUR


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Three square images, bright where the labels have their two cells."""
    monkeypatch.chdir(tmp_path)
    for number in range(3):
        labels = np.zeros((60, 60), np.uint8)
        labels[5:25, 30 : 50 - 2 * number] = 1
        labels[40:50, 10:18] = 2
        for part, array in (("images", 50 + 150 * (labels > 0)), ("labels", labels)):
            (tmp_path / "data" / part).mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(tmp_path / "data" / part / f"f{number}.tif", array.astype(np.uint8))
    return tmp_path / "data"


def narrow(folder, **values):
    config = folder / "configs" / "train.json"
    content = json.loads(config.read_text()) | {"features": [2, 4], "device": "cpu", "epochs": 4} | values
    config.write_text(json.dumps(content))
    return folder


@pytest.fixture
def bundle(data):
    return narrow(new_bundle("mine", data).folder)


def is_bright(picture):
    return picture[..., 0] > 128


def test_the_outline_of_a_label_lies_on_the_cell(bundle):
    row = trial.rows_of(trial.prepare(bundle))[0]
    image, label = (tile.picture for tile in row.tiles[:2])
    drawn = (image != label).any(-1)
    assert np.array_equal(drawn, is_bright(image))


def test_a_transposed_label_lies_elsewhere(data):
    path = data / "labels" / "f0.tif"
    tifffile.imwrite(path, tifffile.imread(path).T)
    row = trial.rows_of(trial.prepare(narrow(new_bundle("mine", data).folder)))[0]
    image, label = (tile.picture for tile in row.tiles[:2])
    drawn = (image != label).any(-1)
    assert (drawn & is_bright(image)).sum() < 0.5 * drawn.sum()


def test_the_files_are_named_and_the_cells_counted(bundle):
    rows = trial.rows_of(trial.prepare(bundle))
    assert [row.title for row in rows] == [f"image f{n}.tif, label f{n}.tif" for n in range(3)]
    assert rows[0].tiles[1].caption == "label: 2 cells"


def test_the_label_of_a_tile_is_drawn_in_the_middle_of_its_input():
    image, label = torch.zeros(1, 20, 20), torch.zeros(1, 8, 8)
    label[0, 2:6, 2:6] = 1.5
    picture = trial.tile_picture({"image": image, "label": label})
    rows, columns = np.nonzero((picture == OUTLINE_COLOUR).all(-1))
    scale = trial.SIDE / 20
    for place in (rows, columns):
        assert (place.min() / scale, (place.max() + 1) / scale) == pytest.approx((8, 12), abs=0.1)


def test_sections_with_labels_are_preferred_and_the_others_are_counted(data):
    many = data.parent / "many"
    for part in ("images", "labels"):
        (many / part).mkdir(parents=True)
        stack = np.repeat(tifffile.imread(data / part / "f0.tif")[None], 6, axis=0)
        if part == "labels":
            stack[0] = 0
        tifffile.imwrite(many / part / "s.tif", stack)
    made = new_bundle("stack", many)
    labelled = [any(pixels[1:]) for pixels in made.survey.class_pixels]
    rows = trial.rows_of(trial.prepare(narrow(made.folder), labelled))
    assert [row.title.rpartition(" ")[2] for row in rows[:3]] == ["1", "3", "5"]
    assert rows[3].title.endswith("5 of 6 sections are shown")
    assert [tile.caption for tile in rows[3].tiles] == ["s.tif section 2", "s.tif section 4"]


def test_a_map_of_classes_is_shown_by_its_classes(data):
    names = ("background", "large", "small")
    rows = trial.rows_of(trial.prepare(narrow(new_bundle("maps", data, classes=names).folder)))
    assert rows[0].tiles[2].caption == "classes: 0 background, 1 large, 2 small"
    assert len(np.unique(rows[0].tiles[2].picture.reshape(-1, 3), axis=0)) == 3


def test_the_same_seed_draws_the_same_tiles(bundle):
    first, second = (trial.rows_of(trial.prepare(bundle))[1].tiles[-1].picture for _ in range(2))
    assert np.array_equal(first, second)


def test_the_work_of_a_run_is_read_from_its_config(bundle):
    run = timing.run_of(timing.parsed(bundle / "configs" / "train.json", bundle))
    assert (run.epochs, run.training, run.validation, run.batch_size) == (4, 2, 1, 4)
    assert run.candidates >= 15  # cells: a threshold, a depth and a smallest size


def test_without_validation_sections_no_values_are_searched_for(bundle):
    narrow(bundle, validation=0)
    assert timing.run_of(timing.parsed(bundle / "configs" / "train.json", bundle)).candidates == 0


def test_other_processes_are_told(monkeypatch):
    monkeypatch.setattr(trial.busy, "usable_cores", lambda: {0, 1})
    monkeypatch.setattr(trial.busy, "cores_taken", lambda cores: 1.4)
    assert trial._cpu().endswith("while other processes take 1.4 of 2 cores")
    monkeypatch.setattr(trial.busy, "cores_taken", lambda cores: 0.1)
    assert "other" not in trial._cpu()


def test_three_widths_are_measured_and_nothing_is_written_but_the_trial(bundle):
    before = {path for path in bundle.rglob("*") if path.is_file()}
    said = []
    trial.try_bundle(bundle, say=said.append, budget=200)
    new = {str(path.relative_to(bundle)) for path in bundle.rglob("*") if path.is_file() and path not in before}
    assert new == {"docs/trial/index.html", "docs/trial/montage.png"}
    page = (bundle / "docs" / "trial" / "index.html").read_text()
    for features in ("[1,2]", "[2,4]", "[4,8]"):
        assert features in said[-1]
        assert features in page
    assert said[-1].count("about") == 3
    assert f"<dd>{bundle.resolve()}</dd>" in page


def test_a_training_longer_than_an_evening_is_measured_narrower_until_it_fits(bundle, monkeypatch):
    monkeypatch.setattr(timing, "EVENING", 0.0)
    monkeypatch.setattr(timing, "halves", lambda features: [(2, 4), (1, 3), (1, 1)])
    paces, _ = trial.pace(bundle, trial.prepare(bundle))
    assert [pace.features for pace in paces][3:] == [(1, 3), (1, 1)]
    monkeypatch.setattr(timing, "EVENING", 1e9)
    paces, _ = trial.pace(bundle, trial.prepare(bundle))
    assert len(paces) == 3


def test_without_time_the_own_width_alone_is_measured(bundle):
    paces, _ = trial.pace(bundle, trial.prepare(bundle), budget=0.0)
    assert [pace.why_not for pace in paces] == ["", timing.NOT_MEASURED, timing.NOT_MEASURED]


def test_a_width_that_does_not_fit_the_memory_is_not_run(bundle, monkeypatch):
    monkeypatch.setattr(timing, "_available", lambda device: 0.0)
    paces, _ = trial.pace(bundle, trial.prepare(bundle))
    assert {pace.why_not for pace in paces} == {"needs more memory than is free"}


def test_the_command_draws_the_montage_unless_told_otherwise(data, monkeypatch, capsys):
    monkeypatch.setattr(trial, "measure", lambda *_: [timing.Pace((2, 4), 100, 1.0, 60.0)])
    assert main(["new", "a", "--dataset-dir", str(data), "--no-trial"]) == 0
    assert "montage" not in capsys.readouterr().out
    assert main(["new", "b", "--dataset-dir", str(data)]) == 0
    assert trial.LOOK in capsys.readouterr().out
    assert (data.parent / "b" / "docs" / "trial" / "montage.png").is_file()


def test_a_trial_that_fails_says_why_and_leaves_the_bundle(data, monkeypatch, capsys):
    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(trial, "prepare", fail)
    assert main(["new", "a", "--dataset-dir", str(data)]) == 0
    out, err = capsys.readouterr()
    assert "the bundle a is complete, but its trial failed: disk full" in err
    assert "monai-unet train" in out
    assert (data.parent / "a" / "train.json").exists()
