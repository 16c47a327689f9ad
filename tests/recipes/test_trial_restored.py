"""The trial of a bundle that restores images: what its montage shows, and what its training is counted as."""

import json

import numpy as np
import pytest
import tifffile

from monai_unet.cli import main
from monai_unet.recipes import timing, trial
from monai_unet.recipes.create_restoration import new_restoration
from monai_unet.recipes.timing import num_samples, run_of
from monai_unet.recipes.trial_restored import restored_tile
from monai_unet.report.overlays import OUTLINE_COLOUR


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Two stacks of three sections: bright squares under noise, and without it."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for number in range(2):
        clean = np.full((3, 60, 64), 50.0, np.float32)
        clean[:, 10:30, 35:60] = 200
        for part, array in (("images", clean + rng.normal(0, 10, clean.shape)), ("targets", clean)):
            (tmp_path / "data" / part).mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(
                tmp_path / "data" / part / f"s{number}.tif", array.astype(np.float32), photometric="minisblack"
            )
    return tmp_path / "data"


def made(data, targets="pairs", **values):
    folder = new_restoration("mine", data, targets).folder
    config = folder / "configs" / "train.json"
    content = json.loads(config.read_text()) | {"features": [2, 4], "device": "cpu", "epochs": 4} | values
    config.write_text(json.dumps(content))
    return folder


def captions(row):
    return [tile.caption for tile in row.tiles]


def test_a_target_is_shown_beside_its_image_and_in_every_tile(data):
    rows = trial.rows_of(trial.prepare(made(data)))
    assert [row.title for row in rows[:3]] == [
        "image s0.tif, target s0.tif, section 0",
        "image s0.tif, target s0.tif, section 2",
        "image s1.tif, target s1.tif, section 2",
    ]
    assert captions(rows[0])[:4] == ["image", "target", "tile 1: input, output in the frame", "tile 1: target"]
    bright = [tile.picture[..., 0] > 128 for tile in rows[0].tiles[:2]]
    assert (bright[0] == bright[1]).mean() > 0.98
    assert rows[3].title == "others; all in all 6 of 6 sections are shown"


def test_a_transposed_target_lies_elsewhere(data):
    for part in ("images", "targets"):
        square = tifffile.imread(data / part / "s0.tif")[:, :60, :60]
        tifffile.imwrite(
            data / part / "s0.tif", square.swapaxes(1, 2) if part == "targets" else square, photometric="minisblack"
        )
    image, target = (tile.picture[..., 0] > 128 for tile in trial.rows_of(trial.prepare(made(data)))[0].tiles[:2])
    assert (image & target).sum() < 0.5 * image.sum()


def test_the_target_of_a_tile_lies_where_the_frame_is():
    image, label = np.zeros((1, 20, 20), np.float32), np.zeros((1, 8, 8), np.float32)
    image[0, 8:12, 8:12] = label[0, 2:6, 2:6] = 1
    shown, target = restored_tile({"image": image, "label": label, "weight": np.ones((1, 8, 8))}, 200, "tile")
    assert (shown.picture[80:120, 80:120] == 255).all()
    assert (target.picture[80:120, 80:120] == 255).all()
    assert (target.picture[60:80, 60:80] < 30).all()


def test_hidden_pixels_are_marked_where_they_are():
    image, weight = np.zeros((1, 20, 20), np.float32), np.zeros((1, 8, 8), np.float32)
    weight[0, 1, 5] = 1
    (tile,) = restored_tile({"image": image, "label": image[:, 6:14, 6:14], "weight": weight}, 200, "tile")
    rows, columns = np.nonzero((tile.picture == OUTLINE_COLOUR).all(-1))
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (70, 80, 110, 120)
    assert tile.caption == "tile: input, 1.6 % of the pixels hidden"


@pytest.mark.parametrize(("targets", "tile"), [("noise2void", "pixels hidden"), ("noise2noise", "target")])
def test_without_pairs_the_montage_shows_what_is_learned_from(data, targets, tile):
    rows = trial.rows_of(trial.prepare(made(data, targets)))
    assert ("target" in captions(rows[0])) == (targets == "noise2noise")
    assert captions(rows[0])[-1].startswith("tile 3: ")
    assert captions(rows[0])[-1].endswith(tile)
    assert "target" not in rows[0].title


def test_a_target_that_is_a_neighbour_counts_each_pair(data):
    folder = made(data, "noise2noise")
    run = run_of(timing.parsed(folder / "configs" / "train.json", folder))
    assert num_samples([{"sections": [0, 1, 2]}, {"sections": [4]}], "noise2noise") == 4
    assert (run.training, run.validation, run.candidates) == (4, 2, 0)  # of 3 and of 2 sections; the third is alone


@pytest.mark.parametrize("targets", ["pairs", "noise2void", "noise2noise"])
def test_the_times_are_measured_and_nothing_is_written_but_the_trial(data, targets):
    folder, said = made(data, targets), []
    before = {path for path in folder.rglob("*") if path.is_file()}
    trial.try_bundle(folder, say=said.append, budget=200)
    new = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path not in before}
    assert new == {"docs/trial/index.html", "docs/trial/montage.png"}
    (times,) = (line for line in said if "how long training takes on" in line)
    assert times.count("about") == 3
    assert any("yellow" in line for line in said) == (targets == "noise2void")


def test_the_command_makes_the_trial_unless_told_otherwise(data, monkeypatch, capsys):
    monkeypatch.setattr(trial, "measure", lambda *_: [timing.Pace((2, 4), 100, 1.0, 60.0)])
    assert main(["new", "a", "--dataset-dir", str(data), "--no-trial"]) == 0
    assert "montage" not in capsys.readouterr().out
    assert main(["new", "b", "--dataset-dir", str(data)]) == 0
    assert "image and target must show the same place" in capsys.readouterr().out
    assert (data.parent / "b" / "docs" / "trial" / "montage.png").is_file()
