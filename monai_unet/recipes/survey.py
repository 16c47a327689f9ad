"""Look through a folder of images and labels before anything is trained on it: every problem, by its file."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from skimage.measure import label as connected_components

from monai_unet.colours import class_names, colours_of_classes, parse_colours
from monai_unet.data.label_files import unknown_value
from monai_unet.data.labelled_files import labelled_files, pair_by_name
from monai_unet.data.labels import (
    cells_of,
    check_values,
    class_map,
    known_values,
    mask_background,
)
from monai_unet.io import (
    ONE_CHANNEL,
    Pages,
    open_image,
    read_whole,
    stem,
)
from monai_unet.recipes.survey_images import SAMPLE, attempt, channels_of, pages_by_labels, sample, spread, without_ends
from monai_unet.recipes.survey_judgements import (
    SurveyedSection,
    judge_classes,
    judge_counts,
    judge_grey_values,
    judge_instances,
    type_problems,
)
from monai_unet.recipes.survey_labels import all_labels

LabelKind = Literal["instances", "masks", "classes"]


@dataclass(frozen=True)
class Survey:
    """What a folder holds. Numbers are of what could be read; they mean something when there are no `problems`.

    Attributes:
        folder: the folder.
        names: of the files, in order.
        sections_of_files: number of sections of each file.
        inputs: where the images lie, from the folder: "images", or "01".
        suffixes: endings of the images.
        dtypes: types of the images' values.
        smallest, largest: height and width of the sections, each by itself, pixels.
        darkest, brightest: grey values over all sections.
        dimmest: the lowest of the sections' brightest values; those of one value are left out.
        channels: of an image, as `monai_unet.io.parse_channels` takes them.
        pages: what the pages of a file are, where it does not say so itself.
        spreads: of each section, two percentiles of its grey values by channel, see `survey_images.spread`.
        mean, std: of each channel, of the grey values of all sections but the 0.1 % darkest and brightest; of 10
            million drawn by chance where there are more.
        kind: "instances", one integer per cell; "masks", two values; "classes", one integer per class.
        num_values: different label values of the file that has most.
        classes: their names, background first.
        class_pixels: known pixels of each class, one row per section.
        cell_sizes: pixels of each cell, one row per section; of masks those of the 4-connected parts.
        problems: why the folder cannot be used, each naming its file.
        warnings: what may be meant but should be looked at.
    """

    folder: Path
    names: tuple[str, ...]
    sections_of_files: tuple[int, ...]
    inputs: str
    suffixes: tuple[str, ...]
    dtypes: tuple[str, ...]
    smallest: tuple[int, int]
    largest: tuple[int, int]
    darkest: float
    brightest: float
    dimmest: float
    channels: tuple[str, ...]
    pages: Pages | None
    spreads: tuple[tuple[tuple[float, float], ...], ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    kind: LabelKind
    num_values: int
    classes: tuple[str, ...]
    class_pixels: tuple[tuple[int, ...], ...]
    cell_sizes: tuple[tuple[int, ...], ...]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def num_sections(self) -> int:
        """Over all files."""
        return sum(self.sections_of_files)

    @property
    def file_of_sections(self) -> list[int]:
        """The number of the file that each section is in."""
        return [file for file, sections in enumerate(self.sections_of_files) for _ in range(sections)]

    @property
    def labelled(self) -> list[bool]:
        """Whether each section has a pixel that is not background."""
        return [any(pixels[1:]) for pixels in self.class_pixels]

    @property
    def class_shares(self) -> tuple[float, ...]:
        """Share of each class in the known pixels."""
        pixels = np.array(self.class_pixels, float).reshape(-1, len(self.classes)).sum(0)
        return tuple((pixels / max(pixels.sum(), 1)).tolist())


def survey_folder(
    dataset_dir: str | Path,
    classes: Sequence[str] | None = None,
    labels: Literal["instances", "classes"] | None = None,
    ignore_label: int | None = None,
    partly_annotated: Sequence[str] = (),
    channels: str | Sequence[str] | None = None,
    pages: Pages | None = None,
    colours: str | None = None,
    one_type: bool = True,
    fewest: int = 2,
) -> Survey:
    """Look through a folder of images and labels.

    What the labels are: instances when a file has more than two values and two classes are named, or none; masks, whose
    connected parts are the cells, when no file has more than two; a map of classes when more than two are named.
    `labels` overrides the rule. Labels in colour are read as the numbers of the classes whose colours they have;
    without `colours` it is a problem that lists the colours.

    Args:
        dataset_dir: as in `labelled_files`.
        classes: names, background first; those of the colours, or background and cell, when left out.
        labels: what they are, if not as above.
        ignore_label: the value of pixels that are unknown.
        partly_annotated: names of images of which only some cells are labelled.
        channels: of the images, see `monai_unet.io.parse_channels`; all that they have when left out.
        pages: what the pages of a file are, where it does not say so itself: "sections" or "channels". When left out,
            what a file's labels tell: as many sections as it has pages, or one.
        colours: of labels in colour, see `monai_unet.colours.parse_colours`.
        one_type: whether images of different types are a problem, as where the same numbers normalise all.
        fewest: sections that there have to be: 2, or 1 where none validates.

    Returns:
        What was found, with all problems, as far as one does not hide another: a damaged file has no known values.

    Raises:
        FileNotFoundError: when the folder is missing or in no layout that is known.
        ValueError: when `classes`, `labels` and `colours` do not go together.
    """
    own = class_names(parse_colours(colours)) if colours is not None else ("background", "cell")
    names = tuple(classes or own)
    _check_names(names, classes is not None or colours is not None, labels)
    table = colours_of_classes(colours, names)
    ignore_label = unknown_value(ignore_label, table)
    folder = Path(dataset_dir)
    problems: list[str] = []
    warnings: list[str] = []
    pairs, inputs = _pairs(folder, problems, channels)
    unknown = sorted(set(partly_annotated) - {pair["name"] for pair in pairs})
    problems += [f"{name}: named as partly annotated, and there is no such image" for name in unknown]

    pages = pages or pages_by_labels(pairs, channels, problems)
    wanted = channels_of(pairs, channels, pages, problems)
    sources = [attempt(lambda path: open_image(path, wanted, pages), pair["image"], problems) for pair in pairs]
    labels_of = all_labels(pairs, sources, table, problems)
    values = {index: known_values(found, ignore_label) for index, found in labels_of.items() if found is not None}
    background = 0 if table else mask_background(values.values())
    num_values = max(map(len, values.values()), default=0)
    kind = _kind(num_values, len(names), labels)
    rng = np.random.default_rng(0)
    sections: list[SurveyedSection] = []
    by_film: dict[str, list[SurveyedSection]] = defaultdict(list)
    dtypes: dict[str, list[str]] = defaultdict(list)
    samples: list[np.ndarray] = []
    depths = []
    for index, (pair, source) in enumerate(zip(pairs, sources, strict=True)):
        pixels = None if source is None else attempt(read_whole, source, problems)
        label = labels_of[index]
        depths.append(1 if pixels is None else pixels.shape[1])
        if pixels is not None:
            dtypes[str(pixels.dtype)].append(pair["name"])
            samples.append(sample(pixels, SAMPLE // len(pairs), rng))
        if label is not None:
            try:
                check_values(values[index], kind == "instances", names, pair["label"], background)
            except ValueError as error:
                problems.append(str(error))
                continue
        if pixels is not None and label is not None:
            partly = pair["name"] in partly_annotated
            found = _sections(pair["image"], pixels, label, ignore_label, partly, kind, len(names), background)
            by_film[pair["sequence"]] += found
            sections += found

    grey = np.concatenate(samples, axis=1).astype(np.float64) if samples else np.zeros((len(wanted), 1))
    kept = [without_ends(channel) for channel in grey]
    sizes = np.array([section.size for section in sections] or [(0, 0)])
    ranges = np.array([section.range for section in sections] or [(0, 0)], float)
    result = Survey(
        folder=folder,
        names=tuple(pair["name"] for pair in pairs),
        sections_of_files=tuple(depths),
        inputs=inputs,
        suffixes=tuple(sorted({_suffix(pair["image"]) for pair in pairs})),
        dtypes=tuple(sorted(dtypes)),
        smallest=(int(sizes[:, 0].min()), int(sizes[:, 1].min())),
        largest=(int(sizes[:, 0].max()), int(sizes[:, 1].max())),
        darkest=float(ranges[:, 0].min()),
        brightest=float(ranges[:, 1].max()),
        dimmest=float(min((high for low, high in ranges if low < high), default=0)),
        channels=tuple(wanted),
        pages=pages,
        spreads=tuple(section.spread for section in sections),
        mean=tuple(float(channel.mean()) for channel in kept),
        std=tuple(float(channel.std()) for channel in kept),
        kind=kind,
        num_values=num_values,
        classes=names,
        class_pixels=tuple(section.class_pixels for section in sections),
        cell_sizes=tuple(section.cell_sizes for section in sections),
        problems=(),
        warnings=(),
    )
    problems += type_problems(dtypes) if one_type else []
    if sections:
        judge_grey_values(sections, dict(zip(wanted, result.std, strict=True)), problems, warnings)
        judge_classes(sections, dict(zip(names, result.class_shares, strict=True)), problems, warnings)
        if kind == "instances":
            judge_instances(sections, warnings)
        for film in by_film.values() if kind != "classes" else ():
            judge_counts(film, warnings)
    if not problems and result.num_sections < fewest:
        problems.append(
            f"{pairs[0]['image']} is a single section; at least two are needed, one to train on and one to "
            "validate on: cut it into two images, or label another"
        )
    return Survey(**{**vars(result), "problems": tuple(problems), "warnings": tuple(warnings)})


def _check_names(names: Sequence[str], given: bool, labels: str | None) -> None:
    wrong = [name for name in names if not re.fullmatch(r"[\w-]+", name, re.ASCII)]
    if len(names) < 2 or len(set(names)) < len(names) or wrong:
        raise ValueError(
            f"classes {', '.join(names)}: expected two or more different names of letters, numbers, - and _, "
            "background first, as in background,cell"
        )
    if labels == "instances" and len(names) != 2:
        raise ValueError(f"instances have two classes, background and the cells; {', '.join(names)} were named")
    if labels == "classes" and not given:
        raise ValueError("a map of classes needs their names, background first: --classes background,nucleus,cytoplasm")


def _pairs(folder: Path, problems: list[str], channels: str | Sequence[str] | None) -> tuple[list[dict[str, Any]], str]:
    """Images with their labels, and where the images lie; files without a partner become problems."""
    if not ((folder / "images").is_dir() and (folder / "labels").is_dir()):
        pairs = labelled_files(folder, truth="both")
        return pairs, pairs[0]["sequence"] or Path(pairs[0]["image"]).name
    pairs, wrong = pair_by_name(folder, channels or ONE_CHANNEL)
    problems += wrong
    return pairs, "images"


def _sections(
    image: str,
    pixels: np.ndarray,
    labels: np.ndarray,
    ignore_label: int | None,
    partly_annotated: bool,
    kind: LabelKind,
    num_classes: int,
    background: int,
) -> list[SurveyedSection]:
    """What training will see of a file: the same rules, of `monai_unet.data.labels`."""
    known = np.ones(labels.shape, bool) if ignore_label is None else labels != ignore_label
    classes = class_map(labels, known, kind == "instances", num_classes, background)
    sections = []
    for number, section in enumerate(labels):
        cells = cells_of(section, classes[number], kind == "instances")
        counts = np.bincount(classes[number][known[number]], minlength=num_classes)
        if partly_annotated:
            counts[0] = 0
        sizes = np.bincount(cells.ravel())[1:]
        numbers = np.unique(section[classes[number] > 0])
        numbered = kind == "instances" and len(numbers) > 1
        parts = connected_components(cells, background=0, connectivity=1).max() if numbered else 0
        sections.append(
            SurveyedSection(
                where=f"{image}, section {number}" if len(labels) > 1 else image,
                size=(section.shape[0], section.shape[1]),
                range=(float(pixels[:, number].min()), float(pixels[:, number].max())),
                spread=spread(pixels[:, number]),
                num_known=int(known[number].sum()),
                class_pixels=tuple(counts.tolist()),
                cell_sizes=tuple(sizes[sizes > 0].tolist()),
                num_numbers=len(numbers) if numbered else 0,
                num_parts=int(parts),
                partly_annotated=partly_annotated,
            )
        )
    return sections


def _kind(num_values: int, num_classes: int, labels: str | None) -> LabelKind:
    if labels == "classes" or num_classes > 2:
        return "classes"
    return "instances" if labels == "instances" or num_values > 2 else "masks"


def _suffix(path: str) -> str:
    return Path(path).name.removeprefix(stem(path))
