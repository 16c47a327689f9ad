"""Look through a folder of images that are to be restored: every problem, by its file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from monai_unet.data.labelled_files import pair_by_name
from monai_unet.data.labels import few
from monai_unet.data.restoration_files import restoration_files
from monai_unet.io import read_image, read_onto
from monai_unet.recipes.survey_images import SAMPLE, sample


@dataclass(frozen=True)
class GreyValues:
    """Of all images, or of all targets: mean and deviation of 10 million pixels at most, and the range of all."""

    mean: float
    std: float
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
        images, targets: their grey values; of targets None where there are none.
        problems: why the folder cannot be used, each naming its file.
    """

    folder: Path
    inputs: str
    names: tuple[str, ...]
    sections_of_files: tuple[int, ...]
    smallest: tuple[int, int]
    largest: tuple[int, int]
    images: GreyValues
    targets: GreyValues | None
    problems: tuple[str, ...]


def survey_restoration(dataset_dir: str | Path, targets: str) -> RestorationSurvey:
    """Look through a folder of images, and of targets where `targets` are pairs, see `restoration_files`.

    Raises:
        FileNotFoundError: when the folder is missing or holds no images.
    """
    folder = Path(dataset_dir)
    problems: list[str] = []
    if targets == "pairs" and (folder / "images").is_dir() and (folder / "targets").is_dir():
        pairs, problems = pair_by_name(folder, partners="targets")
    else:
        pairs = restoration_files(folder, targets)
    images, truths, depths, sizes, dtypes = [], [], [], [], set()
    for pair in pairs:
        try:
            image = read_image(pair["image"])[0]
            truth = read_onto(pair["target"], pair["image"]) if targets == "pairs" else None
        except (ValueError, OSError) as error:
            problems.append(str(error))
            continue
        if truth is not None and truth.shape != image.shape:
            problems.append(
                f"{pair['target']} has the shape {truth.shape}; its image {pair['image']} has {image.shape}"
            )
        if targets == "noise2noise" and len(image) < 2:
            problems.append(f"{pair['image']} is a single section; noise2noise needs neighbours, noise2void does not")
        images.append(image)
        truths += [] if truth is None else [truth]
        depths.append(len(image))
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
        images=of_images,
        targets=of_targets,
        problems=tuple(problems),
    )


def _grey_values(stacks: list[np.ndarray], what: str, problems: list[str]) -> GreyValues:
    if not stacks:
        return GreyValues(0.0, 0.0, 0.0, 0.0)
    rng = np.random.default_rng(0)
    drawn = [sample(stack[None], SAMPLE // len(stacks), rng) for stack in stacks]
    grey = np.concatenate(drawn, axis=1).astype(np.float64)
    low, high = min(float(stack.min()) for stack in stacks), max(float(stack.max()) for stack in stacks)
    if not np.isfinite([low, high]).all():
        problems.append(f"the {what} contain NaN or infinity")
    elif low == high:
        problems.append(f"the {what} have a single grey value, {low:g}: there is nothing to learn from")
    return GreyValues(float(grey.mean()), float(grey.std()), low, high)
