"""Tell data sets apart by their bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path

from monai_unet.io.sources.inside import split_inside


def fingerprint(*paths: str | Path) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the files' contents, one after the other.

    Of a folder, a DICOM series say, those of its files in the order of their names; of an image inside a file, those of
    the file.
    """
    digest = hashlib.sha256()
    for path in map(Path, paths):
        files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [split_inside(path)[0]]
        for each in files:
            with each.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()[:16]
