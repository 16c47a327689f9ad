"""The data set of a network that restores images: sections, each with its target."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from monai_unet.data.absent import NoFiles
from monai_unet.data.cached_sections import CachedSections
from monai_unet.data.restoration_files import TARGETS
from monai_unet.io import ONE_CHANNEL, Exposure, ImageSource, Pages, open_image, read_onto, read_whole


def read_restoration_sections(
    image: str | Path,
    target: str | Path | None = None,
    targets: str = "pairs",
    sections: Sequence[int] | None = None,
    channels: str | Sequence[str] = ONE_CHANNEL,
    pages: Pages | None = None,
    exposure: Exposure | None = None,
) -> list[dict[str, Any]]:
    """The sections of an image file with their targets.

    Args:
        image: as `read_image` reads it.
        target: of pairs, a file of the same shape.
        targets: "pairs"; "noise2void", where a section is its own target, to be seen at hidden pixels alone, see
            `RandMaskPixelsd`; "recorrupted", where it is split in two, see `RandRecorruptd`; "noise2noise", where a
            neighbouring section at the same place is the target, each with each of its one or two neighbours.
        sections: those to use, counted from 0; a neighbour is one of them too. All when left out.
        channels: of the image, see `monai_unet.io.open_image`; a target has all of its own.
        pages: of both, see `monai_unet.io.open_image`.
        exposure: how the image's grey values are normalised; as they are in the file when left out.

    Returns:
        A dictionary per section and target: `image` and `label`, the target, float32 (C, H, W), each with channels of
        its own; `weight`, float32 (1, H, W), 1; and `name`.

    Raises:
        FileNotFoundError, ValueError: when a file cannot be used, a section does not exist or has no neighbour; the
            message names it.

    Source: of the last, Lehtinen et al.: Noise2Noise, ICML 2018, arXiv:1803.04189. Neighbouring sections stand for two
    recordings of the same thing, which they are as far as little changes between them.
    """
    if targets not in TARGETS:
        raise ValueError(f"targets {targets!r}: one of {', '.join(TARGETS)}")
    source = open_image(image, channels, pages)
    pixels = read_whole(source)
    truth = pixels
    if targets == "pairs":
        if target is None:
            raise ValueError(f"{image} has no target, and targets are pairs")
        truth = read_target(target, source, pages)
        if truth.shape[1:] != pixels.shape[1:]:
            raise ValueError(f"{target} has the shape {truth.shape[1:]}; its image {image} has {pixels.shape[1:]}")
    number = pixels.shape[1]
    chosen = list(range(number)) if sections is None else list(sections)
    missing = [index for index in chosen if not 0 <= index < number]
    if missing:
        raise ValueError(f"{image} holds sections 0 to {number - 1}; {missing} were asked for")
    if targets == "noise2noise":
        of_both = [(index, other) for index in chosen for other in (index - 1, index + 1) if other in chosen]
        if not of_both:
            raise ValueError(
                f"{image}: noise2noise needs neighbouring sections of a stack, and there are none among {chosen}; "
                "noise2void needs none"
            )
    else:
        of_both = [(index, index) for index in chosen]
    normalised = pixels if exposure is None else exposure.normalised(pixels)
    return [
        {
            "image": _section(normalised, index, image),
            "label": _section(truth, other, target or image),
            "weight": torch.ones(1, *pixels.shape[-2:]),
            "name": f"{Path(image).name} section {index}" if number > 1 else Path(image).name,
        }
        for index, other in of_both
    ]


def read_target(target: str | Path, source: ImageSource, pages: Pages | None = None) -> np.ndarray:
    """The target of an image, (C, D, H, W), with all channels that it has; a grey one on the grid of its image.

    Errors as `read_image` and `read_onto` have them.
    """
    own = open_image(target, None, pages)
    return read_onto(target, source.info)[None] if own.info.channels == 1 else read_whole(own)


def _section(pixels: np.ndarray, index: int, path: str | Path) -> torch.Tensor:
    section = pixels[:, index].astype(np.float32)
    if not np.isfinite(section).all():
        raise ValueError(f"{path}, section {index}: contains NaN or infinity")
    return torch.from_numpy(section)


class RestorationDataset(CachedSections):
    """Sections of images with their targets; what is not random is computed once and kept in memory.

    Args:
        data: files, as `restoration_files` gives them, or `NoFiles`; `"sections"` may name those to use.
        transform: applied to a section as `read_restoration_sections` gives it; random transforms come last.
        targets: as in `read_restoration_sections`.
        progress: show a bar while the sections are prepared.
        channels, pages, exposure: of the images, as in `read_restoration_sections`.

    Raises:
        FileNotFoundError, ValueError: when a file cannot be used.
    """

    def __init__(
        self,
        data: Sequence[Mapping[str, Any]],
        transform: Sequence[Callable] | Callable,
        targets: str = "pairs",
        progress: bool = False,
        channels: str | Sequence[str] = ONE_CHANNEL,
        pages: Pages | None = None,
        exposure: Exposure | None = None,
    ) -> None:
        if isinstance(data, NoFiles):
            super().__init__(data, transform)
            return
        chosen = [
            section
            for file in data
            for section in read_restoration_sections(
                file["image"], file.get("target"), targets, file.get("sections"), channels, pages, exposure
            )
        ]
        if not chosen:
            raise ValueError("the data set is empty: no files, or no sections chosen")
        super().__init__(chosen, transform, progress=progress)
