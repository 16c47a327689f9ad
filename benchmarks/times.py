"""How long a training takes, as `monai-unet new` says it before, as the training says it early, and as it turns out.

    OMP_NUM_THREADS=1 python benchmarks/times.py --dataset-dir DIR [DIR ...] --like BUNDLE [BUNDLE ...]

A bundle is made for a folder of images, its network and epochs are set, the trial of `new` is made, and it is trained
in a process of its own. All is measured by the processor's time of the process, which with a single thread is the time
on a core that nobody else uses, but for caches: so the load of the machine does not count. `new` counts the start of
the process and the preparation of the data; the training's own line is said after them, and is compared with what is
left from there.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from trial import cpu_seconds, print_table, said, small_bundle

_HEAD = ("data", "features", "epochs", "new said", "taken", "ratio", "training said", "taken from there", "ratio ")

# in a process of its own: the training's line by the processor's time, and when its first iteration began
_TRAINING = """
import json, sys
from time import process_time
from types import SimpleNamespace
from monai_unet.handlers import how_long, work
from monai_unet.runs.command import run
looks, lines = [], []
def clock():
    looks.append(process_time())
    return looks[-1]
how_long.time = work.time = SimpleNamespace(perf_counter=clock)
def seconds(value):
    lines.append(value)
    return f"{value:.0f} s"
how_long.duration = seconds
run(sys.argv[1], "train", {})
print(json.dumps({"said": lines[0], "from_there": process_time() - looks[0]}))
"""


def compare(dataset_dir: Path, like: str, top: int, epochs: int, val_interval: int) -> str:
    """A row of the table."""
    with tempfile.TemporaryDirectory() as scratch:
        bundle = small_bundle(dataset_dir, like, top, epochs, val_interval, scratch)
        before = said(bundle, cpu_seconds)
        assert before.total is not None, "the own width is always measured"
        start = cpu_seconds()
        command = [sys.executable, "-c", _TRAINING, str(bundle)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        taken, early = cpu_seconds() - start, json.loads(done.stdout.splitlines()[-1])
    cells = (
        f"{dataset_dir.name}, {like}",
        top,
        epochs,
        f"{before.total:.0f} s",
        f"{taken:.0f} s",
        f"{before.total / taken:.2f}",
        f"{early['said']:.0f} s",
        f"{early['from_there']:.0f} s",
        f"{early['said'] / early['from_there']:.2f}",
    )
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    print_table(__doc__, _HEAD, compare)
