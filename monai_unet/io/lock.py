"""One writer at a time for an output or a folder of checkpoints, also among processes and machines."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def one_writer(path: str | os.PathLike[str]) -> Iterator[None]:
    """Hold `path` against other writers for as long as the block runs.

    The lock is the operating system's, on the file `.NAME.lock` beside `path`: one that a killed process held is free
    at once. The file says who holds it, and is removed at the end.

    Args:
        path: a file or folder, there or not; its folder is made when it is missing.

    Raises:
        OSError: when another process, or another thread of this one, holds it; says which.

    Example:
        >>> with one_writer("build/prediction.ome.zarr"):  # doctest: +SKIP
        ...     write()
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.with_name(f".{path.name}.lock")
    lock = FileLock(file, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise OSError(
            f"{path} is being written by {_holder(file)}: wait for it to end, end it, or give another name"
        ) from None
    try:
        now = datetime.now().astimezone()
        file.write_text(f"process {os.getpid()} on {socket.gethostname()} since {now:%Y-%m-%d %H:%M:%S %Z}\n")
        yield
    finally:
        file.unlink(missing_ok=True)  # while it is held: whoever waits for this file looks again
        lock.release()


def _holder(file: Path) -> str:
    try:
        return file.read_text().strip() or "another process"
    except OSError:
        return "another process"
