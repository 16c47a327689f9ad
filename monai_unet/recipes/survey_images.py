"""What the images of a folder are: sections or channels, which channels, and a sample of their grey values."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from monai_unet.data.labels import few
from monai_unet.io import ONE_CHANNEL, Pages, in_files, open_image, open_source, parse_channels
from monai_unet.knobs import knobs

SAMPLE = 10_000_000
"""Grey values that are kept of a folder; 80 MB as real numbers."""

_CUT = 0.001  # of the pixels at either end; hot pixels of a camera are far fewer
_LOOKED_AT = 1_000_000  # pixels of a section, for its percentiles
_MOST_CHANNELS = 4  # pages of a file that may be channels of one section, where nothing says what they are


def pages_by_labels(
    pairs: Sequence[dict[str, Any]], channels: str | Sequence[str] | None, problems: list[str]
) -> Pages | None:
    """What the pages of files are that do not say so themselves: sections where the labels have as many, else channels.

    Files with many pages are stacks, whatever the labels.
    """
    if channels is not None and in_files(parse_channels(channels)):
        return None
    told: dict[Pages, list[str]] = defaultdict(list)
    for pair in pairs:
        try:
            info, depth = open_image(pair["image"], None).info, open_source(pair["label"]).info.shape[0]
        except (ValueError, OSError):
            continue  # which is said later
        pages = max(info.channels, info.shape[0])
        if not info.pages_named and 1 < pages <= _MOST_CHANNELS and 1 in (info.channels, info.shape[0]):
            if depth in (1, pages):
                told["sections" if depth == pages else "channels"].append(pair["image"])
            else:
                problems.append(
                    f"{pair['image']} has {pages} pages and does not say what they are; its labels have {depth}: give "
                    "--pages sections or --pages channels"
                )
    if len(told) == 2:
        problems.append(
            f"the pages of {told['sections'][0]} seem to be sections, by its labels, and those of "
            f"{told['channels'][0]} channels: give --pages sections or --pages channels, and put right the others"
        )
    return next(iter(told), None) if len(told) == 1 else None


def channels_of(
    pairs: Sequence[dict[str, Any]],
    channels: str | Sequence[str] | None,
    pages: Pages | None,
    problems: list[str],
) -> tuple[str, ...]:
    """The channels of all images: those that were asked for, or those that the files have."""
    if channels is not None:
        return tuple(map(str, parse_channels(channels)))
    found: dict[int, dict[tuple[str, ...], list[str]]] = defaultdict(lambda: defaultdict(list))
    for pair in pairs:
        try:
            info = open_image(pair["image"], None, pages).info
        except (ValueError, OSError):
            continue  # which is said later
        found[info.channels][info.channel_names].append(pair["name"])
    if len(found) > 1:
        kinds = "; ".join(
            f"{sum(map(len, names.values()))} of {number} ({few(next(iter(names.values())))})"
            for number, names in sorted(found.items())
        )
        problems.append(
            f"the images differ in their number of channels: {kinds}. A network takes one number of them: choose those "
            "that all have, --channels NAME=NUMBER,..., or make a bundle for each"
        )
    if not found:
        return ONE_CHANNEL
    number, names = max(found.items(), key=lambda item: sum(map(len, item[1].values())))
    own = next(iter(names)) if len(names) == 1 else ()
    usable = len(own) == number and all(re.fullmatch(r"[\w -]+", name) for name in own)
    if number == 1:
        return ONE_CHANNEL
    return own if usable else tuple(f"channel_{index}" for index in range(number))


def attempt(read: Callable[[Any], Any], it: Any, problems: list[str]) -> Any:
    """What is read, or None and one problem more."""
    try:
        return read(it)
    except (ValueError, OSError) as error:
        problems.append(str(error))
        return None


def sample(pixels: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Some of the pixels (C, D, H, W), all channels of each: (C, count) at most."""
    flat = pixels.reshape(len(pixels), -1)
    return flat if flat.size <= count else flat[:, rng.integers(flat.shape[1], size=count // len(flat))]


def spread(section: np.ndarray) -> tuple[tuple[float, float], ...]:
    """Of each channel of a section, (C, H, W), the percentiles that normalise it, see the knob `percentiles`."""
    flat = section.reshape(len(section), -1)
    flat = flat[:, :: max(flat.shape[1] // _LOOKED_AT, 1)]
    return tuple(
        (float(low), float(high)) for low, high in np.percentile(flat, knobs()["percentiles"].default, axis=1).T
    )


def without_ends(grey: np.ndarray) -> np.ndarray:
    """Grey values, (count,), without the 0.1 % darkest and brightest."""
    low, high = np.quantile(grey, (_CUT, 1 - _CUT), method="nearest")
    return grey[(grey >= low) & (grey <= high)]
