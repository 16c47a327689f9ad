"""Write a file or a folder aside and rename it, so that a reader never meets half of it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_UMASK = os.umask(0)
os.umask(_UMASK)  # it can only be read by setting it, which is done once, before there are threads


@contextmanager
def written_aside(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path in the folder of `path`; renamed to `path` when the block ends well, removed when it does not.

    The temporary name keeps every suffix (`x.nii.gz`), since writers choose the format by it. The folder is made
    when it is missing. What stood at `path` is replaced in one step, or left as it was.

    Example:
        >>> with written_aside("build/mask.tif") as temporary:  # doctest: +SKIP
        ...     tifffile.imwrite(temporary, mask)
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    suffixes = "".join(path.suffixes)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=_prefix(path), suffix=suffixes)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_UMASK)  # mkstemp makes private files; the result is an ordinary one
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def folder_written_aside(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary folder beside `path`; renamed to `path` when the block ends well, removed when it does not.

    Raises:
        FileExistsError: before the block, when there is something at `path`.
    """
    path = Path(path)
    if os.path.lexists(path):
        raise FileExistsError(f"{path} exists; remove it, or choose another folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=_prefix(path)))
    try:
        yield temporary
        temporary.chmod(0o777 & ~_UMASK)  # mkdtemp makes private folders
        temporary.rename(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def remove_leftovers(path: str | os.PathLike[str]) -> None:
    """Remove what killed runs left of writing to `path`; only while nobody writes to it."""
    for leftover in Path(path).parent.glob(f"{_prefix(path)}*"):
        leftover.unlink(missing_ok=True)


def _prefix(path: str | os.PathLike[str]) -> str:
    return f".writing-{Path(path).name}-"
