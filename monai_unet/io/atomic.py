"""Write a file or a folder aside and rename it, so that a reader never meets half of it."""

from __future__ import annotations

import os
import platform
import re
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
    when it is missing. What stood at `path` is replaced in one step, or left as it was. What a killed process left of
    writing it is removed.

    Example:
        >>> with written_aside("build/mask.tif") as temporary:  # doctest: +SKIP
        ...     tifffile.imwrite(temporary, mask)
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path)
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
    remove_leftovers(path)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=_prefix(path)))
    try:
        yield temporary
        temporary.chmod(0o777 & ~_UMASK)  # mkdtemp makes private folders
        temporary.rename(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


@contextmanager
def scratch_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A folder beside `path` for what is needed until `path` is written; removed when the block ends."""
    path = Path(path)
    remove_leftovers(path)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=_prefix(path)) as folder:
        yield Path(folder)


def discard(folder: str | os.PathLike[str]) -> None:
    """Remove a folder in one step, as others see it: what a killed process leaves of it has another name."""
    with scratch_folder(folder) as scratch:
        Path(folder).rename(scratch / "discarded")


def remove_leftovers(path: str | os.PathLike[str]) -> None:
    """Remove what killed processes of this machine left of writing `path`; of those that still run, nothing."""
    if os.name == "nt" or not Path(path).parent.is_dir():  # there, looking for a process by its number could end it
        return
    name = re.compile(rf"{re.escape(_stem(path))}(\d+)@{re.escape(_host())}-.*")
    with os.scandir(Path(path).parent) as entries:
        left = [entry for entry in entries if (found := name.fullmatch(entry.name)) and not _is_running(int(found[1]))]
    for entry in left:
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry, ignore_errors=True)
        else:
            Path(entry).unlink(missing_ok=True)


def _prefix(path: str | os.PathLike[str]) -> str:
    return f"{_stem(path)}{os.getpid()}@{_host()}-"


def _stem(path: str | os.PathLike[str]) -> str:
    return f".writing-{Path(path).name[:100]}-"


def _host() -> str:
    return re.sub(r"[^\w.-]", "_", platform.node())[:40]


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True
