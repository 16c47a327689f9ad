"""The tutorial, followed command by command with synthetic cells in place of the user's."""

import re

import numpy as np
import pytest
import tifffile
from followed_page import DOCS, follow, run_and_trial

TEXT = (DOCS / "your-own-images.md").read_text(encoding="utf-8")


def cells(seed, size=(100, 120)):
    """Bright discs on a grey ground, and one number for each."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    labels = np.zeros(size, np.uint16)
    for number in range(1, 5):
        row, column = rng.integers(12, size[0] - 12), rng.integers(12, size[1] - 12)
        labels[(labels == 0) & (np.hypot(y - row, x - column) < 10)] = number
    return rng.normal(1000, 50, size).astype(np.uint16) + 500 * (labels > 0).astype(np.uint16), labels


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The tree that the page shows."""
    folder = tmp_path_factory.mktemp("tutorial")
    for path in ("my_data/images", "my_data/labels", "new_images"):
        (folder / path).mkdir(parents=True)
    for number in range(1, 6):
        image, labels = cells(number)
        tifffile.imwrite(folder / "my_data" / "images" / f"field{number}.tif", image)
        tifffile.imwrite(folder / "my_data" / "labels" / f"field{number}.tif", labels)
    tifffile.imwrite(folder / "new_images" / "field6.tif", cells(6)[0])
    tifffile.imwrite(folder / "large.tif", cells(7, (300, 410))[0])
    return folder


@pytest.fixture(scope="module")
def followed(folder):
    pytest.importorskip("zarr", reason="the page ends with a large image, which needs zarr and dask")
    follow(TEXT, folder, 120)
    return folder


@pytest.mark.slow
def test_every_command_runs_and_the_last_one_predicts_the_large_image(followed):
    assert tifffile.imread(followed / "large_cells.ome.tif").squeeze().shape == (300, 410)


@pytest.mark.slow
def test_inference_writes_what_the_page_names(followed):
    results = followed / "trial" / "results"
    assert tifffile.imread(results / "field6_instances.tif").shape == (100, 120)
    assert tifffile.imread(results / "probability" / "field6_probability.tif").dtype == np.float32


@pytest.mark.slow
def test_the_trial_leaves_nothing_that_the_real_run_would_go_on_from(followed):
    assert (followed / "trial" / "checkpoint.pt").is_file()
    assert [path.name for path in (followed / "my_cells" / "models").iterdir()] == [".gitkeep"]


def test_the_commands_of_the_run_are_those_of_the_trial_without_its_options():
    run, trial = run_and_trial(TEXT)
    assert run == trial


def test_the_values_that_the_page_says_to_change_are_knobs_of_the_bundle(tmp_path, folder, monkeypatch):
    from monai_unet.recipes.create import new_bundle

    monkeypatch.chdir(tmp_path)
    made = new_bundle("my_cells", folder / "my_data")
    knobs = (made.folder / "train.json").read_text() + (made.folder / "inference.json").read_text()
    named = set(re.findall(r"--(\w+)", TEXT.split("## 6. When it fails")[1])) - {"like"}
    assert {"seed_depth", "threshold", "min_size", "grey_shift"} <= named
    assert not {name for name in named if f'"{name}":' not in knobs}
