"""What is said at the start of a training when other processes take cores; /proc/stat is made up."""

import time

import pytest
import torch

from monai_unet import busy

CORES = 4


def stat(busy_ticks):
    """A /proc/stat after 1000 ticks of each core, of which other processes had so many."""
    cores = [f"cpu{n} {ticks} 0 0 {1000 - ticks} 0 0 0 0 0 0" for n, ticks in enumerate(busy_ticks)]
    return "\n".join([f"cpu  {sum(busy_ticks)} 0 0 0 0 0 0 0 0 0", *cores, "intr 1 2 3", "ctxt 4"]) + "\n"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Set the load of each core and the threads of torch."""
    file = tmp_path / "stat"

    def set_up(busy_ticks, threads=CORES, cores=CORES):
        file.write_text(stat([0] * len(busy_ticks)).replace(" 1000 ", " 0 "))
        monkeypatch.setattr(busy, "_STAT", file)
        monkeypatch.setattr(busy, "usable_cores", lambda: set(range(cores)))
        monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
        monkeypatch.setattr(time, "sleep", lambda seconds: file.write_text(stat(busy_ticks)))

    return set_up


def test_a_taken_core_is_said_with_what_to_set(machine, capsys):
    machine([30, 0, 980, 20])
    busy.say_if_busy("cpu")
    said = capsys.readouterr().out
    assert said.startswith("other processes take 1 of 4 cores")
    assert "OMP_NUM_THREADS=3" in said
    assert said.count("\n") == 1


def test_one_thread_is_left_when_all_cores_are_taken(machine, capsys):
    machine([1000, 1000, 1000, 1000])
    busy.say_if_busy(torch.device("cpu"))
    assert "OMP_NUM_THREADS=1 " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("load", "device"), [([100, 20, 150, 60], "cpu"), ([1000, 1000, 0, 0], "cuda:0"), ([1000, 0, 0, 0], "mps")]
)
def test_nothing_is_said_when_it_is_quiet_or_another_device_computes(machine, capsys, load, device):
    machine(load)
    busy.say_if_busy(device)
    assert capsys.readouterr().out == ""


def test_nothing_is_said_when_the_threads_fit_the_free_cores(machine, capsys):
    machine([1000, 0, 0, 0], threads=3)
    busy.say_if_busy("cpu")
    assert capsys.readouterr().out == ""


def test_cores_that_this_process_may_not_use_do_not_count(machine, capsys):
    machine([0, 0, 1000, 1000], threads=2, cores=2)
    busy.say_if_busy("cpu")
    assert capsys.readouterr().out == ""


def test_nothing_is_said_where_the_system_does_not_tell(machine, monkeypatch, tmp_path, capsys):
    machine([1000] * CORES)
    monkeypatch.setattr(busy, "_STAT", tmp_path / "none")
    busy.say_if_busy("cpu")
    assert capsys.readouterr().out == ""
