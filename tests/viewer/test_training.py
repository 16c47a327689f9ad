"""A training in a process of its own: what its bar says, how it goes on, stops and fails."""

import io
import sys

import pytest
import torch
from tqdm import tqdm

from monai_unet.viewer.prepare import prepare
from monai_unet.viewer.training import Run, Step, Training, read_bar, weights_of

NARROW = {"features": (2, 3, 4), "values": {"tile": 60}}


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


@pytest.mark.slow
def test_a_training_shows_its_steps_goes_on_and_starts_anew_when_more_is_painted(tmp_path, painted):
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
    assert other.story.startswith("starts from random weights; ")  # of another class
    assert not weights_of(other.bundle).exists()


@pytest.mark.slow
def test_a_training_that_is_stopped_keeps_its_checkpoint(tmp_path, painted):
    run = prepare(tmp_path / "b", [painted()], "classes", iterations=4000, features=(2, 3, 4), values={"tile": 60})
    training = Training(run, threads=1)
    for _ in training.steps():
        if (run.bundle / "models" / "checkpoint.pt").exists():
            training.stop()
    assert training.process.returncode != 0
    again = prepare(tmp_path / "b", [painted()], "classes", iterations=12, features=(2, 3, 4), values={"tile": 60})
    assert again.story.startswith("goes on after ")


def test_a_training_that_ignores_ctrl_c_is_ended_after_a_while(tmp_path, monkeypatch):
    monkeypatch.setattr("monai_unet.viewer.training.PATIENCE", 0.2)
    bar = "training: 5%|5 | 1/20 [00:05<?, ?it/s]\\n"
    deaf = f"import signal, time; signal.signal(2, signal.SIG_IGN); print('{bar}', flush=True); time.sleep(60)"
    monkeypatch.setattr(Run, "command", property(lambda run: [sys.executable, "-c", deaf]))
    training = Training(Run(tmp_path, {}, 1, "starts"))
    for _ in training.steps():
        training.stop()
    assert training.process.returncode != 0


@pytest.mark.slow
def test_a_training_that_fails_says_why(tmp_path, painted):
    run = prepare(tmp_path / "b", [painted()], "classes", iterations=12, **NARROW)
    for path in (run.bundle / "painted" / "labels").iterdir():
        path.write_bytes(b"not a TIFF")
    with pytest.raises(RuntimeError, match=r"image\.tif"):
        list(Training(run, threads=1).steps())
