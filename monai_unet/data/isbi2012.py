"""ISBI 2012 EM segmentation: check the challenge's files, put them in place, or fall back on synthetic ones."""

from __future__ import annotations

import logging
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile

from monai_unet.data.fetch import MOST_BYTES, install_files
from monai_unet.data.source import local_folder
from monai_unet.data.synthetic import write_synthetic
from monai_unet.io.sources import check_file
from monai_unet.io.stack import read_stack

logger = logging.getLogger(__name__)

VOLUME, LABELS, TEST = "train-volume.tif", "train-labels.tif", "test-volume.tif"


@dataclass(frozen=True)
class StackSummary:
    """What `check_isbi2012` found.

    Attributes:
        num_sections: sections with labels.
        shape: height and width of a section, pixels.
        membrane_share: part of the labelled pixels that is membrane, 0 to 1.
        num_test_sections: sections without labels; 0 when there is no `test-volume.tif`.
        notes: what a user should know, a sentence each.
    """

    num_sections: int
    shape: tuple[int, int]
    membrane_share: float
    num_test_sections: int
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        test = f"{self.num_test_sections} test sections" if self.num_test_sections else "no test sections"
        height, width = self.shape
        return (
            f"{self.num_sections} labelled sections of {height} x {width} px "
            f"({self.membrane_share:.0%} membrane), {test}"
        )


def check_isbi2012(folder: str | os.PathLike[str]) -> StackSummary:
    """Check a folder with `train-volume.tif`, `train-labels.tif` and, where it is there, `test-volume.tif`.

    Args:
        folder: the files are multi-page TIFF, 8-bit grey, one page per section, all pages of one size; labels are 255
            inside cells and 0 on membranes.

    Returns:
        What was found.

    Raises:
        FileNotFoundError: when a file of the training pair is missing.
        ValueError: when a file is no such TIFF, when volume and labels differ in pages or size, when the labels have
            other values than 0 and 255, or when they do not fit the volume: membranes are darker than cells.
    """
    folder = Path(folder)
    summary, labels = _check_files({name: folder / name for name in (VOLUME, LABELS, TEST)})
    if labels is not None:
        raise ValueError(
            f"{folder / LABELS}: {' '.join(summary.notes)} Expected 0 and 255; "
            f"`monai-unet data isbi2012 --source {folder} --out NEW_FOLDER` converts it"
        )
    return summary


def prepare_isbi2012(
    source: str | os.PathLike[str], out: str | os.PathLike[str], force: bool = False, max_bytes: int = MOST_BYTES
) -> StackSummary:
    """Check the challenge's files and copy them, byte for byte, to the folder that the bundles read.

    Args:
        source: a folder with `train-volume.tif`, `train-labels.tif` and perhaps `test-volume.tif`; a zip or tar archive
            with them somewhere inside; or the URL (http, https, file) of either. A folder's URL gets the file
            names appended.
        out: folder, made when it is missing. Nothing lands in it before every check has passed, except that downloads
            collect in `out/.download` until then; a broken one goes on there when it is asked for again.
        force: replace different files in `out`.
        max_bytes: largest download, and largest sum of the files in an archive.

    Returns:
        What was found; `notes` say what was converted. Labels with the values 0 and any one other are unambiguous
        (0 is membrane) and are written as 0 and 255.

    Raises:
        ValueError: see `check_isbi2012`; or an unsafe or damaged archive.
        FileNotFoundError: when a file of the training pair is not in the source.
        FileExistsError: when `out` has different files and `force` is not set.
        OSError: when a download fails.
    """
    source, out = os.fspath(source), Path(out)
    with local_folder(source, out, (VOLUME, LABELS, TEST), optional=(TEST,), max_bytes=max_bytes) as (folder, unpacked):
        files = _files_in(folder, unpacked, source)
        summary, labels = _check_files(files)
        with tempfile.TemporaryDirectory() as temporary:
            if labels is not None:
                files = {**files, LABELS: Path(temporary) / LABELS}
                tifffile.imwrite(files[LABELS], labels, photometric="minisblack", metadata=None, software=False)
            # the labels last, so that whoever sees them sees a whole pair
            order = {TEST: files[TEST] if files[TEST].exists() else None, VOLUME: files[VOLUME], LABELS: files[LABELS]}
            install_files(order, out, force)
    return summary


def default_dataset(root: str | os.PathLike[str] = "datasets") -> Path:
    """The data to train on when none was named: ISBI 2012 where it is there, else a synthetic set made on first use.

    Which it was, and why, is logged. Two processes may call this at once: files are written aside and renamed, and
    both write the same bytes.

    Args:
        root: folder of the data sets; `isbi2012/data` and `synthetic/data` in it are looked at.

    Returns:
        The folder.

    Raises:
        ValueError: when `synthetic/data` holds a pair that is not a valid one.
    """
    isbi, synthetic = Path(root, "isbi2012", "data"), Path(root, "synthetic", "data")
    try:
        check_isbi2012(isbi)
        logger.info(f"data: ISBI 2012 in {isbi}")
        return isbi
    except FileNotFoundError:
        reason = f"there is no ISBI 2012 in {isbi} (see `monai-unet data isbi2012`)"
    except ValueError as error:
        reason = f"ISBI 2012 cannot be used: {error}"
    try:
        check_isbi2012(synthetic)
    except FileNotFoundError:
        logger.info(f"making synthetic sections in {synthetic}, which takes seconds")
        write_synthetic(synthetic)
    logger.warning(f"data: synthetic sections in {synthetic}, as {reason}; --dataset_dir DIR takes your own")
    return synthetic


