"""A data set that is not there: a workflow can be looked at without it, but not run."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn


class NoFiles(list):
    """No files, and the error that says why."""

    def __init__(self, why: Exception) -> None:
        super().__init__()
        self.why = why

    def refuse(self) -> NoReturn:
        """Raise the error."""
        raise self.why


def files_if_there(find: Callable[..., Sequence[Any]], folder: str | Path, *how: Any, **more: Any) -> Sequence[Any]:
    """The files that `find` gives, or `NoFiles` where their folder is missing.

    So the properties of a bundle's workflow can be checked, and its network loaded, before its data set is in place.

    Args:
        find: called with the folder and everything else that is given.
        folder: where the files are; a file or a pattern, too, where `find` takes it.
        *how: for `find`.
        **more: for `find`.

    Raises:
        ValueError, OSError: as `find`, when the folder exists.
    """
    try:
        return find(folder, *how, **more)
    except FileNotFoundError as error:
        if os.path.lexists(folder):
            raise
        return NoFiles(error)


def need(files: Sequence[Any]) -> None:
    """Raise the error that says why there are no files, where there are none."""
    if isinstance(files, NoFiles):
        files.refuse()
