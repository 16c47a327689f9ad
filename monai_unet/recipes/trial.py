"""A look at a new bundle before the night: what training will see, and how long it will take here."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.bundle import ConfigParser
from monai.transforms import Compose

from monai_unet import busy
from monai_unet.command import command_line
from monai_unet.data.cached_sections import CachedSections
from monai_unet.data.labelled_files import num_sections
from monai_unet.io import written_aside
from monai_unet.recipes import trial_restored
from monai_unet.recipes.timing import BUDGET, Pace, lines_of, measure, parsed, proposal
from monai_unet.recipes.trial_restored import restored_rows, small_tile
from monai_unet.report.classes import palette
from monai_unet.report.montage import MontageRow, Tile, montage, montage_page
from monai_unet.report.overlays import framed, heat, heat_bar, in_colour, overlaid, resized
from monai_unet.report.pictures import png

SIDE = 384  # pixels of a picture's longer side
_TILES = 3  # augmented tiles of a section
_OTHERS, _SMALL = 12, 188  # sections that are shown by their label alone, and pixels of these pictures
LOOK = "outlines must follow the cells: else the label belongs to another image or is transposed"
HINTS = (
    "Outlines must follow the cells. If they do not, the label belongs to another image, or its rows are its columns.",
    "Each cell has a colour of its own: two cells in one colour are one cell to the training. Hatched is unknown.",
    "The weight map is bright where a wrong pixel costs most, and dark at 0, where nothing is learned.",
    "The tiles are what the network gets, drawn at random. It predicts what is in the frame; around it is context.",
)


@dataclass(frozen=True)
class Prepared:
    """Some sections of a bundle as its training takes them.

    Attributes:
        names: of the files of image and label or target, and the section, of each.
        short: names of the sections that are not prepared, but shown by their labels.
        others: these sections, as they were read.
        num_sections: of the whole data.
        raw: the sections as they were read, see `read_labelled_sections` and `read_restoration_sections`.
        dataset: the same, prepared; its items are random tiles.
        seconds: that reading and preparing one took.
        classes: names, background first; none where images are restored.
        has_target: whether a section's target is another picture than its image, where images are restored.
    """

    names: tuple[str, ...]
    short: tuple[str, ...]
    others: Sequence[Mapping[str, Any]]
    num_sections: int
    raw: Sequence[Mapping[str, Any]]
    dataset: CachedSections
    seconds: float
    classes: tuple[str, ...]
    has_target: bool = False


def prepare(folder: Path, labelled: Sequence[bool] = (), number: int = 3) -> Prepared:
    """Read and prepare a few sections by the bundle's own data set and transforms.

    Args:
        folder: of the bundle.
        labelled: of each section of the data, in order, whether anything is labelled; those where it is are preferred.
        number: of sections: the first, the last, and others evenly between them.
    """
    parser = _parsed(folder)
    files = parser.get_parsed_content("files")
    targets = parser.get_parsed_content("targets") if "targets" in parser else ""
    by_neighbour = targets == "noise2noise"  # the next section is the target, and the last one is a target alone
    sections = [(file, index) for file in files for index in range(num_sections(file) - by_neighbour)]
    chosen = choose(len(sections), labelled, number)
    others = [index for index in choose(len(sections), labelled, number + _OTHERS) if index not in chosen][:_OTHERS]
    start = time.perf_counter()
    as_read = _read(folder, _data(sections, chosen, by_neighbour), len(chosen))
    reading = time.perf_counter() - start
    dataset = _dataset(folder, _data(sections, chosen, by_neighbour))
    preparing = time.perf_counter() - start - 2 * reading
    dataset.transform.set_random_state(parser.get_parsed_content("seed"))
    in_files = len([file for file, _ in sections if file in [sections[index][0] for index in chosen]])
    other = _read(folder, _data(sections, others, by_neighbour), len(others))
    return Prepared(
        names=tuple(_name(*sections[index]) for index in chosen),
        short=tuple(str(section["name"]) for section in other),
        others=other,
        num_sections=sum(map(num_sections, files)),
        raw=as_read,
        dataset=dataset,
        seconds=reading / in_files + max(preparing, 0.0) / len(dataset),  # a file is read as a whole
        classes=tuple(parser.get_parsed_content("classes")) if "classes" in parser else (),
        has_target=targets in ("pairs", "noise2noise"),
    )


def _name(file: Mapping[str, Any], section: int) -> str:
    names = ", ".join(f"{part} {Path(file[part]).name}" for part in ("image", "label", "target") if part in file)
    return f"{names}, section {section}" if num_sections(file) > 1 else names


def _data(
    sections: Sequence[tuple[dict[str, Any], int]], indices: Sequence[int], by_neighbour: bool
) -> list[dict[str, Any]]:
    """What a data set takes for these sections; with a neighbour, which is its target, each gives two samples."""
    data: list[dict[str, Any]] = []
    for file, section in (sections[index] for index in indices):
        if data and not by_neighbour and data[-1]["image"] == file["image"]:  # a file is read once
            data[-1]["sections"].append(section)
        else:
            data.append({**file, "sections": [section, section + 1] if by_neighbour else [section]})
    return data


def _read(folder: Path, data: list[dict[str, Any]], number: int) -> list[Mapping[str, Any]]:
    """So many sections as they are in the files; where each is there with a neighbour, one of the two."""
    if not data:
        return []
    raw = _dataset(folder, data, Compose([]))
    return [raw[index] for index in range(0, len(raw), len(raw) // number)]


def choose(count: int, labelled: Sequence[bool] = (), number: int = 3) -> list[int]:
    """Which of `count` sections to show: the first, the last and others between, of those with labels if there are any.

    Example:
        >>> choose(9), choose(4, [False, True, True, False])
        ([0, 4, 8], [1, 2])
    """
    usable = [index for index in range(count) if len(labelled) == count and labelled[index]] or list(range(count))
    places = np.linspace(0, len(usable) - 1, min(number, len(usable))).round().astype(int)
    return [usable[place] for place in places]


def rows_of(prepared: Prepared) -> list[MontageRow]:
    """The montage's rows: a section's image, label, weight map, and augmented tiles; last the labels of others.

    Of restored images the target takes the place of the label, and there is no weight map.
    """
    if not prepared.classes:
        return _restored_rows(prepared)
    rows = []
    for index, (name, raw) in enumerate(zip(prepared.names, prepared.raw, strict=True)):
        image = in_colour(resized(np.asarray(raw["image"]), SIDE))
        tiles = [Tile("image", image), *_labels(raw, image, prepared.classes)]
        kept = prepared.dataset._cache[index]  # what is not random, before a tile is cut out
        if "weight" in kept:
            tiles.append(_weights(kept["weight"]))
        tiles += [
            Tile(f"tile {number + 1}: input, output in the frame", tile_picture(prepared.dataset[index]))
            for number in range(_TILES)
        ]
        rows.append(MontageRow(name, tiles))
    return rows + _others(
        prepared,
        "labels of others",
        [
            Tile(name, _labels(raw, in_colour(resized(np.asarray(raw["image"]), _SMALL)), prepared.classes)[0].picture)
            for name, raw in zip(prepared.short, prepared.others, strict=True)
        ],
    )


def _restored_rows(prepared: Prepared) -> list[MontageRow]:
    each = len(prepared.dataset) // len(prepared.names)
    drawn = [[prepared.dataset[each * index] for _ in range(_TILES)] for index in range(len(prepared.names))]
    has_target = prepared.has_target
    small = [small_tile(*pair, has_target, _SMALL) for pair in zip(prepared.short, prepared.others, strict=True)]
    rows = restored_rows(prepared.names, prepared.raw, drawn, has_target, SIDE)
    return rows + _others(prepared, "others", small)


def _others(prepared: Prepared, title: str, small: Sequence[Tile]) -> list[MontageRow]:
    """The row of the sections that are shown in small, if there are any."""
    shown = f"{len(prepared.names) + len(small)} of {prepared.num_sections}"
    return [MontageRow(f"{title}; all in all {shown} sections are shown", small)] if small else []


def tile_picture(sample: Mapping[str, Any]) -> np.ndarray:
    """A random tile: the input (C, H, W) with the frame of the output (1, h, w) and the outlines of its label there.

    A learned distance is outlined where it begins, so cells that touch have one outline.

    Returns:
        uint8, (SIDE, SIDE, 3).
    """
    image, label = (torch.as_tensor(sample[key]).cpu().numpy() for key in ("image", "label"))
    size = image.shape[-1]
    margin = (size - label.shape[-1]) // 2
    classes = np.zeros((size, size), np.int32)
    # the numbers of a learned distance lie between 1 and 2: inside, whatever they are
    is_whole = bool(np.all(label == np.round(label)))
    classes[margin : size - margin, margin : size - margin] = label[0] if is_whole else label[0] > 0
    drawn = overlaid(in_colour(resized(image, SIDE)), resized(classes, SIDE, whole_numbers=True), tint=False)
    inner = round(label.shape[-1] * SIDE / size)
    return framed(drawn, inner, inner)


def write(
    folder: Path,
    rows: Sequence[MontageRow],
    times: Sequence[Sequence[str]] = (),
    note: str = "",
    hints: Sequence[str] = HINTS,
) -> Path:
    """Write `montage.png` and `index.html` into the bundle's `docs/trial`; returns that folder."""
    place = folder / "docs" / "trial"
    with written_aside(place / "montage.png") as temporary:
        temporary.write_bytes(png(montage(rows)))
    with written_aside(place / "index.html") as temporary:
        facts = {"bundle": str(folder.resolve()), "command": command_line()}
        page = montage_page(f"{folder.resolve().name}: what training will see", hints, rows, times, note, facts)
        temporary.write_text(page, encoding="utf-8")
    return place


