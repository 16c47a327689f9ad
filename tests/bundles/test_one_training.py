"""Two trainings that would write in the same folder, and Ctrl-C."""

import signal
import subprocess
import sys
import time

import pytest
from bundle_runs import REPOSITORY, command

from monai_unet.data import write_synthetic
from monai_unet.io import one_writer

SMALL = ("--features", "[2,3,4]", "--tile", 60, "--device", "cpu", "--validation", "[1]")


@pytest.fixture
def training(tmp_path):
    write_synthetic(tmp_path / "data", 2, 100, 0, 0)
    arguments = (
        "--dataset_dir",
        tmp_path / "data",
        "--ckpt_dir",
        tmp_path / "models",
        "--output_dir",
        tmp_path / "out",
    )
    return ("training", "--config_file", REPOSITORY / "bundles" / "isbi" / "train.json", *arguments, *SMALL)


def test_of_two_trainings_with_one_folder_the_second_ends_at_once_and_writes_nothing(tmp_path, training):
    with one_writer(tmp_path / "models" / "checkpoint.pt"):
        done = command(*training, "--epochs", 1)
        assert [file.name for file in (tmp_path / "models").iterdir()] == [".checkpoint.pt.lock"]
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert "checkpoint.pt is being written by process" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_ctrl_c_ends_a_training_with_one_line_and_130(tmp_path, training):
    line = [sys.executable, "-m", "monai.bundle", "run", *map(str, training), "--epochs", "9999", "--val_interval", "3"]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY)
    try:
        deadline = time.monotonic() + 60
        while not (tmp_path / "models" / "checkpoint.pt").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert "terminating due to exception" not in out + errors
    assert errors.splitlines()[-1].startswith("monai-unet: interrupted; the checkpoint of epoch ")
    assert sorted(file.name for file in (tmp_path / "models").iterdir()) == ["checkpoint.pt", "model.pt"]
