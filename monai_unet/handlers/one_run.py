"""One run at a time writes checkpoints and curves in a folder."""

from __future__ import annotations

import atexit
from contextlib import AbstractContextManager
from pathlib import Path

import ignite.distributed as idist

from monai_unet.io import one_writer

_held: dict[Path, AbstractContextManager[None]] = {}


def hold(*places: str | Path) -> None:
    """Hold files against other processes until `release` or the end of this one, in the first of several processes.

    A training holds what it writes before it writes anything: of two with the same `--ckpt_dir` the second would take
    the first one's half-written checkpoint for a leftover. What this process holds already stays held.

    Args:
        places: files, there or not; their folders are made when they are missing.

    Raises:
        OSError: when another process holds one; says which, and since when. Then none of them is held, and no folder
            is made.
    """
    taken: list[Path] = []
    made: list[Path] = []
    for place in dict.fromkeys(Path(each).absolute() for each in places) if idist.get_rank() == 0 else ():
        if place in _held:
            continue
        is_new = not place.parent.exists()
        writer = one_writer(place)
        try:
            writer.__enter__()
        except OSError:
            release(*taken)
            for folder in made:
                folder.rmdir()
            raise
        _held[place] = writer
        taken.append(place)
        made += [place.parent] if is_new else []


def release(*places: Path) -> None:
    """Let others write these files; all that this process holds when none is named."""
    for place in places or tuple(_held):
        _held.pop(place).__exit__(None, None, None)


atexit.register(release)
