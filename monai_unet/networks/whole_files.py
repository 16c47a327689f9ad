"""What PyTorch saves, written whole or not at all."""

from __future__ import annotations

import errno
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import torch

from monai_unet.io import written_aside

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Name the file in the error that says that a disk is full, which by itself names none."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise OSError(f"{path} cannot be written: {error.strerror}") from error


def write_whole(path: str | Path, save: Callable[[BinaryIO], Any]) -> None:
    """Write a file aside and rename it; where that fails, nothing is left, and what stood there stays.

    PyTorch's own writers answer a full disk with "unexpected pos", or end the process, and name no file. So the bytes
    are put together in memory.

    Args:
        path: the file; its folder is made when it is missing.
        save: writes into what it is given.

    Raises:
        OSError: with the path and the reason, as "No space left on device".
    """
    buffer = io.BytesIO()
    save(buffer)
    try:
        with written_aside(path) as temporary, temporary.open("wb") as file:
            file.write(buffer.getbuffer())
    except OSError as error:
        raise OSError(f"{path} cannot be written: {error.strerror or error}") from error


def save_whole(content: Any, path: str | Path) -> None:
    """`torch.save`, whole or not at all; see `write_whole`."""
    write_whole(path, lambda file: torch.save(content, file))