def pace(folder: Path, prepared: Prepared, budget: float = BUDGET) -> tuple[list[Pace], str]:
    """How long training takes at three widths, and on what; see `measure`."""
    device = torch.device(_parsed(folder).get_parsed_content("device"))
    where = _cpu() if device.type == "cpu" else _gpu(device)
    config = folder / "configs" / "train.json"
    return measure(config, folder, prepared.dataset, prepared.seconds, budget), where


def times_text(table: Sequence[Sequence[str]], where: str) -> str:
    """The table of times for the screen."""
    wide = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    lines = [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(line, wide, strict=True)).rstrip() for line in table
    ]
    return "\n".join([f"how long training takes on {where}; {MEASURED}:", *lines, f"  {ASSUMED}"])


MEASURED = "measured by a start, a few iterations and one validation"
ASSUMED = (
    "for all epochs, validations and the search for values after them, if other processes take as much of the machine "
    'as now. Another width: --features "[...]" in all commands'
)


def _labels(raw: Mapping[str, Any], image: np.ndarray, classes: Sequence[str]) -> list[Tile]:
    side = max(image.shape)
    cells, label = (resized(np.asarray(raw[key])[0], side, whole_numbers=True) for key in ("cells", "label"))
    unknown = resized(np.asarray(raw["ignore"])[0], side, whole_numbers=True) > 0
    if len(classes) == 2:
        number = len(np.unique(np.asarray(raw["cells"]))) - 1
        return [Tile(f"label: {number} {classes[1]}{'' if number == 1 else 's'}", overlaid(image, cells, unknown))]
    names = ", ".join(f"{index} {name}" for index, name in enumerate(classes))
    return [Tile("label", overlaid(image, label, unknown)), Tile(f"classes: {names}", palette(len(classes))[label])]


