"""MONAI's training of a bundle in a process of its own, and what its bar says."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATIENCE = 10.0  # seconds from asking a training to end until it is ended
_LOSSES = {"train::loss_interval": 2}  # iterations between two points of the curve
_BAR = re.compile(r"training:\s.*?(\d+)/(\d+) \[[\d:?]+<([\d:?]+).*?(?:loss=([-+.\deinfa]+))?\]")


@dataclass(frozen=True)
class Run:
    """A training that can be started.

    Attributes:
        bundle: its folder.
        options: for MONAI's command, by name.
        files: pairs of an image and labels that it trains on.
        story: in one line what it starts from.
    """

    bundle: Path
    options: Mapping[str, Any]
    files: int
    story: str

    @property
    def command(self) -> list[str]:
        """The command that runs it; the same that a terminal would take."""
        config = str(self.bundle / "configs" / "train.json")
        given = [part for name, value in {**_LOSSES, **self.options}.items() for part in (f"--{name}", str(value))]
        return [sys.executable, "-m", "monai.bundle", "run", "training", "--config_file", config, *given]


@dataclass(frozen=True)
class Step:
    """Where a training is: iteration, of how many, the loss, None where it was not looked at, and the time left."""

    iteration: int
    total: int
    loss: float | None
    left: str


class Training:
    """A training in a process of its own.

    Args:
        run: what `monai_unet.viewer.prepare.prepare` gives.
        threads: of the process; those that PyTorch takes when left out.
    """

    def __init__(self, run: Run, threads: int | None = None) -> None:
        self.run = run
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}
        if threads:
            environment["OMP_NUM_THREADS"] = str(threads)
        windows = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
        self.process = subprocess.Popen(
            run.command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            creationflags=windows,
            start_new_session=not windows,  # so that a Ctrl-C in the viewer's terminal does not reach it twice
        )
        self.stopped = False
        self.said: list[str] = []

    def steps(self) -> Iterator[Step]:
        """Each step that the process shows, until it ends.

        Raises:
            RuntimeError: when it fails, with the reason that it gave.
        """
        assert self.process.stdout is not None
        rest = ""
        while piece := self.process.stdout.read1(1 << 16):  # type: ignore[attr-defined]
            *lines, rest = re.split(r"[\r\n]", rest + piece.decode(errors="replace"))
            for line in lines:
                if step := read_bar(line):
                    yield step
                elif line.strip():
                    self.said.append(line.strip())
        if rest.strip():
            self.said.append(rest.strip())
        if self.process.wait() and not self.stopped:
            reason = self.said[-1].removeprefix("monai-unet: error: ") if self.said else "no reason given"
            raise RuntimeError(f"training in {self.run.bundle} failed: {reason}")

    def stop(self) -> None:
        """End it as Ctrl-C does: the last checkpoint is kept, and the same run goes on from it.

        A process ignores Ctrl-C where the viewer was started in the background of a shell script. So it is ended after
        `PATIENCE`; checkpoints are written aside, and are whole whenever that is.
        """
        was_stopped, self.stopped = self.stopped, True
        if was_stopped or self.process.poll() is not None:
            return
        self.process.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGINT))
        end = threading.Timer(PATIENCE, self.process.terminate)
        end.daemon = True
        end.start()


def read_bar(line: str) -> Step | None:
    """What a line of the training's progress bar says; None of other lines.

    Example:
        >>> read_bar("training:  50%|#####     | 10/20 [00:05<00:05,  1.90it/s, loss=0.1234]")
        Step(iteration=10, total=20, loss=0.1234, left='00:05')
    """
    found = _BAR.search(line)
    if not found:
        return None
    iteration, total, left, loss = found.groups()
    return Step(int(iteration), int(total), float(loss) if loss else None, left)


def weights_of(bundle: Path) -> Path:
    """The weights of a bundle that predict; there as soon as a training has looked once."""
    return bundle / "models" / "model.pt"