def _check_files(files: dict[str, Path]) -> tuple[StackSummary, np.ndarray | None]:
    """What the files hold, and the labels as 0 and 255 when they have to be written anew (None when they have not)."""
    missing = [name for name in (VOLUME, LABELS) if not files[name].is_file()]
    if missing:
        folder = files[VOLUME].parent
        there = sorted(path.name for path in folder.iterdir())[:10] if folder.is_dir() else []
        raise FileNotFoundError(
            f"{folder}: {' and '.join(missing)} not found; expected {VOLUME}, {LABELS} and perhaps {TEST}, "
            f"found {', '.join(there) or 'nothing'}"
        )
    volume, labels = _read_pages(files[VOLUME]), _read_pages(files[LABELS])
    if volume.shape != labels.shape:
        raise ValueError(
            f"{files[LABELS]} has {_extent(labels)}, {VOLUME} has {_extent(volume)}: expected a label page of the same "
            "size for each section"
        )
    values = np.flatnonzero(np.bincount(labels.ravel(), minlength=256)).tolist()
    if len(values) != 2 or values[0] != 0:
        raise ValueError(
            f"{files[LABELS]} has the values {_listed(values)}: expected 0 (membrane) and 255 (inside a cell); "
            "0 and one other value would work"
        )
    inside = labels > 0
    dark, bright = float(volume[~inside].mean()), float(volume[inside].mean())
    if dark >= bright:
        raise ValueError(
            f"{files[LABELS]} does not fit {VOLUME}: pixels labelled 0 (membrane) have the mean grey value {dark:.0f}, "
            f"those labelled {values[1]} (inside) {bright:.0f}, and membranes are darker; are the labels inverted, or "
            "of another volume?"
        )
    num_test_sections = 0
    if files[TEST].exists():
        test = _read_pages(files[TEST])
        if test.shape[1:] != volume.shape[1:]:
            raise ValueError(
                f"{files[TEST]} has {_extent(test)}, {VOLUME} has {_extent(volume)}: expected the same size"
            )
        num_test_sections = len(test)
    converted = values[1] != 255
    notes = (f"Labels have the values 0 and {values[1]}, taken as membrane and inside.",) if converted else ()
    _, height, width = volume.shape
    summary = StackSummary(len(volume), (height, width), 1 - float(inside.mean()), num_test_sections, notes)
    return summary, np.where(inside, np.uint8(255), np.uint8(0)) if converted else None


def _read_pages(path: Path) -> np.ndarray:
    """Pages of an 8-bit grey TIFF as (D, H, W)."""
    expected = "expected a multi-page TIFF, 8-bit grey, one 2-D page a section, all of one size"
    check_file(path)
    try:
        with tifffile.TiffFile(path) as file:
            pages = list(file.pages)
            kinds = {
                (page.shape, str(page.dtype), tifffile.PHOTOMETRIC(page.photometric).name)
                for page in (page.aspage() for page in pages)
            }
            # tifffile fills with zeros what lies behind the end of a file that was cut off
            strips = [strip for page in pages for strip in zip(page.dataoffsets, page.databytecounts, strict=True)]
            end = max(offset + count for offset, count in strips)
    except Exception as error:  # the parser raises whatever it stumbles over in a damaged file
        raise ValueError(f"{path} cannot be read ({type(error).__name__}: {error}); {expected}") from error
    if end > path.stat().st_size:
        raise ValueError(f"{path} is cut off: {path.stat().st_size} bytes of at least {end}; fetch or copy it again")
    if len(kinds) > 1:
        raise ValueError(f"{path} has pages of different kinds, {_listed(sorted(map(str, kinds)))}; {expected}")
    shape, dtype, photometric = kinds.pop()
    if len(shape) != 2 or dtype != "uint8" or photometric != "MINISBLACK":
        raise ValueError(f"{path} has pages of shape {shape}, {dtype}, {photometric}; {expected}")
    return read_stack(path)


def _extent(stack: np.ndarray) -> str:
    num, height, width = stack.shape
    return f"{num} pages of {height} x {width} px"


def _listed(values: list) -> str:
    return ", ".join(map(str, values[:6])) + (f" and {len(values) - 6} more" if len(values) > 6 else "")


def _files_in(folder: Path, unpacked: bool, source: str) -> dict[str, Path]:
    """The three files of a folder, or of one below it where it was unpacked from an archive."""
    files = {name: folder / name for name in (VOLUME, LABELS, TEST)}
    if not unpacked:
        return files
    for name in files:
        matches = sorted(folder.rglob(name))
        if len(matches) > 1:
            listed = ", ".join(str(path.relative_to(folder)) for path in matches)
            raise ValueError(f"{source} has more than one {name} ({listed}): expected one; unpack it and name a folder")
        if not matches and name != TEST:
            raise FileNotFoundError(f"{source} has no {name}; expected {VOLUME} and {LABELS} somewhere inside")
        files[name] = matches[0] if matches else folder / "missing" / name
    return files