def _weights(weight: Any) -> Tile:
    values = resized(torch.as_tensor(weight).cpu().numpy()[0], SIDE)
    low, high = float(values.min()), float(values.max())
    if low == high:
        return Tile(f"weight: {low:.3g} everywhere", np.full((*values.shape, 3), 235, np.uint8))
    drawn = heat(values, 0, high)
    drawn[:, -16:-12] = 255  # the bar lies over the edge of the map, so that all pictures are of one size
    drawn[:, -12:] = heat_bar(len(values))
    return Tile(f"weight, 0 (dark) to {high:.3g} (bright)", drawn)


def _parsed(folder: Path) -> ConfigParser:
    return parsed(folder / "configs" / "train.json", folder)


def _dataset(folder: Path, data: list[dict[str, Any]], transform: Any = None) -> CachedSections:
    parser = _parsed(folder)
    parser["train::dataset::data"] = data
    if transform is not None:
        parser["train::dataset::transform"] = transform
    return parser.get_parsed_content("train::dataset")


def _cpu() -> str:
    threads, cores = torch.get_num_threads(), busy.usable_cores()
    taken = busy.cores_taken(cores)
    others = f", while other processes take {taken:.1f} of {len(cores)} cores" if taken >= 0.25 else ""
    return f"the CPU, {threads} thread{'s' if threads > 1 else ''}{others}"


def _gpu(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def try_bundle(folder: Path, labelled: Sequence[bool] = (), say: Any = print, budget: float = BUDGET) -> None:
    """Make the montage of a new bundle and measure how long it trains, and say both; the montage first.

    Args:
        folder: of the bundle, which gets `docs/trial`.
        labelled: as in `prepare`.
        say: takes a line.
        budget: seconds that the measuring may take.
    """
    say(f"preparing sections for a page of pictures, {folder / 'docs' / 'trial' / 'index.html'} ...")
    prepared = prepare(folder, labelled)
    rows = rows_of(prepared)
    hints, look = HINTS, LOOK
    if not prepared.classes:
        hints = trial_restored.HINTS
        look = trial_restored.LOOK if prepared.has_target else trial_restored.LOOK_AT_TILES
    place = write(folder, rows, hints=hints)
    say(f"look at {place / 'montage.png'} or {place / 'index.html'}:\n  {look}")
    say("measuring how long the training will take here ...")
    paces, where = pace(folder, prepared, budget)
    table, proposed = lines_of(paces), proposal(paces)
    note = f"On {where}; {MEASURED}: {ASSUMED}." + (f" This is {proposed}." if proposed else "")
    write(folder, rows, table, note, hints)
    say(f"\n{times_text(table, where)}" + (f"\n  {proposed}" if proposed else ""))
