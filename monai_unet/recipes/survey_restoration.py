"""Look through a folder of images that are to be restored: every problem, by its file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from monai_unet.data.labelled_files import pair_by_name
from monai_unet.data.labels import few
from monai_unet.data.restoration_dataset import read_target
from monai_unet.data.restoration_files import restoration_files
from monai_unet.io import Pages, in_files, open_image, parse_channels, read_whole
from monai_unet.recipes.survey_images import SAMPLE, channels_of, pages_by_labels, sample


@dataclass(frozen=True)
class GreyValues:
    """Of all images, or of all targets.

    Attributes:
        mean, std: of each channel, from 10 million grey values at most.
        darkest, brightest: of all channels and all pixels.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    darkest: float
    brightest: float


@dataclass(frozen=True)
class RestorationSurvey:
    """What a folder holds; numbers mean something when there are no `problems`.

    Attributes:
        folder: the folder.
        inputs: where the images lie, from the folder.
        names: of the files, in order.
        sections_of_files: number of sections of each file.
        smallest, largest: height and width of the sections, each by itself, pixels.
        channels: of the images, see `monai_unet.io.parse_channels`.
        target_channels: how many a target has; with targets that are images, as many as these.
        pages: what the pages of a file are, where that had to be told or found out.
        images, targets: their grey values; of targets None where there are none.
        problems: why the folder cannot be used, each naming its file.
    """

    folder: Path
    inputs: str
    names: tuple[str, ...]
    sections_of_files: tuple[int, ...]
    smallest: tuple[int, int]
    largest: tuple[int, int]
    channels: tuple[str, ...]
    target_channels: int
    pages: Pages | None
    images: GreyValues
    targets: GreyValues | None
    problems: tuple[str, ...]


def survey_restoration(
    dataset_dir: str | Path, targets: str, channels: str | Sequence[str] | None = None, pages: Pages | None = None
) -> RestorationSurvey:
    """Look through a folder of images, and of targets where `targets` are pairs, see `restoration_files`.

    Args:
        dataset_dir: the folder.
        targets: as in `restoration_files`.
        channels: of the images, see `monai_unet.io.parse_channels`; all that they have when left out. Targets have all
            of their own.
        pages: what the pages of a file are, where it does not say so itself; when left out, what the targets tell: as
            many sections as an image has pages, or one.

    Raises:
        FileNotFoundError: when the folder is missing or holds no images.
        ValueError: when the channels are files.
    """
    if channels is not None and in_files(parse_channels(channels)):
        raise ValueError(f"channels {channels}: of images that are restored all channels lie in one file")
    folder = Path(dataset_dir)
    problems: list[str] = []
    if targets == "pairs" and (folder / "images").is_dir() and (folder / "targets").is_dir():
        pairs, problems = pair_by_name(folder, partners="targets")
    else:
        pairs = restoration_files(folder, targets)
    if targets == "pairs":
        pages = pages or pages_by_labels([{**pair, "label": pair["target"]} for pair in pairs], channels, problems)
    wanted = channels_of(pairs, channels, pages, problems)
    images, depths, sizes, dtypes = [], [], [], set()
    truths: list[np.ndarray] = []
    for pair in pairs:
        try:
            source = open_image(pair["image"], wanted, pages)
            image = read_whole(source)
            truth = read_target(pair["target"], source, pages) if targets == "pairs" else None
        except (ValueError, OSError) as error:
            problems.append(str(error))
            continue
        if truth is not None and truth.shape[1:] != image.shape[1:]:
            problems.append(
                f"{pair['target']} has the shape {truth.shape[1:]}; its image {pair['image']} has {image.shape[1:]}"
            )
        if truth is not None and truths and len(truth) != len(truths[0]):
            problems.append(f"{pair['target']} has {len(truth)} channels, and the targets before it {len(truths[0])}")
            continue
        depth = image.shape[1]
        if targets == "noise2noise" and depth < 2:
            problems.append(f"{pair['image']} is a single section; noise2noise needs neighbours, noise2void does not")
        images.append(image)
        truths += [] if truth is None else [truth]
        depths.append(depth)
        sizes.append(image.shape[-2:])
        dtypes.add(str(image.dtype))
    if len(dtypes) > 1:
        problems.append(f"the images differ in type, {few(sorted(dtypes))}: grey values have to mean the same in each")
    of_images = _grey_values(images, "images", problems)
    of_targets = _grey_values(truths, "targets", problems) if targets == "pairs" else None
    least = 4 if targets == "noise2noise" else 2  # neighbours to train on, and others to validate on
    if not problems and sum(depths) < least:
        problems.append(f"{folder} holds {sum(depths)} sections; at least {least} are needed to train and validate on")
    both = np.array(sizes or [(0, 0)])
    return RestorationSurvey(
        folder=folder,
        inputs="images" if (folder / "images").is_dir() else "",
        names=tuple(pair["name"] for pair in pairs),
        sections_of_files=tuple(depths),
        smallest=(int(both[:, 0].min()), int(both[:, 1].min())),
        largest=(int(both[:, 0].max()), int(both[:, 1].max())),
        channels=wanted,
        target_channels=len(truths[0]) if truths else len(wanted),
        pages=pages,
        images=of_images,
        targets=of_targets,
        problems=tuple(problems),
    )


def _grey_values(stacks: list[np.ndarray], what: str, problems: list[str]) -> GreyValues:
    """Of stacks (C, D, H, W), all with as many channels."""
    if not stacks:
        return GreyValues((), (), 0.0, 0.0)
    rng = np.random.default_rng(0)
    drawn = [sample(stack, SAMPLE // len(stacks), rng) for stack in stacks]
    grey = np.concatenate(drawn, axis=1).astype(np.float64)
    low, high = (np.stack([end(stack, axis=(1, 2, 3)) for stack in stacks]).astype(float) for end in (np.min, np.max))
    if not np.isfinite([low, high]).all():
        problems.append(f"the {what} contain NaN or infinity")
    for channel in np.flatnonzero(low.min(0) == high.max(0)):
        of = f" in channel {channel}" if len(grey) > 1 else ""
        value = low[0, channel]
        problems.append(f"the {what} have a single grey value{of}, {value:g}: there is nothing to learn from")
    mean, std = (tuple(each.tolist()) for each in (grey.mean(1), grey.std(1)))
    return GreyValues(mean, std, float(low.min()), float(high.max()))
