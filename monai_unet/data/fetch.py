"""Download with resume and within bounds, put files in place without overwriting others.

What there is was looked at first. `monai.apps.utils.download_url` has no resume (it starts in a temporary folder each
time), no timeout, and prints the checksum it found to a log only; pooch, which scikit-image fetches with, neither
resumes nor has a bound. `download` here is own code.
"""

from __future__ import annotations

import filecmp
import hashlib
import http.client
import json
import os
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from monai_unet.io.atomic import written_aside

_CHUNK = 1 << 16
MOST_BYTES = 20_000_000_000
"""Of a download or an unpacked archive, where no other bound is named; the known sets have 40 MB."""
RESERVE = 100_000_000
"""Bytes of a disk that are left to others."""

_ROOM_STEP = 1 << 26  # bytes after which the disk is looked at again
_SLOWEST = 100  # bytes a second


class NoRoomError(OSError):
    """The disk is too small for what is to come."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follow a redirect to http and https alone; urllib would go on by ftp, from which it waits without an end."""

    def http_error_302(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> Any:
        target = urllib.parse.urljoin(req.full_url, headers.get("Location", headers.get("URI", "")))
        if urllib.parse.urlsplit(target).scheme not in ("http", "https"):
            fp.close()
            raise ValueError(f"{req.full_url} is redirected to {target}: only http:// and https:// are followed")
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _open(request: str | urllib.request.Request, timeout: float) -> http.client.HTTPResponse:
    return urllib.request.build_opener(_Redirects).open(request, timeout=timeout)


def download(
    url: str,
    path: str | os.PathLike[str],
    sha256: str | None = None,
    timeout: float = 30.0,
    progress: bool = True,
    max_bytes: int = MOST_BYTES,
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
        timeout: longest silence of the server, seconds. One that sends less than 100 bytes a second over ten times as
            long is given up, too.
        progress: show a bar when stderr is a terminal.
        max_bytes: largest file that is taken.

    Returns:
        `path`.

    Raises:
        ValueError: when the URL, or what it is redirected to, is of another kind, the file has more than `max_bytes`,
            or the checksum is another; the bytes are then removed.
        FileNotFoundError: when the server does not have the file (404, 410).
        OSError: when the server cannot be reached, refuses, the transfer breaks off, or the disk has no room; what came
            is kept.
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
            _transfer(url, part, note, sha256 is not None, timeout, progress, max_bytes)
        except ValueError:
            part.unlink()
            note.unlink(missing_ok=True)
            raise
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
                if isinstance(error, NoRoomError):
                    raise OSError(f"{url}: {error}") from error
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


def _transfer(
    url: str, part: Path, note: Path, has_checksum: bool, timeout: float, progress: bool, max_bytes: int
) -> None:
    """Bring `part` to its full length."""
    limits = _Limits(max_bytes, 10 * timeout)
    seen = _read_note(note, url)
    have = part.stat().st_size
    validator = seen.get("etag") or seen.get("last_modified")
    if have and (validator or (has_checksum and seen.get("length"))):
        headers = {"Range": f"bytes={have}-"}
        if validator:
            headers["If-Range"] = validator
        try:
            response = _open(urllib.request.Request(url, headers=headers), timeout)
        except urllib.error.HTTPError as error:
            if error.code != 416:  # "range not satisfiable": the file has become shorter, or nothing is missing
                raise
            error.close()
        else:
            with response:
                if response.status != 206:
                    _fill(response, url, part, note, 0, None, progress, limits)
                    return
                if _continues(response, have, seen):
                    _fill(response, url, part, note, have, seen["length"], progress, limits)
                    return
    with _open(url, timeout) as response:
        _fill(response, url, part, note, 0, None, progress, limits)


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


@dataclass(frozen=True)
class _Limits:
    """What a download may take.

    Attributes:
        max_bytes: of the file.
        patience: seconds in which at least `_SLOWEST` bytes for each have to come.
    """

    max_bytes: int
    patience: float

    def check_size(self, url: str, size: int) -> None:
        if size > self.max_bytes:
            raise ValueError(
                f"{url} has {size} bytes or more, and no more than {self.max_bytes} are taken (max_bytes); if it is "
                "the right file, fetch it by other means and name the copy"
            )

    def check_room(self, folder: Path, missing: int) -> None:
        free = shutil.disk_usage(folder).free
        if missing > free - RESERVE:
            raise NoRoomError(f"{missing} bytes are to come, and {folder} has {free} free; make room first")


def _fill(
    response: http.client.HTTPResponse,
    url: str,
    part: Path,
    note: Path,
    have: int,
    total: int | None,
    progress: bool,
    limits: _Limits,
) -> None:
    """Write what comes behind the first `have` bytes, `total` in the end (None: as the answer says, if it does)."""
    if not have:
        total = _described(response)["length"]
        part.write_bytes(b"")  # before the note: an old part must not stand beside a new note
        with written_aside(note) as temporary:
            temporary.write_text(json.dumps({"url": url, **_described(response)}))
    limits.check_size(url, total or have)
    limits.check_room(part.parent, (total or have) - have)
    since, then = time.monotonic(), have
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
        while chunk := response.read1(_CHUNK):  # what is there: `read` would wait until a trickle makes up a chunk
            file.write(chunk)
            bar.update(len(chunk))
            have += len(chunk)
            limits.check_size(url, have)
            if have // _ROOM_STEP > (have - len(chunk)) // _ROOM_STEP:
                limits.check_room(part.parent, (total or have) - have)
            if time.monotonic() - since > limits.patience:
                if have - then < _SLOWEST * limits.patience:
                    raise OSError(f"only {have - then} bytes came in {limits.patience:.0f} seconds")
                since, then = time.monotonic(), have
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
