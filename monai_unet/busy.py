"""Whether other processes take the cores that a training is about to use."""

from __future__ import annotations

import os
import time
from pathlib import Path

import torch

_STAT = Path("/proc/stat")


def say_if_busy(device: str | torch.device) -> None:
    """Say at the start of a training on a CPU that it has more threads than cores are free, and what to set.

    OpenMP's threads wait for the slowest of them many times in an iteration. Nothing is said where the system does not
    tell. Figures: `benchmarks/results/busy_machine_cpu_2026-11.md`.
    """
    if torch.device(device).type != "cpu":
        return
    cores = usable_cores()
    taken = round(cores_taken(cores))
    threads, free = torch.get_num_threads(), max(1, len(cores) - taken)
    if taken and threads > free:
        print(
            f"other processes take {taken} of {len(cores)} cores, and {threads} threads would wait for each other: if "
            f"it stays so, put OMP_NUM_THREADS={free} before the command"
        )


def cores_taken(cores: set[int], seconds: float = 0.3) -> float:
    """How many of these cores other processes kept busy meanwhile, this process being still; 0 where that is unknown.

    Args:
        cores: by their numbers in /proc/stat.
        seconds: to look for.
    """
    before, own = _ticks(cores), time.process_time()
    time.sleep(seconds)
    after, own = _ticks(cores), time.process_time() - own
    busy, all_of_them = (after[n] - before[n] for n in range(2))
    return max(0.0, len(cores) * busy / all_of_them - own / seconds) if all_of_them > 0 else 0.0


def _ticks(cores: set[int]) -> tuple[int, int]:
    """Ticks of the clock that these cores were busy, for other guests of the host too, and all; 0 where unknown."""
    busy = total = 0
    try:
        lines = _STAT.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0, 0
    for name, *fields in map(str.split, lines):
        if name.startswith("cpu") and name[3:].isdecimal() and int(name[3:]) in cores:
            ticks = [int(field) for field in fields[:8]]  # the later ones are counted in the first two
            total += sum(ticks)
            busy += sum(ticks) - ticks[3] - ticks[4]  # idle, and waiting for a disk
    return busy, total


def usable_cores() -> set[int]:
    """Those that this process may use, by their numbers in /proc/stat."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))
