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

from monai_unet.data.labelled_files import labelled_files
from monai_unet.io import image_files, open_source, read_stack, stem

LabelKind = Literal["instances", "masks", "classes"]

_CUT = 0.001  # of the pixels at either end; hot pixels of a camera are far fewer
_SAMPLE = 10_000_000  # grey values that are kept; 80 MB as real numbers
_RARE = 0.001  # share of the pixels
_MANY_PARTS = 1.5  # of one number in a section, in the mean; only a cell that another one cuts has two

_TO_GREY = (
    "make it grey first: Image > Type > 8-bit in Fiji, or skimage.color.rgb2gray; of several channels save the one "
    "that shows the cells"
)
_TO_NUMBERS = "save the label image as grey numbers, not in colours"


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
        kind: "instances", one number a cell; "masks", two values; "classes", a number a class.
        num_values: different label values of the file that has most.
        classes: their names, background first.
        class_pixels: known pixels of each class, a row a section.
        cell_sizes: pixels of each cell, a row a section; of masks those of the 4-connected parts.
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
    """Of one section: where it is, its grey values' range, and of its known label pixels each value with its count.

    `part_sizes` are of the 4-connected parts of one value, `mask_sizes` of those of the larger one of two values.
    """

    file: int
    where: str
    size: tuple[int, int]
    range: tuple[float, float]
    counts: dict[int, int]
    part_sizes: tuple[int, ...]
    mask_sizes: tuple[int, ...]

    @property
    def is_mask(self) -> bool:
        """Whether all cells have one number: then they are the parts, as `read_labelled_sections` takes them."""
        return sum(value > 0 for value in self.counts) == 1


