"""Label images in colour: numbers in place of the colours, and which colours there are."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from monai_unet.colours import UNKNOWN, Colour, class_names, colours_text, in_numbers
from monai_unet.io.sources import ImageSource, open_source
from monai_unet.io.stack import read_stack

UNKNOWN_NUMBER = -1
"""Of pixels that have the colour of what is not known."""

MANY_COLOURS = 16
"""More of them are no classes, but what soft edges and JPEG make of a few."""

_SHOWN = 8


def read_numbers(path: str | os.PathLike[str], colours: Mapping[str, Sequence[int]] | None = None) -> np.ndarray:
    """The sections of a label file, one number per pixel.

    Args:
        path: a file with one number per pixel, whose colour table is left aside, as `read_stack` reads it; or a picture
            in RGB, whose transparency is dropped.
        colours: red, green and blue by the names of the classes. A pixel of the n-th class becomes n, counted from 0,
            and one of the colour "ignore" -1. Files with one number per pixel are read as without it.

    Returns:
        (D, H, W); int32 of a picture in colour, else in the type of the file.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when a pixel has a colour that is not named, with all such colours; and as `read_stack`.
    """
    if colours is None or not is_coloured(path):
        return read_stack(path)
    names = class_names(colours)
    numbered = {_packed(colours[name]): number for number, name in enumerate(names)}
    if UNKNOWN in colours:
        numbered[_packed(colours[UNKNOWN])] = UNKNOWN_NUMBER
    keys = np.array(sorted(numbered), np.int64)
    numbers = np.array([numbered[key] for key in keys.tolist()], np.int32)
    sections = []
    others: Counter[Colour] = Counter()
    for section in _sections(open_source(path)):
        place = np.searchsorted(keys, section).clip(max=len(keys) - 1)
        is_other = keys[place] != section
        others += _counted(section[is_other])
        sections.append(numbers[place])
    if others:
        raise ValueError(_other_colours(path, others, colours))
    return np.stack(sections)


def is_coloured(path: str | os.PathLike[str]) -> bool:
    """Whether a file has red, green and blue for each pixel; errors as `open_source` has them."""
    return open_source(path).info.channels in (3, 4)


def count_colours(path: str | os.PathLike[str]) -> Counter[Colour]:
    """How many pixels of a picture in colour have each colour; errors as `read_numbers` has them."""
    counts: Counter[Colour] = Counter()
    for section in _sections(open_source(path)):
        counts += _counted(section.ravel())
    return counts


def colours_in_words(counts: Mapping[Colour, int]) -> str:
    """The commonest colours with the number of their pixels, and how many more there are."""
    common = Counter(counts).most_common()
    said = ", ".join(f"{in_numbers(colour)} ({number} pixels)" for colour, number in common[:_SHOWN])
    return said + (f" and {len(common) - _SHOWN} more colours" if len(common) > _SHOWN else "")


def _sections(source: ImageSource) -> Iterator[np.ndarray]:
    """The colours of each section as one number a pixel, int64, (H, W)."""
    depth, height, width = source.info.shape
    if source.info.dtype.kind not in "u" or source.info.dtype.itemsize > 2:
        raise ValueError(
            f"{source.path} has colours of type {source.info.dtype}; expected 8 or 16 bits a colour: save it as RGB of "
            "8 bits"
        )
    for index in range(depth):
        pixels = source.read((slice(index, index + 1), slice(0, height), slice(0, width)))[:, 0]
        red, green, blue = pixels[:3].astype(np.int64)
        yield red << 32 | green << 16 | blue


def _packed(colour: Sequence[int]) -> int:
    red, green, blue = colour
    return red << 32 | green << 16 | blue


def _counted(packed: np.ndarray) -> Counter[Colour]:
    found, counts = np.unique(packed, return_counts=True)
    return Counter(
        {
            (key >> 32, key >> 16 & 0xFFFF, key & 0xFFFF): number
            for key, number in zip(found.tolist(), counts.tolist(), strict=True)
        }
    )


def _other_colours(
    path: str | os.PathLike[str], others: Mapping[Colour, int], colours: Mapping[str, Sequence[int]]
) -> str:
    found = f"{path} holds {colours_in_words(others)}, not named in colours ({colours_text(colours)})"
    if len(others) > MANY_COLOURS:
        return (
            f"{found}: so many are left by soft edges or by JPEG. Draw or export the labels without smoothing, as PNG "
            "or TIFF"
        )
    first = Counter(others).most_common(1)[0][0]
    return (
        f'{found}: name them too, as --colours "{colours_text({**colours, "NAME": first})}", or as unknown pixels by '
        f"{UNKNOWN}={in_numbers(first)}; or, if they are soft edges, export the labels without smoothing"
    )
