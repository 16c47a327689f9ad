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
from monai_unet.io import (
    MANY_COLOURS,
    ONE_CHANNEL,
    ImageSource,
    Pages,
    colours_in_words,
    count_colours,
    in_files,
    is_coloured,
    open_image,
    open_source,
    parse_channels,
    read_whole,
    stem,
)

LabelKind = Literal["instances", "masks", "classes"]

_CUT = 0.001  # of the pixels at either end; hot pixels of a camera are far fewer
_SAMPLE = 10_000_000  # grey values that are kept; 80 MB as real numbers
_MOST_CHANNELS = 4  # pages of a file that may be channels of one section, where nothing says what they are
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
        channels: of an image, as `monai_unet.io.parse_channels` takes them.
        pages: what the pages of a file are, where it does not say so itself.
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
    channels: str | Sequence[str] | None = None,
    pages: Pages | None = None,
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
        channels: of the images, see `monai_unet.io.parse_channels`; all that they have when left out.
        pages: what the pages of a file are, where it does not say so itself: "sections" or "channels". When left out,
            what a file's labels tell: as many sections as it has pages, or one.
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
    pairs, inputs = _pairs(folder, problems, channels)
    unknown = sorted(set(partly_annotated) - {pair["name"] for pair in pairs})
    problems += [f"{name}: named as partly annotated, and there is no such image" for name in unknown]

    pages = pages or _pages_by_labels(pairs, channels, problems)
    wanted = _channels(pairs, channels, pages, problems)
    sources = [_try(lambda path: open_image(path, wanted, pages), pair["image"], problems) for pair in pairs]
    labels_of = _all_labels(pairs, sources, table, problems)
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
    for index, (pair, source) in enumerate(zip(pairs, sources, strict=True)):
        pixels = None if source is None else _try(read_whole, source, problems)
        label = labels_of[index]
        depths.append(1 if pixels is None else pixels.shape[1])
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

    grey = np.concatenate(samples, axis=1).astype(np.float64) if samples else np.zeros((len(wanted), 1))
    kept = [_without_ends(channel) for channel in grey]
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
    problems += _type_problems(dtypes)
    if sections:
        _judge_grey_values(sections, result, problems, warnings)
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


def _pairs(folder: Path, problems: list[str], channels: str | Sequence[str] | None) -> tuple[list[dict[str, Any]], str]:
    """Images with their labels, and where the images lie; files without a partner become problems."""
    if not ((folder / "images").is_dir() and (folder / "labels").is_dir()):
        pairs = labelled_files(folder, truth="both")
        return pairs, pairs[0]["sequence"] or Path(pairs[0]["image"]).name
    pairs, wrong = pair_by_name(folder, channels or ONE_CHANNEL)
    problems += wrong
    return pairs, "images"


def _pages_by_labels(
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


def _channels(
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


def _try(read: Callable[[Any], Any], it: Any, problems: list[str]) -> Any:
    """What is read, or None and one problem more."""
    try:
        return read(it)
    except (ValueError, OSError) as error:
        problems.append(str(error))
        return None


def _sample(pixels: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Some of the pixels (C, D, H, W), all channels of each: (C, count) at most."""
    flat = pixels.reshape(len(pixels), -1)
    return flat if flat.size <= count else flat[:, rng.integers(flat.shape[1], size=count // len(flat))]


def _without_ends(grey: np.ndarray) -> np.ndarray:
    low, high = np.quantile(grey, (_CUT, 1 - _CUT), method="nearest")
    return grey[(grey >= low) & (grey <= high)]


def _all_labels(
    pairs: Sequence[dict[str, Any]],
    sources: Sequence[ImageSource | None],
    colours: Colours | None,
    problems: list[str],
) -> dict[int, np.ndarray | None]:
    """The labels by the number of their pair; of those in colour without a table, one problem for all."""
    counts: Counter[Colour] = Counter()
    coloured: list[str] = []
    found: dict[int, np.ndarray | None] = {}
    for index, (pair, source) in enumerate(zip(pairs, sources, strict=True)):
        if colours is None and _opens_coloured(pair["label"]):
            found[index] = None
            try:
                counts += count_colours(pair["label"])
                coloured.append(pair["label"])
            except ValueError as error:
                problems.append(str(error))
        else:
            found[index] = _read_labels(pair["label"], source, colours, problems)
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


def _read_labels(
    path: str, image: ImageSource | None, colours: Colours | None, problems: list[str]
) -> np.ndarray | None:
    if image is None:  # which was said; the labels may have problems of their own
        return _try(lambda path: read_labels(path, colours=colours), path, problems)
    return _try(lambda path: read_labels(path, image.info, colours), path, problems)


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
                range=(float(pixels[:, number].min()), float(pixels[:, number].max())),
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


def _judge_grey_values(sections: list[_Section], found: Survey, problems: list[str], warnings: list[str]) -> None:
    flat = [name for name, std in zip(found.channels, found.std, strict=True) if std == 0]
    constant = [section for section in sections if section.range[0] == section.range[1]]
    if len(constant) == len(sections):
        problems.append(
            f"every image has a single grey value ({constant[0].range[0]:g} in {constant[0].where}): there is nothing "
            "to learn from; were they exported from an empty channel?"
        )
    elif len(flat) == len(found.std) == 1:
        problems.append("apart from a few pixels the images have a single grey value: there is nothing to learn from")
    elif flat:
        problems.append(
            f"apart from a few pixels the channel {flat[0]} has a single grey value: leave it out, --channels "
            f"{','.join(name for name in found.channels if name not in flat) or 'NAME'}"
        )
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
