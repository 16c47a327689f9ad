"""From what was painted over images to a folder of images and labels that a bundle can be made for.

The convention is that of other pixel classifiers: 0 is not painted and weighs nothing, 1 is background, 2 and above are
classes, or cells with a number each.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from monai_unet.io import folder_written_aside

BACKGROUND = 1
"""The number that is painted over background."""

Meaning = Literal["classes", "cells"]
"""What the numbers above background are."""

_WHOLE = 1024  # pixels; larger sections are cut into blocks, of which those with paint are written
_BLOCK = 512
_AROUND = 184  # pixels of image around a block: twice the margin of the paper's network, for turned and deformed tiles
_UNPAINTED = {"classes": (np.uint8, 255), "cells": (np.int32, np.iinfo(np.int32).max)}


@dataclass(frozen=True)
class Painted:
    """An image and what was painted over it.

    Attributes:
        name: of the image; letters, digits, "-" and "_" of it are kept in the files' names.
        image: (H, W), (D, H, W), or either with the channels last.
        labels: whole numbers, (H, W) or (D, H, W).
    """

    name: str
    image: Any
    labels: Any


@dataclass(frozen=True)
class Folder:
    """What was written.

    Attributes:
        path: of the folder with images/ and labels/.
        ignore_label: the number of pixels that are not painted.
        files: pairs of an image and labels.
        numbers: that were painted, ascending.
    """

    path: Path
    ignore_label: int
    files: int
    numbers: tuple[int, ...]


def write_painted(folder: str | Path, painted: Sequence[Painted], meaning: Meaning) -> Folder:
    """Write the painted sections as `images/` and `labels/`, paired by name.

    Args:
        folder: that is made; it appears when it is whole.
        painted: images with their labels.
        meaning: "classes" are written from 0 on, as background is 0 there; "cells" likewise, a number each.

    Returns:
        What was written. Of sections above 1024 pixels only the blocks that have paint are, with some image around.

    Raises:
        ValueError: when shapes do not fit, nothing is painted, there is no background or nothing else, or a number
            does not fit.
        FileExistsError: when there is something at `folder`.
    """
    import tifffile

    dtype, unpainted = _UNPAINTED[meaning]
    numbers: set[int] = set()
    files = 0
    with folder_written_aside(folder) as aside:
        for each in ("images", "labels"):
            (aside / each).mkdir()
        names: set[str] = set()
        for drawing in painted:
            stem = _stem(drawing.name, names)
            for where, image, labels in painted_blocks(drawing):
                found = np.unique(labels[labels > 0]).tolist()
                numbers |= set(found)
                if found and (found[-1] > unpainted or labels.min() < 0):
                    raise ValueError(f"{drawing.name}: numbers from 1 to {unpainted} can be painted; found {found[-1]}")
                kept = np.where(labels > 0, labels.astype(np.int64) - BACKGROUND, unpainted).astype(dtype)
                for part, pixels in (("images", image), ("labels", kept)):
                    photometric: Any = "rgb" if pixels.ndim == 3 and pixels.shape[-1] in (3, 4) else "minisblack"
                    path = aside / part / f"{stem}{where}.tif"
                    tifffile.imwrite(path, pixels, compression="zlib", photometric=photometric)
                files += 1
        _check(numbers, meaning)
    return Folder(Path(folder), int(unpainted), files, tuple(sorted(numbers)))


def painted_blocks(painted: Painted) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """The parts of an image that have paint: their place for a name, (H, W[, C]) and the labels (H, W).

    Raises:
        ValueError: when the labels have another shape than the image.
    """
    image, labels = painted.image, painted.labels
    shape = tuple(labels.shape)
    if len(shape) not in (2, 3) or tuple(image.shape[: len(shape)]) != shape or len(image.shape) > len(shape) + 1:
        raise ValueError(
            f"{painted.name}: labels of shape {shape} do not fit an image of shape {tuple(image.shape)}; paint in a "
            "Labels layer that was made for this image"
        )
    for section in range(shape[0]) if len(shape) == 3 else (None,):
        of_image, of_labels = (image, labels) if section is None else (image[section], labels[section])
        here = "" if section is None else f"_z{section:04d}"
        for y, x in itertools.product(*map(_cuts, shape[-2:])):
            drawn = np.zeros((y[3] - y[0], x[3] - x[0]), np.asarray(of_labels[:1, :1]).dtype)
            drawn[y[1] - y[0] : y[2] - y[0], x[1] - x[0] : x[2] - x[0]] = of_labels[y[1] : y[2], x[1] : x[2]]
            if drawn.any():
                where = f"_y{y[1]:06d}_x{x[1]:06d}" if max(shape[-2:]) > _WHOLE else ""
                yield here + where, _storable(np.asarray(of_image[y[0] : y[3], x[0] : x[3]])), drawn


def _cuts(size: int) -> list[tuple[int, int, int, int]]:
    """Blocks along an axis: where the image around begins, the block, its end, and where the image around ends."""
    if size <= _WHOLE:
        return [(0, 0, size, size)]
    starts = range(0, size, _BLOCK)
    return [(max(at - _AROUND, 0), at, min(at + _BLOCK, size), min(at + _BLOCK + _AROUND, size)) for at in starts]


def _storable(image: np.ndarray) -> np.ndarray:
    types = {"bool": "uint8", "float16": "float32"}
    return image.astype(types.get(image.dtype.name, image.dtype), copy=False)


def _stem(name: str, taken: set[str]) -> str:
    kept = "".join(each if each.isascii() and (each.isalnum() or each in "-_") else "_" for each in name) or "image"
    stem = next(each for n in itertools.count(1) if (each := kept if n == 1 else f"{kept}-{n}") not in taken)
    taken.add(stem)
    return stem


def _check(numbers: set[int], meaning: Meaning) -> None:
    what = "a class" if meaning == "classes" else "a cell"
    if not numbers:
        raise ValueError(f"nothing is painted yet: paint 1 over background and 2 over {what} in a Labels layer")
    if BACKGROUND not in numbers:
        raise ValueError(f"no background is painted: paint some of it with 1; {what} has 2 or above")
    if len(numbers) == 1:
        raise ValueError(f"only background is painted: paint {what} with 2 or above")
    missing = sorted(set(range(1, max(numbers) + 1)) - numbers)
    if meaning == "classes" and missing:
        raise ValueError(
            f"classes are painted with 1, 2, 3 and so on, and {', '.join(map(str, missing[:5]))} is painted nowhere: "
            'paint it, or, if each number is a cell, choose "cells" for what the numbers are'
        )
