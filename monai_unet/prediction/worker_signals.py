"""Loaded by Dask in each worker process: Ctrl-C is for the command, which ends its workers."""

from __future__ import annotations

import signal
from typing import Any


def dask_setup(worker: Any) -> None:
    """Leave SIGINT, which a terminal sends to all processes of a command, to the first of them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
