import multiprocessing
import os
import socket
import time

import pytest

from monai_unet.io.lock import one_writer


def _hold(path, ready):
    with one_writer(path):
        ready.set()
        time.sleep(60)


@pytest.fixture
def holder(tmp_path):
    """Another process that holds `tmp_path / "out"` until it is told to end."""
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_hold, args=(tmp_path / "out", ready))
    process.start()
    assert ready.wait(60)
    yield process
    process.kill()
    process.join(60)


def test_another_process_is_refused(tmp_path, holder):
    with pytest.raises(OSError, match="is being written"), one_writer(tmp_path / "out"):
        pass


def test_the_refusal_names_the_holder(tmp_path, holder):
    with pytest.raises(OSError, match=f"process {holder.pid} on {socket.gethostname()} since 2"):
        one_writer(tmp_path / "out").__enter__()


def test_a_second_refusal_names_the_holder_too(tmp_path, holder):
    for _ in range(2):
        with pytest.raises(OSError, match=f"process {holder.pid} "):
            one_writer(tmp_path / "out").__enter__()


def test_a_killed_process_holds_nothing(tmp_path, holder):
    holder.kill()
    holder.join(60)
    with one_writer(tmp_path / "out"):
        assert f"process {os.getpid()} " in (tmp_path / ".out.lock").read_text()


def test_nothing_is_left(tmp_path):
    with one_writer(tmp_path / "deep" / "out"):
        assert [file.name for file in (tmp_path / "deep").iterdir()] == [".out.lock"]
    assert not list((tmp_path / "deep").iterdir())


def test_it_is_free_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), one_writer(tmp_path / "out"):
        1 / 0  # noqa: B018
    with one_writer(tmp_path / "out"):
        pass


def test_another_thread_of_the_process_is_refused(tmp_path):
    with one_writer(tmp_path / "out"), pytest.raises(OSError, match=f"process {os.getpid()} "):
        one_writer(tmp_path / "out").__enter__()


def test_other_paths_are_free(tmp_path):
    with one_writer(tmp_path / "one"), one_writer(tmp_path / "other"):
        assert sorted(file.name for file in tmp_path.iterdir()) == [".one.lock", ".other.lock"]
