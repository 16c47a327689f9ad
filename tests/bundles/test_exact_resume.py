"""A run that is killed and started again ends as one that was left alone, bit for bit."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import time

import pytest
import torch
from bundle_runs import REPOSITORY

EPOCHS = 60
# The command, in which the nth writing of a checkpoint is killed half-way where KILL_AT_SAVE says so.
COMMAND = textwrap.dedent("""
    import os, signal, sys
    from contextlib import contextmanager
    from pathlib import Path
    from monai_unet.networks import whole_files
    aside, count = whole_files.written_aside, 0
    @contextmanager
    def killed_half_way(path):
        global count
        with aside(path) as temporary:
            yield temporary
            count += Path(path).name == "checkpoint.pt"
            if Path(path).name == "checkpoint.pt" and count == int(os.environ.get("KILL_AT_SAVE", 0)):
                os.truncate(temporary, temporary.stat().st_size // 2)
                os.kill(os.getpid(), signal.SIGKILL)
    whole_files.written_aside = killed_half_way
    from monai.bundle import run
    dataset_dir, folder, epochs = sys.argv[1:]
    run(run_id="training", config_file="bundles/isbi/configs/train.json", bundle_root="bundles/isbi", device="cpu",
        dataset_dir=dataset_dir, ckpt_dir=folder, output_dir=folder + "/out", epochs=int(epochs), val_interval=5,
        features=[2, 3, 4], tile=60, inference_tile=60)
""")


def start(sections, folder, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(sections), str(folder), str(EPOCHS)],
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process):
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 0, output
    return output


def state(folder):
    return torch.load(folder / "checkpoint.pt", weights_only=True)


def differences(one, other, where=""):
    """The places where two nested states differ."""
    if isinstance(one, torch.Tensor):
        return [] if torch.equal(one, other) else [where]
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        return [place for key in one for place in differences(one[key], other[key], f"{where}/{key}")]
    if isinstance(one, (list, tuple)):
        return [place for index, pair in enumerate(zip(one, other, strict=True)) for place in differences(*pair, where)]
    return [] if one == other else [where]


@pytest.fixture(scope="module")
def undisturbed(sections, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    finish(start(sections, folder))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0])
def test_kills_at_random_moments_change_nothing(sections, undisturbed, tmp_path, seed):
    moments = random.Random(seed)
    kills = 0
    for _ in range(3):
        process = start(sections, tmp_path)
        before = state(tmp_path)["trainer"]["iteration"] if (tmp_path / "checkpoint.pt").is_file() else 0
        until = time.monotonic() + 100
        while process.poll() is None and time.monotonic() < until:
            if (tmp_path / "checkpoint.pt").is_file() and state(tmp_path)["trainer"]["iteration"] > before:
                break  # it trains: one checkpoint further than when it was started
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 0.3))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
        process.stdout.close()
    assert kills
    finish(start(sections, tmp_path))
    assert differences(state(undisturbed), state(tmp_path)) == []
    best = [torch.load(folder / "model.pt", weights_only=True) for folder in (undisturbed, tmp_path)]
    assert differences(*best) == []


@pytest.mark.slow
@pytest.mark.parametrize("save", [1, 4])
def test_a_kill_in_the_middle_of_writing_a_checkpoint_changes_nothing(sections, undisturbed, tmp_path, save):
    process = start(sections, tmp_path, KILL_AT_SAVE=str(save))
    process.communicate(timeout=200)
    assert process.returncode == -signal.SIGKILL
    finish(start(sections, tmp_path))
    assert differences(state(undisturbed), state(tmp_path)) == []
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint.pt", "model.pt", "model.found.json", "out"}
