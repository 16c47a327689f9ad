"""Download with resume, unpack without leaving the folder, put files in place without overwriting others.

What MONAI has was looked at first. `monai.apps.utils.download_url` has no resume (it starts in a temporary folder each
time), no timeout, and prints the checksum it found to a log only: `download` here is own code. Unpacking is MONAI's
(`extractall` with `safe_extract_member`, sound against absolute paths, `..` and links in tar archives); `safe_extract`
adds what it leaves open: it looks at all members before it writes the first, refuses links in zip archives, and refuses
a folder that is not empty, where `extractall` returns without a word.
"""

from __future__ import annotations

import filecmp
import hashlib
import http.client
import json
import os
import shutil
import stat
import tarfile
import urllib.error
import urllib.parse
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from monai_unet.io.atomic import written_aside

_CHUNK = 1 << 16


def download(
    url: str, path: str | os.PathLike[str], sha256: str | None = None, timeout: float = 30.0, progress: bool = True
) -> Path:
    """Fetch a file; a transfer that broke off goes on where it stopped.

    The bytes collect in `path` + ".part", with a note beside it (".part.json") of what the server said about the file,
    and are renamed to `path` when they are complete. A later call goes on only when the server confirms that it is the
    same file: by ETag or Last-Modified (asked with If-Range), or, where it sends neither, by its length when `sha256`
    is there to find out the rest. Otherwise, and when the server ignores Range, it starts again from the first byte,
    so pieces of different files are never joined.

    Args:
        url: http or https.
        path: where the file is to be; one that is there already is left alone, after its checksum when one is given.
        sha256: checksum in hexadecimal digits, or None when it is not known.
        timeout: longest silence of the server, seconds.
        progress: show a bar when stderr is a terminal.

    Returns:
        `path`.

    Raises:
        ValueError: when the URL is of another kind or the checksum is another; the bytes are then removed.
        FileNotFoundError: when the server does not have the file (404, 410).
        OSError: when the server cannot be reached, refuses, or the transfer breaks off; what came is kept.
    """
    path = Path(path)
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(f"cannot download {url!r}: expected a URL that starts with http:// or https://")
    if path.exists():
        if sha256 is not None:
            _check_sha256(path, url, sha256)
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    note = path.with_name(path.name + ".part.json")
    with _locked(part):
        try:
            _transfer(url, part, note, sha256 is not None, timeout, progress)
        except urllib.error.HTTPError as error:
            if not part.stat().st_size:
                part.unlink()
                note.unlink(missing_ok=True)
            kind = FileNotFoundError if error.code in (404, 410) else OSError
            raise kind(f"{url}: the server answered {error.code} {error.reason}") from error
        except (OSError, http.client.HTTPException) as error:
            have = part.stat().st_size
            if not have:
                part.unlink()
                note.unlink(missing_ok=True)
                raise OSError(f"{url}: nothing came ({error}); check the address and the network") from error
            raise OSError(
                f"{url}: the transfer broke off after {have} bytes ({error}); they are kept in {part}; "
                "the same call resumes there"
            ) from error
        try:
            if sha256 is not None:
                _check_sha256(part, url, sha256)
        except ValueError:
            part.unlink()
            raise
        finally:
            note.unlink(missing_ok=True)
        part.replace(path)
    return path


def _transfer(url: str, part: Path, note: Path, has_checksum: bool, timeout: float, progress: bool) -> None:
    """Bring `part` to its full length."""
    seen = _read_note(note, url)
    have = part.stat().st_size
    validator = seen.get("etag") or seen.get("last_modified")
    if have and (validator or (has_checksum and seen.get("length"))):
        headers = {"Range": f"bytes={have}-"}
        if validator:
            headers["If-Range"] = validator
        try:
            response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout)
        except urllib.error.HTTPError as error:
            if error.code != 416:  # "range not satisfiable": the file has become shorter, or nothing is missing
                raise
            error.close()
        else:
            with response:
                if response.status != 206:
                    _fill(response, url, part, note, 0, None, progress)
                    return
                if _continues(response, have, seen):
                    _fill(response, url, part, note, have, seen["length"], progress)
                    return
    with urllib.request.urlopen(url, timeout=timeout) as response:
        _fill(response, url, part, note, 0, None, progress)


def _continues(response: http.client.HTTPResponse, have: int, seen: dict[str, Any]) -> bool:
    """Whether a 206 answer is the rest of the file whose first `have` bytes are here."""
    span, _, total = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
    now = _described(response)
    return (
        span.partition("-")[0] == str(have)
        and (seen["length"] is None or total == str(seen["length"]))
        and all(now[key] in (None, seen[key]) for key in ("etag", "last_modified"))
    )


def _described(response: http.client.HTTPResponse) -> dict[str, Any]:
    etag = response.headers.get("ETag")
    length = response.headers.get("Content-Length")
    return {
        # a weak tag ("W/...") promises the same meaning, not the same bytes
        "etag": None if etag is None or etag.startswith("W/") else etag,
        "last_modified": response.headers.get("Last-Modified"),
        "length": int(length) if length and length.isdigit() else None,
    }


def _read_note(note: Path, url: str) -> dict[str, Any]:
    try:
        seen = json.loads(note.read_text())
        return seen if seen["url"] == url and {"etag", "last_modified", "length"} <= seen.keys() else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # without a note of what they are, the bytes in the part are worth nothing


