"""Labels and a proposal, section by section: from arrays, image files, or folders of the Cell Tracking Challenge."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from monai_unet.io import open_source, read_numbers, read_onto
from monai_unet.io.sources import is_image_folder

_TRUTH, _RESULT = re.compile(r"man_seg(\d+)\.tif"), re.compile(r"mask(\d+)\.tif")
_TRUTH_OF_VOLUMES = re.compile(r"man_seg_(\d+)_(\d+)\.tif")


Stack = np.ndarray | str | os.PathLike[str]
Colours = Mapping[str, Sequence[int]]


def as_arrays(labels: Stack, proposal: Stack, colours: Colours | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays; files are read as by all commands, a proposal on the grid of its labels, see `read_onto`.

    Args:
        labels: an array, or the path of a file.
        proposal: the same.
        colours: of files in colour, which become numbers of classes, see `read_numbers`.

    Returns:
        Labels and proposal, (D, H, W), or (H, W) of a file with one section; an array as it is.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when one cannot be read, has colours that are not named, or they lie elsewhere in space; names the
            file.
    """
    arrays = as_array(labels, colours), as_array(proposal, colours)
    if _has_place(labels) and _has_place(proposal):
        return arrays[0], _sections_of(read_onto(proposal, labels, colours))  # type: ignore[arg-type]
    return arrays


def _has_place(stack: Stack) -> bool:
    return isinstance(stack, str | os.PathLike) and open_source(stack).info.affine is not None


def as_array(stack: Stack, colours: Colours | None = None) -> np.ndarray:
    """The array, or the sections of the file; errors as `as_arrays` has them."""
    if not isinstance(stack, str | os.PathLike):
        return np.asarray(stack)
    source = open_source(stack)
    depth, height, width = source.info.shape
    if (
        colours is None and depth == 1 < source.info.channels and source.info.channels_in == "pages"
    ):  # ImageJ may call sections so
        return source.read((slice(0, 1), slice(0, height), slice(0, width)))[:, 0]
    return _sections_of(read_numbers(stack, colours))


def _sections_of(stack: np.ndarray) -> np.ndarray:
    return stack[0] if len(stack) == 1 else stack


def sections(
    labels: Stack, proposal: Stack, colours: Colours | None = None
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """The sections of both, in order; of folders the frames that have labels, read one at a time.

    Args:
        labels: shape (H, W) or (D, H, W), sections first; the path of an image file; or a folder, see
            `challenge_files`.
        proposal: the same form, same shape.
        colours: see `as_arrays`.

    Yields:
        What the section is called, its number from 0 on or that of the frame as the file has it ("007"); its labels and
        its proposal, (H, W).

    Raises:
        FileNotFoundError: when a file is missing.
        ValueError: when shapes differ or are neither (H, W) nor (D, H, W), frames have more than one section, or one
            path is a folder and the other is not.
    """
    if _is_folder(labels) and _is_folder(proposal):
        for name, label_file, proposal_file in challenge_files(labels, proposal):  # type: ignore[arg-type]
            frame = as_arrays(label_file, proposal_file, colours)
            if frame[0].ndim != 2 or frame[0].shape != frame[1].shape:
                raise ValueError(
                    f"{label_file} has the shape {frame[0].shape} and {proposal_file} {frame[1].shape}: "
                    "one section each is expected, (H, W), of the same shape"
                )
            yield name, *frame
        return
    for name, one in (("labels", labels), ("proposal", proposal)):
        if _is_folder(one):
            raise ValueError(
                f"only the {name}, {one}, are a folder: labels and proposal must both be folders, or neither"
            )
    labels, proposal = as_arrays(labels, proposal, colours)
    if labels.shape != proposal.shape or labels.ndim not in (2, 3):
        raise ValueError(
            f"labels of shape {labels.shape} and a proposal of shape {proposal.shape}: "
            "both must have the same shape, (H, W) or (D, H, W)"
        )
    shape = (1, *labels.shape)[-3:]
    for index, section in enumerate(zip(labels.reshape(shape), proposal.reshape(shape), strict=True)):
        yield str(index), *section


def challenge_files(labels: str | os.PathLike[str], proposal: str | os.PathLike[str]) -> list[tuple[str, Path, Path]]:
    """Pair the files of two folders in the layout of the Cell Tracking Challenge by the number of the frame.

    Args:
        labels: folder of `man_segNNN.tif`, as `01_GT/SEG`; `01_GT` itself will do.
        proposal: folder of `maskNNN.tif`, as `01_RES`. Frames without labels are left out, as the challenge does.

    Returns:
        Number of the frame as the labels' file has it, path of the labels, path of the proposal; in ascending order.

    Raises:
        FileNotFoundError: when there are no labels, or a frame has no proposal.
        ValueError: when the labels are of volumes, or two files have the same number.
    """
    labels, proposal = Path(labels), Path(proposal)
    labels = labels / "SEG" if (labels / "SEG").is_dir() else labels
    truth, result = _numbered(labels, _TRUTH), _numbered(proposal, _RESULT)
    if not truth:
        if any(_TRUTH_OF_VOLUMES.fullmatch(path.name) for path in labels.iterdir()):
            raise ValueError(f"{labels} holds man_seg_TTT_ZZZ.tif, sections of volumes; 2-D frames are expected")
        raise FileNotFoundError(f"{labels} holds no man_segNNN.tif; expected the challenge's labels, as in 01_GT/SEG")
    missing = [path for number, path in truth.items() if number not in result]
    if missing:
        name = missing[0].name.replace("man_seg", "mask")
        others = f", and {len(missing) - 1} more are missing" if len(missing) > 1 else ""
        raise FileNotFoundError(
            f"{proposal / name} does not exist, the proposal for {missing[0]}{others}; "
            "expected a maskNNN.tif for every man_segNNN.tif, all 0 where no object was found"
        )
    return [(path.stem.removeprefix("man_seg"), path, result[number]) for number, path in sorted(truth.items())]


def _numbered(folder: Path, name: re.Pattern[str]) -> dict[int, Path]:
    """Files of the folder with such a name by their number."""
    found: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
        match = name.fullmatch(path.name)
        if match:
            number = int(match[1])
            if number in found:
                raise ValueError(f"{found[number]} and {path} are of the same frame, {number}: keep one of them")
            found[number] = path
    return found


def _is_folder(stack: Stack) -> bool:
    return isinstance(stack, str | os.PathLike) and is_folder(stack)


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether there is a folder of frames; a Zarr, an N5 and a DICOM series are an image."""
    return Path(path).is_dir() and not is_image_folder(Path(path))
