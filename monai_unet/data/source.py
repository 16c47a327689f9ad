"""Where a data set comes from: a folder, an archive, or the URL of either, as a folder on this machine."""

from __future__ import annotations

import shutil
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from monai_unet.data.fetch import MOST_BYTES, download
from monai_unet.data.unpack import safe_extract

DOWNLOADS = ".download"
"""Folder of unfinished downloads in the folder that they are for, as that is git-ignored and on the right disk."""

_ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2")


@contextmanager
def local_folder(
    source: str, out: Path, files: Sequence[str] = (), optional: Sequence[str] = (), max_bytes: int = MOST_BYTES
) -> Iterator[tuple[Path, bool]]:
    """A folder with what the source holds, for as long as the block runs.

    Args:
        source: a folder, a zip or tar archive, or a URL: file, or http and https of an archive; of a folder too where
            `files` are named.
        out: downloads collect in its `.download`; one that broke off goes on there.
        files: of a folder's URL, each of which is fetched.
        optional: those of `files` that the server need not have.
        max_bytes: of a download, and of the files in an archive.

    When the block ends, or ends with an error that says that the data is no good (ValueError, FileNotFoundError), the
    downloads are removed: what came is whole and of no use, and the next call is to fetch it anew. After any other
    error, one of the network say, they stay and go on.

    Yields:
        The folder, and whether it was unpacked from an archive, so that the files may lie deeper.

    Raises:
        FileNotFoundError: when there is no such source.
        ValueError: for a URL of another kind, or an unsafe or damaged archive.
        OSError: when a download fails.
    """
    try:
        with _found(source, out, files, optional, max_bytes) as found:
            yield found
    except (ValueError, FileNotFoundError):
        _remove_downloads(out)
        raise
    except OSError:
        if not any(path.is_file() for path in (out / DOWNLOADS).rglob("*")):
            _remove_downloads(out)
        raise
    _remove_downloads(out)


def _remove_downloads(out: Path) -> None:
    if (out / DOWNLOADS).is_dir():
        shutil.rmtree(out / DOWNLOADS)
        if not any(out.iterdir()):
            out.rmdir()


@contextmanager
def _found(
    source: str, out: Path, files: Sequence[str], optional: Sequence[str], max_bytes: int
) -> Iterator[tuple[Path, bool]]:
    url = urllib.parse.urlsplit(source)
    if url.scheme in ("http", "https"):
        # by source, so that a download that was begun from elsewhere is not taken for this one
        here = out / DOWNLOADS / f"{url.netloc}{url.path}".replace("/", "_").replace(":", "_")
        name = urllib.parse.unquote(Path(url.path).name).lower()
        if name.endswith(_ARCHIVES):
            path = download(source, here / "archive", max_bytes=max_bytes)
        elif not files or name.endswith((".tif", ".tiff")):
            expected = (
                f"the folder with {' and '.join(files)}, or of an archive" if files else "an archive (.zip, .tar)"
            )
            raise ValueError(f"{source} is one file: expected the URL of {expected}")
        else:
            path = _download_files(url, here, files, optional, max_bytes)
    elif url.scheme == "file":
        if url.netloc not in ("", "localhost"):
            raise ValueError(f"{source} names the machine {url.netloc!r}: expected file:///FOLDER of this one")
        path = Path(urllib.request.url2pathname(url.path))
    elif "://" in source:
        raise ValueError(f"cannot read {source!r}: expected a folder, an archive, or a URL with http, https or file")
    else:
        path = Path(source)
    if path.is_dir():
        yield path, False
    elif path.is_file():
        with tempfile.TemporaryDirectory() as temporary:
            try:
                safe_extract(path, Path(temporary, "unpacked"), max_bytes)
            except ValueError as error:
                if url.scheme not in ("http", "https"):
                    raise
                raise ValueError(f"{source}: {error}") from error  # its place in `out` says little
            yield Path(temporary, "unpacked"), True
    elif path.exists():
        raise ValueError(f"{path} is neither a folder nor an ordinary file; expected a folder or an archive")
    else:
        raise FileNotFoundError(f"{path} does not exist; expected a folder, an archive, or the URL of one")


def _download_files(
    url: urllib.parse.SplitResult, here: Path, files: Sequence[str], optional: Sequence[str], max_bytes: int
) -> Path:
    for file in files:
        # the query (a token, say) belongs behind each file's name
        address = urllib.parse.urlunsplit(url._replace(path=f"{url.path.rstrip('/')}/{file}", fragment=""))
        try:
            download(address, here / file, max_bytes=max_bytes)
        except FileNotFoundError:
            if file not in optional:
                raise
    return here
