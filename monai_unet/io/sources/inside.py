"""Paths that go on inside a file: FILE.h5/volumes/raw, or FILE.lif/Series003."""

from __future__ import annotations

from pathlib import Path

HOLDS_SEVERAL = (".h5", ".hdf5", ".czi", ".nd2", ".lif")
"""Endings of the files that may hold several images."""


def split_inside(path: Path) -> tuple[Path, str]:
    """The file, and the name of an image in it; "" where the path ends at the file.

    A folder may be called like such a file, and what lies in it is no part of a file.

    Example:
        >>> split_inside(Path("cells.tif"))[1]
        ''
    """
    for file in (path, *path.parents):
        if file.name.lower().endswith(HOLDS_SEVERAL) and _is_there(file):
            return file, "" if file == path else path.relative_to(file).as_posix()
    return path, ""


def _is_there(path: Path) -> bool:
    try:
        return path.exists() and not path.is_dir()
    except (OSError, ValueError):  # a name that no file can have
        return False