def survey_folder(
    dataset_dir: str | Path,
    classes: Sequence[str] | None = None,
    labels: Literal["instances", "classes"] | None = None,
    ignore_label: int | None = None,
    partly_annotated: Sequence[str] = (),
) -> Survey:
    """Look through a folder of images and labels.

    What the labels are: instances when a file has more than two values and two classes are named, or none; masks, whose
    connected parts are the cells, when no file has more than two; a map of classes when more than two are named.
    `labels` overrides the rule.

    Args:
        dataset_dir: as in `labelled_files`.
        classes: names, background first; background and cell when left out.
        labels: what they are, if not as above.
        ignore_label: the value of pixels of which nothing is known.
        partly_annotated: names of images of which only some cells are labelled.

    Returns:
        What was found, with all problems, as far as one does not hide another: a damaged file has no known values.

    Raises:
        FileNotFoundError: when the folder is missing or in no layout that is known.
        ValueError: when `classes` and `labels` do not go together.
    """
    names = tuple(classes or ("background", "cell"))
    _check_names(names, classes is not None, labels)
    folder = Path(dataset_dir)
    problems: list[str] = []
    warnings: list[str] = []
    pairs, inputs = _pairs(folder, problems)
    unknown = sorted(set(partly_annotated) - {pair["name"] for pair in pairs})
    problems += [f"{name}: named as partly annotated, and there is no such image" for name in unknown]

    rng = np.random.default_rng(0)
    sections: list[_Section] = []
    dtypes: dict[str, list[str]] = defaultdict(list)
    samples: list[np.ndarray] = []
    depths = []
    for index, pair in enumerate(pairs):
        pixels, found = _read(pair["image"], _TO_GREY, problems), _read(pair["label"], _TO_NUMBERS, problems)
        depths.append(1 if pixels is None else len(pixels))
        if pixels is not None:
            dtypes[str(pixels.dtype)].append(pair["name"])
            samples.append(_sample(pixels, _SAMPLE // len(pairs), rng))
        if found is not None:
            found = _whole(found, pair["label"], problems)
        if pixels is not None and found is not None:
            if pixels.shape == found.shape:
                sections += _sections(index, pair["image"], pixels, found, ignore_label)
            else:
                problems.append(
                    f"{pair['image']} has the shape {_shape(pixels)} and its label {_shape(found)}; "
                    "one label pixel for each pixel is needed"
                )

    by_file: dict[int, list[_Section]] = defaultdict(list)
    for section in sections:
        by_file[section.file].append(section)
    values = {file: sorted({value for section in found for value in section.counts}) for file, found in by_file.items()}
    num_values = max((len(found) for found in values.values()), default=0)
    kind = _kind(num_values, len(names), labels)
    for file, different in values.items():
        problems += _value_problems(different, kind, names, pairs[file]["label"])

    partly = {index for index, pair in enumerate(pairs) if pair["name"] in partly_annotated}
    class_pixels = [
        _class_pixels(section.counts, kind, len(names), values[section.file], section.file in partly)
        for section in sections
    ]
    cell_sizes = [_cell_sizes(section, kind) for section in sections]
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
        class_pixels=tuple(class_pixels),
        cell_sizes=tuple(cell_sizes),
        problems=(),
        warnings=(),
    )
    problems += _type_problems(dtypes)
    if sections:
        _judge_grey_values(sections, result.std, problems, warnings)
        _judge_classes(result, sections, problems, warnings)
        if kind == "instances":
            _judge_instances(sections, warnings)
    if not problems and result.num_sections < 2:
        problems.append(
            f"{pairs[0]['image']} is a single section; two are the least, one to train on and one to validate on: "
            "cut it into two images, or label another one"
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
        raise ValueError(
            f"instances have two classes, background and what the cells are; {', '.join(names)} were named"
        )
    if labels == "classes" and not given:
        raise ValueError("a map of classes needs their names, background first: --classes background,nucleus,cytoplasm")


def _pairs(folder: Path, problems: list[str]) -> tuple[list[dict[str, Any]], str]:
    """Images with their labels, and where the images lie; files without a partner become problems."""
    if not ((folder / "images").is_dir() and (folder / "labels").is_dir()):
        found = labelled_files(folder)
        return found, found[0]["sequence"]
    by_stem: dict[str, dict[str, list[str]]] = {}
    for part in ("images", "labels"):
        by_stem[part] = defaultdict(list)
        try:
            files = image_files(folder / part)
        except ValueError:  # several of one name, which are named below
            files = [file for path in sorted((folder / part).iterdir()) if path.is_file() for file in _images(path)]
        for file in files:
            by_stem[part][stem(file)].append(file)
    images, labels = by_stem["images"], by_stem["labels"]
    for part, own, other in (("labels", images, labels), ("images", labels, images)):
        for name, files in sorted(own.items()):
            if len(files) > 1:
                problems.append(f"{', '.join(files)}: several files of one name; keep one of them")
            if name not in other:
                problems.append(f"{files[0]} has no partner in {folder / part}: expected {name} with any ending there")
    both = sorted(set(images) & set(labels))
    return [
        {"image": images[name][0], "label": labels[name][0], "name": name, "sequence": ""} for name in both
    ], "images"


def _images(path: Path) -> list[str]:
    try:
        return [] if path.name.startswith(".") or stem(path) == path.name else image_files(path)
    except FileNotFoundError:
        return []


def _read(path: str, convert: str, problems: list[str]) -> np.ndarray | None:
    try:
        channels = open_source(path).info.channels
        if channels != 1:
            problems.append(f"{path} has {channels} channels; {convert}")
            return None
        return read_stack(path)
    except (ValueError, OSError) as error:
        problems.append(str(error))
        return None


def _sample(pixels: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    flat = pixels.ravel()
    return flat if flat.size <= count else flat[rng.integers(flat.size, size=count)]


def _whole(labels: np.ndarray, path: str, problems: list[str]) -> np.ndarray | None:
    """Labels as integers."""
    if labels.dtype.kind == "f":
        broken = np.unique(labels[labels % 1 != 0])
        if broken.size:
            shown = ", ".join(f"{value:g}" for value in broken[:3]) + (", ..." if broken.size > 3 else "")
            problems.append(
                f"{path} holds values that are not whole ({shown}); expected numbers of cells or classes: was it "
                "resized or smoothed, or is it a probability? Use the labels from before that, or threshold it"
            )
            return None
    if labels.max() > np.iinfo(np.int32).max:
        problems.append(
            f"{path} holds values up to {labels.max():g}; expected numbers below 2**31: number the cells anew"
        )
        return None
    return labels.astype(np.int64)


def _sections(
    index: int, image: str, pixels: np.ndarray, labels: np.ndarray, ignore_label: int | None
) -> list[_Section]:
    known = np.ones(labels.shape, bool) if ignore_label is None else labels != ignore_label
    values = np.unique(labels[known])
    found = []
    for number, section in enumerate(labels):
        numbers, counts = np.unique(section[known[number]], return_counts=True)
        parts = _part_sizes(np.where(known[number], section, 0))
        # in a file of two values the smaller one is background, 0 or not
        is_shifted = len(values) == 2 and values[0] > 0
        mask = _part_sizes((section == values[-1]) & known[number]) if is_shifted else parts
        found.append(
            _Section(
                file=index,
                where=f"{image}, section {number}" if len(labels) > 1 else image,
                size=(section.shape[0], section.shape[1]),
                range=(float(pixels[number].min()), float(pixels[number].max())),
                counts=dict(zip(numbers.tolist(), counts.tolist(), strict=True)),
                part_sizes=parts,
                mask_sizes=mask,
            )
        )
    return found


def _part_sizes(labels: np.ndarray) -> tuple[int, ...]:
    components = connected_components(labels, background=0, connectivity=1)
    return tuple(np.bincount(components.ravel())[1:].tolist())


def _kind(num_values: int, num_classes: int, labels: str | None) -> LabelKind:
    if labels == "classes" or num_classes > 2:
        return "classes"
    return "instances" if labels == "instances" or num_values > 2 else "masks"


def _value_problems(values: list[int], kind: LabelKind, classes: Sequence[str], path: str) -> list[str]:
    negative = [value for value in values if value < 0]
    if negative:
        return [
            f"{path} holds negative values ({_few(negative)}); expected 0 and above: if these pixels are not known, "
            f"give --ignore_label {negative[0]}"
        ]
    beyond = [value for value in values if value >= len(classes)]
    two_values = len(classes) == 2 and len(values) <= 2
    if kind == "classes" and beyond and not two_values:
        return [
            f"{path} holds {_few(beyond)}; with {len(classes)} classes ({', '.join(classes)}) expected 0 to "
            f"{len(classes) - 1}: name the others, renumber them, or give --ignore_label for pixels that are not known"
        ]
    return []


def _class_pixels(
    counts: dict[int, int], kind: LabelKind, num_classes: int, values_of_file: list[int], partly_annotated: bool
) -> tuple[int, ...]:
    """Pixels of each class, by the rules of `read_labelled_sections`."""
    if kind == "classes" and not (num_classes == 2 and len(values_of_file) <= 2):
        pixels = [counts.get(index, 0) for index in range(num_classes)]
    else:
        inside = 0 if kind == "instances" or len(values_of_file) < 2 else values_of_file[0]
        foreground = sum(count for value, count in counts.items() if value > max(inside, 0))
        pixels = [sum(counts.values()) - foreground, foreground]
    return (0, *pixels[1:]) if partly_annotated else tuple(pixels)


def _cell_sizes(section: _Section, kind: LabelKind) -> tuple[int, ...]:
    if kind != "instances":
        return section.mask_sizes
    if section.is_mask:
        return section.part_sizes
    return tuple(count for value, count in section.counts.items() if value > 0)


def _type_problems(dtypes: dict[str, list[str]]) -> list[str]:
    if len(dtypes) < 2:
        return []
    found = "; ".join(f"{len(names)} of {dtype} ({_few(names)})" for dtype, names in sorted(dtypes.items()))
    return [
        f"the images differ in type: {found}. One pair of numbers normalises them all, so grey values have to mean the "
        "same in each: export them anew in one type, without stretching the contrast, or make a bundle for each type"
    ]


def _judge_grey_values(sections: list[_Section], std: float, problems: list[str], warnings: list[str]) -> None:
    constant = [section for section in sections if section.range[0] == section.range[1]]
    if len(constant) == len(sections):
        problems.append(
            f"every image is of one grey value ({constant[0].range[0]:g} in {constant[0].where}): there is nothing to "
            "learn from; were they exported from an empty channel?"
        )
    elif std == 0:
        problems.append("the images are of one grey value but for a few pixels: there is nothing to learn from")
    else:
        warnings += [f"{section.where} is of one grey value, {section.range[0]:g}" for section in constant]


def _judge_classes(found: Survey, sections: list[_Section], problems: list[str], warnings: list[str]) -> None:
    for name, share in zip(found.classes, found.class_shares, strict=True):
        # around the cells of partly annotated images nothing is known, so that there may be no background
        if share == 0:
            problems.append(
                f"{name} occurs in no label: every class has to; name the classes that occur, in their order"
            )
        elif share < _RARE:
            warnings.append(
                f"{name} covers {100 * share:.2g} % of the pixels, so that it weighs much where it occurs and is hard "
                "to learn: label more of it"
            )
    empty = [
        section.where
        for section, pixels in zip(sections, found.class_pixels, strict=True)
        if not any(pixels[1:]) and section.counts
    ]
    if 0 < len(empty) < len(sections):
        warnings.append(
            f"{_few(empty)}: no {' or '.join(found.classes[1:])} labelled; good where there is none, wrong where the "
            "label was forgotten"
        )
    unknown = [section.where for section in sections if not section.counts]
    if unknown:
        warnings.append(f"{_few(unknown)}: nothing is known of any pixel, so nothing is learnt there")


def _judge_instances(sections: list[_Section], warnings: list[str]) -> None:
    numbered = [section for section in sections if not section.is_mask]
    numbers = sum(sum(value > 0 for value in section.counts) for section in numbered)
    parts = sum(len(section.part_sizes) for section in numbered)
    if numbers and parts > _MANY_PARTS * numbers:
        warnings.append(
            f"a number in the labels has {parts / numbers:.1f} separate parts in the mean, and a cell has one: if the "
            "numbers are classes, name them (--classes background,a,b); if it is a mask with grey edges, threshold it"
        )


def _few(items: Sequence[object]) -> str:
    return ", ".join(str(item) for item in items[:5]) + (f" and {len(items) - 5} more" if len(items) > 5 else "")


def _shape(array: np.ndarray) -> str:
    return " x ".join(str(size) for size in (array.shape[1:] if len(array) == 1 else array.shape))


def _suffix(path: str) -> str:
    return Path(path).name.removeprefix(stem(path))
