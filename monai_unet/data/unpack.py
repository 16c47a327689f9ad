"""Unpack an archive into an empty folder, without leaving it and within bounds.

Unpacking is MONAI's (`extractall` with `safe_extract_member`, sound against absolute paths, `..` and links in tar
archives); `safe_extract` adds what it leaves open: it looks at all members before it writes the first, refuses links in
zip archives, pipes, devices and archives that would fill the disk, and refuses a folder that is not empty, where
`extractall` returns without a word.
"""

from __future__ import annotations

import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from monai_unet.data.fetch import MOST_BYTES, RESERVE, NoRoomError

_MOST_MEMBERS = 1_000_000


def safe_extract(
    archive: str | os.PathLike[str], out: str | os.PathLike[str], max_bytes: int = MOST_BYTES
) -> list[Path]:
    """Unpack a zip or tar archive (compressed or not) into an empty folder, and only there.

    Args:
        archive: the file; its kind is told by its content.
        out: folder that is empty or not there yet.
        max_bytes: that the files may have together.

    Returns:
        The files that were written, sorted.

    Raises:
        ValueError: when it is not an archive or damaged, or when a member is a link or would lie outside `out`
            (absolute, or through `..`), or is neither a file nor a folder, or when the files have more than
            `max_bytes`; nothing is written then, except from a damaged archive.
        OSError: when the disk has no room for them.
        FileNotFoundError: when there is no such file.
        FileExistsError: when `out` is not empty.
    """
    archive, out = Path(archive), Path(out)
    if not archive.is_file():
        raise FileNotFoundError(f"{archive} does not exist; expected a zip or tar archive")
    if out.exists() and any(out.iterdir()):
        raise FileExistsError(f"{out} is not empty; unpack {archive.name} into a new folder")
    try:
        kind = "zip" if zipfile.is_zipfile(archive) else "tar" if tarfile.is_tarfile(archive) else None
    except (EOFError, zlib.error, lzma.LZMAError):  # is_tarfile lets these of a cut off .tar.gz through
        kind = None
    if kind is None:
        found = "is a web page, as servers send for an error or a login," if _is_page(archive) else "is damaged, or"
        raise ValueError(f"{archive} {found} neither a zip nor a tar archive")

    from monai.apps.utils import extractall, safe_extract_member  # here, as MONAI takes seconds to import

    with _damage_told(archive, "is damaged"):
        for member in _members(archive, kind, out, max_bytes):
            try:
                safe_extract_member(member, out)
            except ValueError as error:
                raise ValueError(
                    f"{archive} was not unpacked: one of its files could land outside {out}: {error}"
                ) from error
    out.mkdir(parents=True, exist_ok=True)
    with _damage_told(archive, "is damaged, encrypted, or not of the type that its name says"):
        # extractall goes by the name before it goes by file_type, so a tar archive called x.zip fails here
        extractall(archive, out, file_type=kind, has_base=False)
    return sorted(path for path in out.rglob("*") if path.is_file())


def _is_page(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(1000).lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    return start.startswith((b"<!doctype", b"<html", b"<?xml"))


@contextmanager
def _damage_told(archive: Path, found: str) -> Iterator[None]:
    """What zipfile, tarfile and the decoders below them raise, as a ValueError."""
    try:
        yield
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, RuntimeError) as error:
        raise ValueError(f"{archive} {found}: {error}") from error
    except OSError as error:
        if error.errno is not None or isinstance(error, NoRoomError):  # of the disk
            raise
        raise ValueError(f"{archive} {found}: {error}") from error  # gzip and bz2 call their own so


def _members(archive: Path, kind: str, out: Path, max_bytes: int) -> Iterator[zipfile.ZipInfo | tarfile.TarInfo]:
    """The members, as long as their number and their sizes are within bounds, and each is a file or a folder.

    The sizes are those that the archive names: `zipfile` and `tarfile` write no byte more of a member.
    """
    where = next(folder for folder in out.absolute().parents if folder.is_dir())
    free = shutil.disk_usage(where).free
    total = 0
    for count, (member, name, size, is_special) in enumerate(_listed(archive, kind), start=1):
        total += size
        if is_special:
            raise ValueError(f"{archive} was not unpacked: its member {name} is a link, a device or a pipe")
        if total > max_bytes or count > _MOST_MEMBERS:
            raise ValueError(
                f"{archive} was not unpacked: its first {count} files have {total} bytes, and no more than "
                f"{_MOST_MEMBERS} files with {max_bytes} bytes (max_bytes) are taken; if that is right, unpack it and "
                "name the folder"
            )
        if total > free - RESERVE:
            raise NoRoomError(
                f"{archive} was not unpacked: its first {count} files have {total} bytes, and {where} has {free} free; "
                "make room, or name another folder for temporary files (TMPDIR)"
            )
        yield member


def _listed(archive: Path, kind: str) -> Iterator[tuple[zipfile.ZipInfo | tarfile.TarInfo, str, int, bool]]:
    """Each member, its name, its size in bytes, and whether it is a link, a device or a named pipe."""
    if kind == "zip":
        special = (stat.S_IFLNK, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFCHR, stat.S_IFBLK)
        with zipfile.ZipFile(archive) as opened:
            for entry in opened.infolist():
                yield entry, entry.filename, entry.file_size, stat.S_IFMT(entry.external_attr >> 16) in special
    else:
        with tarfile.open(archive) as opened_tar:
            for member in opened_tar:
                yield member, member.name, member.size, member.issym() or member.islnk() or member.isdev()
