"""The headers of MetaImage and NRRD, as far as they say where the pixels lie and how they are packed.

Both are lines of text, "key = value" and "key: value", in front of the pixels or in a file of their own, which then
names the files of the pixels. ITK opens these without a look at what they are, and reads from a named pipe or a device.
"""

from __future__ import annotations

import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from monai_unet.io.sources.base import DEFLATE_RATIO

_LONGEST = 1 << 21  # bytes of a header; those with a list of files are the long ones
_MOST_FILES = 100_000
_RATIOS = {
    **dict.fromkeys(("raw",), 1),
    **dict.fromkeys(("gzip", "gz"), DEFLATE_RATIO),
    **dict.fromkeys(("ascii", "text", "txt", "hex"), 8),  # "0 " may stand for a number of 8 bytes
}
_ANY_RATIO = 1_000_000  # bzip2 has packed 45 million zeros into 45 bytes


@dataclass(frozen=True)
class StoredImage:
    """What there is on the disk.

    Attributes:
        num_bytes: of the file, or of those that it names.
        ratio: how many bytes of the image one of them can hold at most.
    """

    num_bytes: int
    ratio: int


def stored_image(path: Path) -> StoredImage:
    """What an MHA, MHD or NRRD file has for its pixels.

    Raises:
        FileNotFoundError: when a file that the header names is missing.
        ValueError: when one is not an ordinary file, or the header does not end.
    """
    with path.open("rb") as file:
        text = file.read(_LONGEST).decode("latin-1")
    is_nrrd = text.startswith("NRRD")
    lines = text.split("\n")
    fields, end = _nrrd_fields(lines) if is_nrrd else _meta_fields(lines)
    where = fields.get("datafile" if is_nrrd else "elementdatafile", "LOCAL")
    if is_nrrd:
        ratio = _RATIOS.get(fields.get("encoding", "").lower(), _ANY_RATIO)
    elif fields.get("compresseddata", "").lower() in ("true", "1"):
        ratio = DEFLATE_RATIO
    else:
        ratio = _RATIOS["raw" if fields.get("binarydata", "true").lower() in ("true", "1") else "ascii"]
    sizes = [_size(file, path) for file in _data_files(path, where, lines[end:])]
    return StoredImage(sum(sizes), ratio)


def _meta_fields(lines: Sequence[str]) -> tuple[dict[str, str], int]:
    """The fields in small letters, and the number of their lines; that of the pixels' file is the last one."""
    fields: dict[str, str] = {}
    for index, line in enumerate(lines):
        key, _, value = line.partition("=")
        fields[key.strip().lower()] = value.strip()
        if key.strip().lower() == "elementdatafile":
            return fields, index + 1
    raise ValueError("it is neither a MetaImage (its header names no ElementDataFile) nor an NRRD, or it is damaged")


def _nrrd_fields(lines: Sequence[str]) -> tuple[dict[str, str], int]:
    """As `_meta_fields`; an empty line ends them, or the field that says that a list of files follows."""
    fields: dict[str, str] = {}
    for index, line in enumerate(lines):
        key, _, value = line.partition(":")
        name = key.strip().lower().replace(" ", "")
        if not line.strip() or line.startswith("#") or value.startswith("="):  # "key:=value" is what a user adds
            if not line.strip():
                return fields, index + 1
            continue
        fields[name] = value.strip()
        if name == "datafile" and value.strip().upper().startswith("LIST"):
            return fields, index + 1
    return fields, len(lines)


def _data_files(path: Path, where: str, rest: Sequence[str]) -> list[Path]:
    """The files with the pixels: this one, the one that is named, a list of lines, or a pattern and its numbers."""
    words = where.split()
    if where.upper() == "LOCAL":
        return [path]
    if words and words[0].upper() == "LIST":
        names = [line.strip() for line in rest if line.strip()]
    elif "%" in where and len(words) >= 4:  # "slice%03d.raw 1 20 1"
        first, last, step = (int(word) for word in words[1:4])
        numbers = range(first, last + (1 if step > 0 else -1), step)
        names = [words[0] % number for number in numbers[:_MOST_FILES]]
    else:
        names = [where]
    return [path.parent / name for name in names[:_MOST_FILES]]


def _size(file: Path, header: Path) -> int:
    try:
        found = file.stat()
    except OSError as error:
        raise FileNotFoundError(f"its pixels are to be in {file}, which is not there") from error
    if not stat.S_ISREG(found.st_mode):
        raise ValueError(f"its pixels are to be in {file}, which is not an ordinary file")
    return found.st_size
