"""The page on restoration, followed command by command with synthetic images in place of the user's."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from monai_unet.data.noisy import add_gaussian_noise
from monai_unet.data.synthetic import synthetic_sections
from monai_unet.knobs import knobs

PAGE = Path(__file__).parents[2] / "docs" / "restoration.md"
TEXT = PAGE.read_text(encoding="utf-8")
COMMANDS = re.findall(r"^```bash\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
TRIAL = r' --(features "[^"]*"|(epochs|ckpt_dir|output_dir) \S+)'


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """The tree that the page shows, after all its commands."""
    pytest.importorskip("zarr", reason="the page ends with a large image, which needs the extra `large`")
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
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for command in COMMANDS:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=240,
            env={**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
        assert "trial failed" not in done.stderr
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
    (run,) = (block for block in re.findall(r"^```text\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL) if "-m" in block)
    trial = [command for command in COMMANDS if command.startswith("python")]
    assert [line.replace(" --output_dir results", "") for line in run.splitlines()] == [
        re.sub(TRIAL, "", command).strip() for command in trial
    ]


def test_every_way_to_learn_and_every_value_that_is_set_is_a_knob():
    named = set(re.findall(r"--targets (\w+)", TEXT))
    assert {"pairs", "noise2void", "noise2noise"} <= named <= set(knobs()["targets"].choices)
    values = re.findall(r"`(\w+)`", TEXT.split("it sets")[1].split("Then it makes")[0])
    assert {"target_mean", "residual", "pages"} <= set(values) <= set(knobs())
