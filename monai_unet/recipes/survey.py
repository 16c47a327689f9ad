"""Look through a folder of images and labels before anything is trained on it: every problem, by its file."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from skimage.measure import label as connected_components

from monai_unet.colours import Colour, class_names, colours_of_classes, colours_text, parse_colours
from monai_unet.data.label_files import Colours, read_labels, unknown_value
from monai_unet.data.labelled_files import labelled_files, pair_by_name
from monai_unet.data.labels import (
    cells_of,
    check_values,
    class_map,
    few,
    known_values,
    mask_background,
)
from monai_unet.io import MANY_COLOURS, colours_in_words, count_colours, is_coloured, open_source, read_image, stem

LabelKind = Literal["instances", "masks", "classes"]

_CUT = 0.001  # of the pixels at either end; hot pixels of a camera are far fewer
_SAMPLE = 10_000_000  # grey values that are kept; 80 MB as real numbers
_RARE = 0.001  # share of the pixels
_FEW = 0.5  # of the median of the sections, in number and in pixels
_MANY_PARTS = 1.5  # of one number in a section, on average; only a cell that another one cuts has two


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
        mean, std: of the grey values of all sections but the 0.1 % darkest and brightest; of 10 million drawn by chance
            where there are more.
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
    mean: float
    std: float
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
    def class_shares(self) -> tuple[float, ...]:
        """Share of each class in the known pixels."""
        pixels = np.array(self.class_pixels, float).reshape(-1, len(self.classes)).sum(0)
        return tuple((pixels / max(pixels.sum(), 1)).tolist())


@dataclass(frozen=True)
class _Section:
    """Of one section: where it is, its size and grey values' range, known pixels, those of each class and cell.

    `num_numbers` are the numbers in the labels besides 0, and `num_parts` their 4-connected parts, where cells are
    numbered; 0 in a mask and in a map of classes.
    """

    where: str
    size: tuple[int, int]
    range: tuple[float, float]
    num_known: int
    class_pixels: tuple[int, ...]
    cell_sizes: tuple[int, ...]
    num_numbers: int
    num_parts: int
    partly_annotated: bool


def survey_folder(
    dataset_dir: str | Path,
    classes: Sequence[str] | None = None,
    labels: Literal["instances", "classes"] | None = None,
    ignore_label: int | None = None,
    partly_annotated: Sequence[str] = (),
    colours: str | None = None,
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
        colours: of labels in colour, see `monai_unet.colours.parse_colours`.

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
    pairs, inputs = _pairs(folder, problems)
    unknown = sorted(set(partly_annotated) - {pair["name"] for pair in pairs})
    problems += [f"{name}: named as partly annotated, and there is no such image" for name in unknown]

    labels_of = _all_labels(pairs, table, problems)
    values = {index: known_values(found, ignore_label) for index, found in labels_of.items() if found is not None}
    background = 0 if table else mask_background(values.values())
    num_values = max(map(len, values.values()), default=0)
    kind = _kind(num_values, len(names), labels)
    rng = np.random.default_rng(0)
    sections: list[_Section] = []
    by_film: dict[str, list[_Section]] = defaultdict(list)
    dtypes: dict[str, list[str]] = defaultdict(list)
    samples: list[np.ndarray] = []
    depths = []
    for index, pair in enumerate(pairs):
        pixels, label = _read(pair["image"], problems, read_image), labels_of[index]
        depths.append(1 if pixels is None else len(pixels))
        if pixels is not None:
            dtypes[str(pixels.dtype)].append(pair["name"])
            samples.append(_sample(pixels, _SAMPLE // len(pairs), rng))
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

    grey = np.concatenate(samples).astype(np.float64) if samples else np.zeros(1)
    low, high = np.quantile(grey, (_CUT, 1 - _CUT), method="nearest")
    kept = grey[(grey >= low) & (grey <= high)]
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
        mean=float(kept.mean()),
        std=float(kept.std()),
        kind=kind,
        num_values=num_values,
        classes=names,
        class_pixels=tuple(section.class_pixels for section in sections),
        cell_sizes=tuple(section.cell_sizes for section in sections),
        problems=(),
        warnings=(),
    )
    problems += _type_problems(dtypes)
    if sections:
        _judge_grey_values(sections, result.std, problems, warnings)
        _judge_classes(result, sections, problems, warnings)
        if kind == "instances":
            _judge_instances(sections, warnings)
        for film in by_film.values() if kind != "classes" else ():
            _judge_counts(film, warnings)
    if not problems and result.num_sections < 2:
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


def _pairs(folder: Path, problems: list[str]) -> tuple[list[dict[str, Any]], str]:
    """Images with their labels, and where the images lie; files without a partner become problems."""
    if not ((folder / "images").is_dir() and (folder / "labels").is_dir()):
        pairs = labelled_files(folder, truth="both")
        return pairs, pairs[0]["sequence"] or Path(pairs[0]["image"]).name
    pairs, wrong = pair_by_name(folder)
    problems += wrong
    return pairs, "images"


def _read(path: str, problems: list[str], read: Callable[[str], np.ndarray]) -> np.ndarray | None:
    try:
        return read(path)
    except (ValueError, OSError) as error:
        problems.append(str(error))
        return None


def _sample(pixels: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    flat = pixels.ravel()
    return flat if flat.size <= count else flat[rng.integers(flat.size, size=count)]


def _all_labels(
    pairs: Sequence[dict[str, Any]], colours: Colours | None, problems: list[str]
) -> dict[int, np.ndarray | None]:
    """The labels by the number of their pair; of those in colour without a table, one problem for all."""
    counts: Counter[Colour] = Counter()
    coloured: list[str] = []
    found: dict[int, np.ndarray | None] = {}
    for index, pair in enumerate(pairs):
        if colours is None and _opens_coloured(pair["label"]):
            found[index] = None
            try:
                counts += count_colours(pair["label"])
                coloured.append(pair["label"])
            except ValueError as error:
                problems.append(str(error))
        else:
            found[index] = _read_labels(pair["label"], pair["image"], colours, problems)
    if coloured:
        problems.append(_unnamed_colours(coloured, counts))
    return found


def _opens_coloured(path: str) -> bool:
    try:
        return is_coloured(path)
    except (ValueError, OSError):  # which reading it says
        return False


def _unnamed_colours(paths: Sequence[str], counts: Counter[Colour]) -> str:
    found = f"{few(paths, 3)}: labels in colour, {colours_in_words(counts)}"
    if len(counts) > MANY_COLOURS:
        return (
            f"{found}: so many are left by soft edges or by JPEG. Draw or export the labels without smoothing, as PNG "
            "or TIFF"
        )
    if len(counts) < 2:
        return f"{found}: a single colour for everything, and two classes at least are needed"
    colours = [colour for colour, _ in counts.most_common()]
    named = {f"class{number}" if number else "background": colour for number, colour in enumerate(colours)}
    return f'{found}: say which class each of them is, by names of your own, --colours "{colours_text(named)}"'


def _read_labels(path: str, image: str, colours: Colours | None, problems: list[str]) -> np.ndarray | None:
    try:
        open_source(image)
    except (ValueError, OSError):  # which is said of the image; the labels may have problems of their own
        return _read(path, problems, lambda path: read_labels(path, colours=colours))
    return _read(path, problems, lambda path: read_labels(path, image, colours))


def _sections(
    image: str,
    pixels: np.ndarray,
    labels: np.ndarray,
    ignore_label: int | None,
    partly_annotated: bool,
    kind: LabelKind,
    num_classes: int,
    background: int,
) -> list[_Section]:
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
            _Section(
                where=f"{image}, section {number}" if len(labels) > 1 else image,
                size=(section.shape[0], section.shape[1]),
                range=(float(pixels[number].min()), float(pixels[number].max())),
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


def _type_problems(dtypes: dict[str, list[str]]) -> list[str]:
    if len(dtypes) < 2:
        return []
    found = "; ".join(f"{len(names)} of {dtype} ({few(names)})" for dtype, names in sorted(dtypes.items()))
    return [
        f"the images differ in type: {found}. One pair of numbers normalises them all, so grey values have to mean the "
        "same in each: export them anew in one type, without stretching the contrast, or make a bundle for each type"
    ]


def _judge_grey_values(sections: list[_Section], std: float, problems: list[str], warnings: list[str]) -> None:
    constant = [section for section in sections if section.range[0] == section.range[1]]
    if len(constant) == len(sections):
        problems.append(
            f"every image has a single grey value ({constant[0].range[0]:g} in {constant[0].where}): there is nothing "
            "to learn from; were they exported from an empty channel?"
        )
    elif std == 0:
        problems.append("apart from a few pixels the images have a single grey value: there is nothing to learn from")
    else:
        warnings += [f"{section.where} has a single grey value, {section.range[0]:g}" for section in constant]


def _judge_classes(found: Survey, sections: list[_Section], problems: list[str], warnings: list[str]) -> None:
    for name, share in zip(found.classes, found.class_shares, strict=True):
        # around the cells of partly annotated images nothing is known, so that there may be no background
        if share == 0:
            problems.append(
                f"{name} occurs in no label, and every class must: name the classes that occur, in their order"
            )
        elif share < _RARE:
            warnings.append(
                f"{name} covers {100 * share:.2g} % of the pixels, so that it weighs much where it occurs and is hard "
                "to learn: label more of it"
            )
    empty = [
        section.where
        for section, pixels in zip(sections, found.class_pixels, strict=True)
        if not any(pixels[1:]) and section.num_known
    ]
    if 0 < len(empty) < len(sections):
        warnings.append(
            f"{few(empty)}: no {' or '.join(found.classes[1:])} labelled; good where there is none, wrong where the "
            "label was forgotten"
        )
    unknown = [section.where for section in sections if not section.num_known]
    if unknown:
        warnings.append(f"{few(unknown)}: no pixel is known, so nothing is learned there")


def _judge_instances(sections: list[_Section], warnings: list[str]) -> None:
    numbers = sum(section.num_numbers for section in sections)
    parts = sum(section.num_parts for section in sections)
    if numbers and parts > _MANY_PARTS * numbers:
        warnings.append(
            f"a number in the labels has {parts / numbers:.1f} separate parts on average, and a cell has one: if the "
            "numbers are classes, name them (--classes background,a,b); if it is a mask with grey edges, threshold it"
        )


def _judge_counts(sections: list[_Section], warnings: list[str]) -> None:
    """Sections with far fewer cells than the others of a film may be labelled in part only."""
    labelled = [section for section in sections if section.cell_sizes and not section.partly_annotated]
    counts = [len(section.cell_sizes) for section in labelled]
    pixels = [sum(section.cell_sizes) / section.num_known for section in labelled]
    if len(labelled) < 3:
        return
    number, share = np.median(counts), np.median(pixels)
    few_cells = [
        f"{section.where} ({count})"
        for section, count, of_it in zip(labelled, counts, pixels, strict=True)
        if count < _FEW * number and of_it < _FEW * share
    ]
    if few_cells:
        warnings.append(
            f"{few(few_cells)}: far fewer cells than in the others, {number:g} in the median; if there are more to be "
            "seen, the image is labelled in part: name it in --partly-annotated, or cells teach that they are "
            "background"
        )


def _suffix(path: str) -> str:
    return Path(path).name.removeprefix(stem(path))
