"""Data sets of the Cell Tracking Challenge: fetch or find one, check its labelled frames, put it in place."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from monai_unet.data.fetch import MOST_BYTES, install_files
from monai_unet.data.labelled_files import labelled_files
from monai_unet.data.sections import read_labelled_sections
from monai_unet.data.source import local_folder


def prepare_cell_tracking(
    source: str | os.PathLike[str], out: str | os.PathLike[str], force: bool = False, max_bytes: int = MOST_BYTES
) -> str:
    """Check a data set in the challenge's layout and copy it, byte for byte, to the folder that a bundle reads.

    Args:
        source: a folder that has `01/t000.tif` and `01_GT/SEG/man_seg000.tif` and so on, and perhaps silver truth in
            `01_ST/SEG`; a zip or tar archive with
            such a folder somewhere inside; or the URL (http, https) of an archive.
        out: folder, made when it is missing. Nothing lands in it before every check has passed, except that a download
            collects in `out/.download` until then; a broken one goes on there when it is asked for again.
        force: replace different files in `out`.
        max_bytes: largest download, and largest sum of the files in an archive.

    Returns:
        What was found, as a line of text.

    Raises:
        ValueError: when a labelled frame or its labels cannot be read or do not fit, or for an unsafe or damaged
            archive.
        FileNotFoundError: when there is no such source, or no labelled frame in it.
        FileExistsError: when `out` has different files and `force` is not set.
        OSError: when a download fails.
    """
    out = Path(out)
    with local_folder(os.fspath(source), out, max_bytes=max_bytes) as (folder, unpacked):
        folder = _layout_in(folder, source) if unpacked else folder
        pairs = labelled_files(folder, truth="gold")
        cells = [int(np.unique(_cells(pair)).size) - 1 for pair in pairs]
        silver = labelled_files(folder, truth="silver") if any(folder.glob("[0-9][0-9]_ST/SEG/man_seg*.tif")) else []
        for pair in silver:
            _cells(pair)
        sequences = sorted({pair["sequence"] for pair in pairs})
        # the labels last, so that whoever sees them sees a whole pair
        frames = [path for sequence in sequences for path in sorted((folder / sequence).glob("t*.tif"))]
        labels = [Path(pair["label"]) for pair in [*silver, *pairs]]
        install_files({str(path.relative_to(folder)): path for path in [*frames, *labels]}, out, force)
    more = f", {len(silver)} by silver truth" if silver else ""
    return (
        f"{len(frames)} frames in {len(sequences)} sequences ({', '.join(sequences)}), {len(pairs)} of them labelled"
        f"{more}, {sum(cells)} cells"
    )


def _cells(pair: dict) -> np.ndarray:
    (section,) = read_labelled_sections(pair["image"], pair["label"], instances=True)
    return np.append(np.asarray(section["cells"]), 0)  # 0 too where cells fill the frame


def _layout_in(folder: Path, archive: str | os.PathLike[str]) -> Path:
    found = sorted({path.parents[1] for path in folder.rglob("[0-9][0-9]_GT/SEG")})
    if len(found) != 1:
        inside = ", ".join(str(path.relative_to(folder)) for path in found) or "none"
        raise FileNotFoundError(
            f"{archive}: expected one folder in the Cell Tracking Challenge's layout (01/t000.tif with "
            f"01_GT/SEG/man_seg000.tif) inside; found {inside}"
        )
    return found[0]
