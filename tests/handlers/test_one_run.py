import multiprocessing
import os
import time

import pytest

from monai_unet.handlers.one_run import hold, release
from monai_unet.io import one_writer


def _hold(path, ready):
    hold(path)
    ready.set()
    time.sleep(60)


@pytest.fixture
def other(tmp_path):
    """Another process that holds `a/checkpoint.pt`."""
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_hold, args=(tmp_path / "a" / "checkpoint.pt", ready))
    process.start()
    assert ready.wait(60)
    yield process
    process.kill()
    process.join(60)


def test_another_process_is_refused_with_the_holder_and_makes_no_folder(tmp_path, other):
    with pytest.raises(OSError, match=rf"checkpoint.pt is being written by process {other.pid} on .* since 2"):
        hold(tmp_path / "b" / "events", tmp_path / "a" / "checkpoint.pt")
    assert not (tmp_path / "b").exists()


def test_after_a_kill_the_file_is_free_at_once(tmp_path, other):
    other.kill()
    other.join(60)
    hold(tmp_path / "a" / "checkpoint.pt")
    assert f"process {os.getpid()} " in (tmp_path / "a" / ".checkpoint.pt.lock").read_text()
    release()


def test_this_process_may_hold_a_file_twice_and_releases_all(tmp_path):
    hold(tmp_path / "checkpoint.pt", tmp_path / "events")
    hold(tmp_path / "checkpoint.pt")
    release()
    assert list(tmp_path.iterdir()) == []
    with one_writer(tmp_path / "checkpoint.pt"):
        pass
