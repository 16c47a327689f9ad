"""What the benchmarks share: timing by median and spread, and a line that says where it ran."""

from __future__ import annotations

import os
import platform
import subprocess
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path


@dataclass(frozen=True)
class Timing:
    """Wall-clock seconds of some runs of the same thing."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Seconds; the upper one of the two in the middle if the number of runs is even."""
        return sorted(self.seconds)[len(self.seconds) // 2]

    def __str__(self) -> str:
        return f"{1e3 * self.median:.1f} ms ({1e3 * min(self.seconds):.1f} to {1e3 * max(self.seconds):.1f})"


def time_runs(*tasks: Callable[[], object], num_runs: int = 5) -> list[Timing]:
    """Time each task `num_runs` times after one run that is not counted, a `Timing` each.

    The tasks take turns, so that a machine that slows down for a while slows all of them.
    """
    for task in tasks:
        task()
    seconds: list[list[float]] = [[] for _ in tasks]
    for _ in range(num_runs):
        for task, taken in zip(tasks, seconds, strict=True):
            start = time.perf_counter()
            task()
            taken.append(time.perf_counter() - start)
    return [Timing(tuple(taken)) for taken in seconds]


def peak_memory(task: Callable[[], object]) -> int:
    """Most bytes that Python and NumPy had allocated at one time during `task`, without what was there before."""
    tracemalloc.start()
    try:
        task()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def where_it_ran(*packages: str) -> str:
    """Processor, number of cores, system, Python, versions of `packages`, and the commit."""
    versions = [f"{package} {metadata.version(package)}" for package in packages]
    cores = f"{os.cpu_count()} cores"
    return ", ".join(
        [_processor(), cores, platform.system(), f"Python {platform.python_version()}", *versions, _commit()]
    )


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")  # platform.processor() is empty on most Linux systems
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"commit {found.stdout.strip()}" if found.returncode == 0 else "no commit"


def publish(lines: Sequence[str], out: Path | None) -> None:
    """Print a results page, and write it where it is asked for."""
    text = "\n".join(lines) + "\n"
    print(text)
    if out is not None:
        out.write_text(text)
