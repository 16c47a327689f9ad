"""The page on restoration, followed command by command with synthetic images in place of the user's."""

import re

import numpy as np
import pytest
import tifffile
from followed_page import DOCS, follow, run_and_trial

from monai_unet.data.noisy import add_gaussian_noise
from monai_unet.data.synthetic import synthetic_sections
from monai_unet.knobs import knobs

TEXT = (DOCS / "restoration.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """The tree that the page shows, after all its commands."""
    pytest.importorskip("zarr", reason="the page ends with a large image, which needs zarr and dask")
    folder = tmp_path_factory.mktemp("restoration")
    clean, _ = synthetic_sections(4, 96, 0)
    noisy = add_gaussian_noise(clean, 25, 0)
    for number, name in enumerate("ab"):
        for part, stack in (("images", noisy), ("targets", clean)):
            (folder / "my_pairs" / part).mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(folder / "my_pairs" / part / f"{name}.tif", stack[number])
    (folder / "new_noisy").mkdir()
    tifffile.imwrite(folder / "new_noisy" / "c.tif", noisy[2])
    tifffile.imwrite(folder / "large_noisy.tif", np.tile(noisy[3], (2, 3)))
    assert not [said for said in follow(TEXT, folder, 240) if "trial failed" in said]
    return folder


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_command_runs_and_writes_what_the_page_names(followed):
    assert (followed / "my_restoration" / "docs" / "trial" / "index.html").is_file()
    assert (followed / "trial" / "report.html").is_file()
    assert tifffile.imread(followed / "trial" / "results" / "c_restored.tif").shape == (96, 96)
    large = tifffile.imread(followed / "large_restored.ome.tif").squeeze()
    assert (large.shape, large.dtype) == ((192, 288), np.float32)


def test_the_commands_of_the_run_are_those_of_the_trial_without_its_options():
    run, trial = run_and_trial(TEXT)
    assert run == trial


def test_every_way_to_learn_and_every_value_that_is_set_is_a_knob():
    named = set(re.findall(r"--targets (\w+)", TEXT))
    assert {"pairs", "noise2void", "noise2noise"} <= named <= set(knobs()["targets"].choices)
    values = re.findall(r"`(\w+)`", TEXT.split("it sets")[1].split("Then it makes")[0])
    assert {"target_mean", "residual", "pages"} <= set(values) <= set(knobs())
