"""What a training loses when another process takes a core, by how OpenMP's threads wait for each other.

    python benchmarks/busy_machine.py --dataset-dir DIR --out benchmarks/results/busy_machine_cpu_2026-11.md

Each way is a set of environment variables, which the OpenMP runtime reads when it is loaded; so each has a process of
its own, which trains with the isbi_compact bundle. They take turns: in each round, each trains for some seconds alone,
then beside a process that does nothing but keep one core busy; the others sleep. A turn in which anything else took
more than a twentieth of a core is repeated. For Linux, which counts what each process takes.
"""

from __future__ import annotations

import argparse
import datetime
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from _bundle_step import bundle
from _measure import publish, where_it_ran
from ignite.engine import Events

FEATURES = [16, 32, 64, 128, 256]  # of isbi_compact, which trains as isbi does
CORES = torch.get_num_threads()
WAYS: dict[str, dict[str, str]] = {
    "as it is": {},
    "`OMP_WAIT_POLICY=passive`": {"OMP_WAIT_POLICY": "passive"},
    "`GOMP_SPINCOUNT=0`": {"GOMP_SPINCOUNT": "0"},
    "`GOMP_SPINCOUNT=100`": {"GOMP_SPINCOUNT": "100"},
    "`GOMP_SPINCOUNT=1000`": {"GOMP_SPINCOUNT": "1000"},
    "`GOMP_SPINCOUNT=10000`": {"GOMP_SPINCOUNT": "10000"},
    f"one thread less, `OMP_NUM_THREADS={CORES - 1}`": {"OMP_NUM_THREADS": str(CORES - 1)},
    "`OMP_PROC_BIND=true`": {"OMP_PROC_BIND": "true"},
    "`OMP_PROC_BIND=true GOMP_SPINCOUNT=0`": {"OMP_PROC_BIND": "true", "GOMP_SPINCOUNT": "0"},
}
QUIET = 0.05  # cores that others may take in a turn


class Turns:
    """Let a training go on for some seconds when it is told to, and report its iterations a second."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.start, self.end, self.done = 0.0, 0.0, 0

    def __call__(self) -> None:
        """To be called after each iteration."""
        self.done += 1
        now = time.perf_counter()
        if now < self.end:
            return
        self.connection.send(self.done / (now - self.start))
        seconds = self.connection.recv()
        if not seconds:
            raise SystemExit
        self.start, self.done = time.perf_counter(), 0
        self.end = self.start + seconds


def train(connection: Connection, dataset_dir: str) -> None:
    """The bundle's training without validation, in turns, for ever."""
    with tempfile.TemporaryDirectory() as folder:
        workflow = bundle(dataset_dir, folder, 10**6, device="cpu", features=FEATURES)
        trainer = workflow.parser.get_parsed_content("train::trainer")
        trainer.add_event_handler(Events.ITERATION_COMPLETED, Turns(connection))
        trainer.run()


def others_time(ours: Sequence[int]) -> float:
    """Seconds of all cores that went to other processes than these and this one, or to other guests of the host."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    jiffies = sum(fields) - fields[3] - fields[4]  # without idle and waiting for a disk
    for pid in (os.getpid(), *ours):
        jiffies -= sum(map(int, Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]))
    return jiffies / os.sysconf("SC_CLK_TCK")


def is_quiet(seconds: float = 0.5) -> bool:
    """Whether nothing takes the cores, this benchmark being still."""
    before = others_time([])
    time.sleep(seconds)
    return others_time([]) - before <= QUIET * seconds


@contextmanager
def busy_process() -> Iterator[list[int]]:
    """A process that keeps one core busy, by its number."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        time.sleep(0.3)  # Python starts
        try:
            yield [process.pid]
        finally:
            process.kill()


def spread(values: list[float]) -> str:
    """Median, and lowest to highest."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def main() -> None:
    """Time all ways, write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset-dir", required=True, help="the ISBI 2012 files")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3, help="of each turn")
    parser.add_argument(
        "--ways", type=int, nargs="+", default=range(len(WAYS)), help="as it is and these, by their numbers from 0"
    )
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if torch.cuda.is_available() or CORES < 2:
        sys.exit("the threads of OpenMP wait for each other where a training runs on two cores or more of a CPU")

    context = multiprocessing.get_context("spawn")
    connections: dict[str, Connection] = {}
    processes: dict[str, multiprocessing.process.BaseProcess] = {}
    for way in [list(WAYS)[number] for number in {0, *args.ways}]:
        connections[way], other = context.Pipe()
        before = dict(os.environ)
        os.environ.update(WAYS[way])
        processes[way] = context.Process(target=train, args=(other, args.dataset_dir), daemon=True)
        processes[way].start()
        os.environ.clear()
        os.environ.update(before)
    for connection in connections.values():
        connection.recv()  # the first iteration is not counted

    def turn(way: str, with_busy: bool) -> float:
        """Iterations a second."""
        while True:
            with busy_process() if with_busy else nullcontext([]) as others:
                ours = [processes[way].pid, *others]
                start, before = time.perf_counter(), others_time(ours)
                connections[way].send(args.seconds)
                speed = float(connections[way].recv())
                taken = (others_time(ours) - before) / (time.perf_counter() - start)
            if taken <= QUIET:
                return speed
            print(f"again: others took {taken:.2f} cores", flush=True)
            while not is_quiet():
                time.sleep(1)

    for way in connections:
        connections[way].send(1)  # this pays for memory
        connections[way].recv()
    print("measuring", flush=True)
    alone: dict[str, list[float]] = {way: [] for way in connections}
    beside: dict[str, list[float]] = {way: [] for way in connections}
    for number in range(args.rounds):
        order = list(connections)[number % len(connections) :] + list(connections)[: number % len(connections)]
        for speeds in (alone, beside):
            for way in order:
                speeds[way].append(turn(way, speeds is beside))
        print(f"round {number}:", *(f"{alone[way][-1]:.2f} {beside[way][-1]:.2f}," for way in connections), flush=True)
    for connection in connections.values():
        connection.send(0)

    first = alone["as it is"]
    lines = [
        "# Training beside a process that takes a core",
        "",
        f"- Date: {datetime.date.today()}",
        f"- Machine: {where_it_ran('torch', 'monai', 'pytorch-ignite')}, {CORES} threads; OpenMP by {openmp()}",
        f"- The isbi_compact bundle's training, features 16 to 256, 572 px in; {statistics.median(first):.2f} "
        f"iterations a second as it is, alone ({min(first):.2f} to {max(first):.2f}) (`benchmarks/busy_machine.py`)",
        f"- Speed relative to 'as it is, alone' of the same round: medians of {args.rounds} rounds of {args.seconds:g} "
        "seconds each, taking turns (lowest to highest)",
        "",
        "| | alone | beside one busy process |",
        "|---|--:|--:|",
    ]
    for way in connections:
        ratios = [
            [speed / other for speed, other in zip(speeds[way], first, strict=True)] for speeds in (alone, beside)
        ]
        lines.append(f"| {way} | {spread(ratios[0])} | {spread(ratios[1])} |")
    publish(lines, args.out)


def openmp() -> str:
    """The OpenMP runtime that is loaded, by the name of its file."""
    maps = Path("/proc/self/maps")
    files = {Path(line.split()[-1]).name for line in maps.read_text().splitlines()} if maps.exists() else set()
    return ", ".join(sorted(file for file in files if file.startswith(("libgomp", "libiomp", "libomp")))) or "unknown"


if __name__ == "__main__":
    main()
