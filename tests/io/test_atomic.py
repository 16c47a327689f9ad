import os
import subprocess
import sys

import pytest

from monai_unet.io import folder_written_aside, remove_leftovers, written_aside
from monai_unet.io.atomic import discard

KILLED = """
import os, signal, sys
from monai_unet.io import folder_written_aside, written_aside
with {writer}(sys.argv[1]) as temporary:
    (temporary if temporary.is_file() else temporary / "part").write_text("half")
    {end}
"""


def killed(writer, path):
    """A process that is killed while it writes."""
    script = KILLED.format(writer=writer, end="os.kill(os.getpid(), signal.SIGKILL)")
    assert subprocess.run([sys.executable, "-c", script, path]).returncode == -9


def test_the_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "a.nii.gz"
    with written_aside(path) as temporary:
        temporary.write_text("x")
        assert not path.exists()
        assert temporary.name.endswith(".nii.gz")
    assert path.read_text() == "x"
    assert list(path.parent.iterdir()) == [path]


def test_what_was_there_stays_when_writing_fails(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail():
        with written_aside(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_result_is_an_ordinary_file_that_others_may_read(tmp_path):
    (tmp_path / "b").touch()
    with written_aside(tmp_path / "a") as temporary:
        temporary.touch()
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


@pytest.mark.parametrize("writer", [written_aside, folder_written_aside])
@pytest.mark.parametrize("name", ["a.tif", "a [1].tif", "x" * 200])
def test_what_a_killed_process_left_is_removed_by_the_next_that_writes(tmp_path, writer, name):
    killed(writer.__name__, tmp_path / name)
    assert len(list(tmp_path.iterdir())) == 1
    with writer(tmp_path / name):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_what_a_running_process_writes_is_left_alone(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", KILLED.format(writer="written_aside", end="print(flush=True); input()"), tmp_path / "a"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        process.stdout.readline()
        remove_leftovers(tmp_path / "a")
        process.communicate(b"\n", timeout=60)
    assert process.returncode == 0
    assert (tmp_path / "a").read_text() == "half"


def test_leftovers_of_another_name_are_left_alone(tmp_path):
    killed("written_aside", tmp_path / "ab")
    remove_leftovers(tmp_path / "a")
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_is_not_there_has_no_leftovers(tmp_path):
    remove_leftovers(tmp_path / "nowhere" / "a")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_removed_to_the_end_is_gone_by_its_name(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").touch()

    def fail(*args, **kwargs):
        raise OSError

    monkeypatch.setattr(os, "unlink", fail)
    with pytest.raises(OSError):  # noqa: PT011
        discard(tmp_path / "a")
    assert not (tmp_path / "a").exists()