def _fill(
    response: http.client.HTTPResponse, url: str, part: Path, note: Path, have: int, total: int | None, progress: bool
) -> None:
    """Write what comes behind the first `have` bytes, `total` in the end (None: as the answer says, if it does)."""
    if not have:
        total = _described(response)["length"]
        part.write_bytes(b"")  # before the note: an old part must not stand beside a new note
        with written_aside(note) as temporary:
            temporary.write_text(json.dumps({"url": url, **_described(response)}))
    with (
        part.open("ab") as file,
        tqdm(
            initial=have,
            total=total,
            unit="B",
            unit_scale=True,
            desc=part.name.removesuffix(".part"),
            disable=None if progress else True,  # None: only on a terminal
        ) as bar,
    ):
        while chunk := response.read(_CHUNK):
            file.write(chunk)
            bar.update(len(chunk))
            have += len(chunk)
    if total is not None and have != total:
        raise OSError(f"{total} bytes were announced")


@contextmanager
def _locked(part: Path) -> Iterator[None]:
    """Hold `part` (made when it is missing) for this process; two that append to one file would mix their bytes."""
    try:
        import fcntl
    except ImportError:  # Windows, where an open file could not be renamed either; the checksum has to find it
        part.touch()
        yield
        return
    with part.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OSError(
                f"{part} is being downloaded by another process; wait for it or choose another path"
            ) from error
        yield


def _check_sha256(path: Path, url: str, expected: str) -> None:
    # not MONAI's check_hash: it logs the sum that it found, and a user needs it in the error
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            found.update(chunk)
    if found.hexdigest() != expected.lower():
        raise ValueError(
            f"{path.name} from {url} has the SHA-256 {found.hexdigest()}, expected {expected}: "
            "the file is damaged or has changed; download it again or ask for the new checksum"
        )


def safe_extract(archive: str | os.PathLike[str], out: str | os.PathLike[str]) -> list[Path]:
    """Unpack a zip or tar archive (compressed or not) into an empty folder, and only there.

    Args:
        archive: the file; its kind is told by its content.
        out: folder that is empty or not there yet.

    Returns:
        The files that were written, sorted.

    Raises:
        ValueError: when it is not an archive or damaged, or when a member is a link or would lie outside `out`
            (absolute, or through `..`); nothing is written then, except from a damaged archive.
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
    except (EOFError, zlib.error):  # is_tarfile lets these of a cut off .tar.gz through
        kind = None
    if kind is None:
        raise ValueError(f"{archive} is neither a zip nor a tar archive, or is damaged")

    from monai.apps.utils import extractall, safe_extract_member  # here, as MONAI takes seconds to import

    members: list[zipfile.ZipInfo] | list[tarfile.TarInfo]
    try:
        if kind == "zip":
            with zipfile.ZipFile(archive) as opened_zip:
                members = opened_zip.infolist()
            for member in members:
                if stat.S_ISLNK(member.external_attr >> 16):
                    raise ValueError(f"Symbolic link detected in archive: {member.filename}")
        else:
            with tarfile.open(archive) as opened_tar:
                members = opened_tar.getmembers()
        for any_member in members:
            safe_extract_member(any_member, out)
    except ValueError as error:
        raise ValueError(f"{archive} was not unpacked: one of its files could land outside {out}: {error}") from error
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error) as error:
        raise ValueError(f"{archive} is damaged: {error}") from error
    out.mkdir(parents=True, exist_ok=True)
    try:
        # extractall goes by the name before it goes by file_type, so a tar archive called x.zip fails here
        extractall(archive, out, file_type=kind, has_base=False)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, RuntimeError) as error:
        raise ValueError(f"{archive} is damaged, encrypted, or not of the type that its name says: {error}") from error
    return sorted(path for path in out.rglob("*") if path.is_file())


def install_files(files: Mapping[str, Path | None], out: str | os.PathLike[str], force: bool = False) -> list[Path]:
    """Copy the files of a data set into its folder; each appears whole or not at all, and different ones stay.

    Args:
        files: name in `out` to the file to be copied there, in this order; None for a name that belongs to the
            set but not to this one (an optional file), so that none is left there from another.
        out: folder, made when it is missing.
        force: replace or remove what differs.

    Returns:
        The paths in `out`, without the optional ones that are missing.

    Raises:
        FileExistsError: when a file is there with other bytes and `force` is not set; nothing is written then.
    """
    out = Path(out)
    same = {name: _same(out / name, source) for name, source in files.items()}
    others = [name for name, equal in same.items() if not equal and (out / name).exists()]
    if others and not force:
        raise FileExistsError(
            f"{out} holds other data already ({', '.join(others)} would change); "
            "take another folder, or --force (force=True) to replace it"
        )
    for name, source in files.items():
        if source is None:
            (out / name).unlink(missing_ok=True)
        elif not same[name]:
            with written_aside(out / name) as temporary:
                shutil.copyfile(source, temporary)
    return [out / name for name, source in files.items() if source is not None]


def _same(path: Path, source: Path | None) -> bool:
    if source is None:
        return not path.exists()
    return path.is_file() and filecmp.cmp(path, source, shallow=False)
