"""Find the images of a folder and the labels that belong to them, and split them."""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monai_unet.data.absent import NoFiles
from monai_unet.data.archives import ARCHIVES
from monai_unet.data.isbi2012 import LABELS, VOLUME, check_isbi2012
from monai_unet.data.split import blocks, split_sections
from monai_unet.io.sources import ONE_CHANNEL, common_part, files_of, in_files, parse_channels
from monai_unet.io.sources.channels import Channel
from monai_unet.io.stack import READ_SUFFIXES, count_sections, first_channels, list_images, stem

_SEQUENCE = re.compile(r"\d{2}")
_FRAME = re.compile(r"\d{2}/t\d{3,4}")
_TRUTHS = {"gold": ("GT",), "silver": ("ST",), "both": ("ST", "GT")}  # the later ones over the earlier
_LAYOUTS = (
    "the Cell Tracking Challenge's layout (01/t000.tif with 01_GT/SEG/man_seg000.tif), images/NAME.tif with "
    "labels/NAME.tif, or ISBI 2012's train-volume.tif with train-labels.tif"
)


def labelled_files(
    dataset_dir: str | Path,
    partly_annotated: Sequence[str] = (),
    truth: str = "both",
    channels: str | Sequence[str] = ONE_CHANNEL,
) -> list[dict[str, Any]]:
    """The images of a folder that have labels, in order.

    Args:
        dataset_dir: a folder in the layout of the Cell Tracking Challenge: `01/t000.tif` and
            `01_GT/SEG/man_seg000.tif`, frames without a label file left out; or `images/NAME.EXT` and
            `labels/NAME.EXT`, paired by name, where each needs the other; or of ISBI 2012, see `check_isbi2012`.
        partly_annotated: images of which only some cells are labelled, by their names as `01/t067` or `NAME`: where
            these have no label, nothing is known. Frames of the challenge that are not there, or have no label of this
            truth, are passed over.
        truth: of the challenge's layout, "gold" (`01_GT/SEG`, by experts), "silver" (`01_ST/SEG`, by the challenge's
            best programs), or "both", gold where both exist. The other layouts have one only.
        channels: of the images, see `monai_unet.io.parse_channels`. Where each lies in a file of its own, as
            `images/a_w1.tif` and `images/a_w2.tif`, the label is `labels/a.tif`.

    Returns:
        A dictionary per image: `image` and `label`, the paths; `channels`, those of all channels where each has one
        of its own; `name`; `sequence`, the challenge's "01", "02" and so on, or "" where there are none; and
        `partly_annotated`.

    Raises:
        FileNotFoundError: when the folder is missing or in no such layout, or an image or label has no partner.
        ValueError: when `partly_annotated` names an image that is not there.
    """
    folder = Path(dataset_dir)
    if not folder.is_dir():
        reason = "is a file" if folder.exists() else "does not exist"
        raise FileNotFoundError(f"{folder} {reason}; expected a folder in {_LAYOUTS}{_fetch(folder)}")
    if (folder / "images").is_dir() and (folder / "labels").is_dir():
        found = _paired_by_name(folder, channels)
    elif (folder / VOLUME).is_file() or (folder / LABELS).is_file():
        check_isbi2012(folder)
        found = [
            {"image": str(folder / VOLUME), "label": str(folder / LABELS), "name": stem(VOLUME), "sequence": ""},
        ]
    else:
        sequences = sorted(path.name for path in folder.iterdir() if _SEQUENCE.fullmatch(path.name) and path.is_dir())
        found = [pair for sequence in sequences for pair in _challenge_frames(folder, sequence, truth)]
    if not found:
        there = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
        rename = "; rename the folder of their labels to labels" if (folder / "images").is_dir() else ""
        raise FileNotFoundError(f"{folder} holds no labelled images; expected {_LAYOUTS}; found {there}{rename}")
    names = [pair["name"] for pair in found]
    is_challenge = bool(found[0]["sequence"])
    absent = set(partly_annotated) - set(names)
    unknown = sorted(name for name in absent if not (is_challenge and _FRAME.fullmatch(name)))
    if unknown:
        raise ValueError(
            f"partly_annotated names {', '.join(unknown)}, not in {folder}; there are {', '.join(names)}. Give those "
            'that are, --partly_annotated "[...]"'
        )
    return [{**pair, "partly_annotated": pair["name"] in partly_annotated} for pair in found]


def _fetch(folder: Path) -> str:
    """How to get the data set that a shipped bundle looks for in this folder; "" for other folders."""
    name = folder.parent.name
    return f"; `monai-unet data {name} --out {shlex.quote(str(folder))}` puts it there" if name in ARCHIVES else ""


def pair_by_name(
    folder: Path, channels: str | Sequence[str] = ONE_CHANNEL, partners: str = "labels"
) -> tuple[list[dict[str, Any]], list[str]]:
    """The images in `folder/images` with their partners in another folder, and what is wrong with the other files.

    Args:
        folder: of both folders.
        channels: of the images, see `labelled_files`.
        partners: name of the folder of the partners, "labels" or "targets".

    Returns:
        The pairs, as `labelled_files` has them, with the partner as "label" or "target"; and a message for each file
        without a partner, or with a name that another file has too.
    """
    wanted = parse_channels(channels)
    images, others = first_channels(list_images(folder / "images"), channels)
    named: dict[str, dict[str, list[str]]] = {part: defaultdict(list) for part in ("images", partners)}
    for file in images:
        named["images"][_name(file, wanted)].append(file)
    for file in list_images(folder / partners):
        named[partners][stem(file)].append(file)
    patterns = ", ".join(map(str, wanted))
    problems = [f"{file} is none of the channels {patterns}: its name fits no pattern" for file in others]
    if in_files(wanted):
        missing = {file: [part for part in files_of(file, wanted) if not part.is_file()] for file in images}
        problems += [f"{file} lacks a channel: {parts[0]} does not exist" for file, parts in missing.items() if parts]
    for part, other in (("images", partners), (partners, "images")):
        for name, same in sorted(named[part].items()):
            if len(same) > 1:
                problems.append(f"{', '.join(same)}: several files of one name; keep one of them")
            if name not in named[other]:
                problems.append(
                    f"{same[0]} has no partner in {folder / other}: expected {name} there, with any of the endings "
                    f"{', '.join(READ_SUFFIXES)}"
                )
    both = sorted(set(named["images"]) & set(named[partners]))
    pairs: list[dict[str, Any]] = [
        {
            "image": named["images"][name][0],
            partners.removesuffix("s"): named[partners][name][0],
            "name": name,
            "sequence": "",
        }
        for name in both
    ]
    if in_files(wanted):
        pairs = [{**pair, "channels": [str(part) for part in files_of(pair["image"], wanted)]} for pair in pairs]
    return pairs, problems


def _name(image: str, channels: Sequence[Channel]) -> str:
    """What an image and its label share: the name without its ending, or what stands for the star of a pattern."""
    return str(common_part(image, str(channels[0].pattern))) if in_files(channels) else stem(image)


def _paired_by_name(folder: Path, channels: str | Sequence[str]) -> list[dict[str, Any]]:
    pairs, problems = pair_by_name(folder, channels)
    if problems:
        more = f" (and {len(problems) - 1} more files)" if len(problems) > 1 else ""
        raise FileNotFoundError(f"{problems[0]}{more}; each image needs its label: images/a.tif and labels/a.tif")
    return pairs


def _challenge_frames(folder: Path, sequence: str, truth: str) -> list[dict[str, Any]]:
    if truth not in _TRUTHS:
        raise ValueError(f"truth {truth!r}: one of {', '.join(_TRUTHS)}")
    labels: dict[str, Path] = {}
    for part in _TRUTHS[truth]:
        labels |= {path.name: path for path in (folder / f"{sequence}_{part}" / "SEG").glob("man_seg*.tif")}
    pairs = []
    for _, label in sorted(labels.items()):
        number = label.stem.removeprefix("man_seg")
        image = folder / sequence / f"t{number}.tif"
        if not image.is_file():
            raise FileNotFoundError(f"{image} does not exist; {label} is its label")
        pairs.append({"image": str(image), "label": str(label), "name": f"{sequence}/t{number}", "sequence": sequence})
    return pairs


def split_files(
    files: Sequence[dict[str, Any]],
    validation: float | int | str | Sequence[int] = 0.25,
    training: Sequence[int] | None = None,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Which sections of labelled files train and which validate: neighbours look alike, so blocks are kept together.

    Args:
        files: as `labelled_files` gives them; a file may hold several sections.
        validation: a sequence's name ("02"); or as in `split_sections`, sections counted from 0 over all files. A share
            takes the last sequence where there is more than one, and the last block of sections where there is not.
        training: the sections that train; all others when left out.

    Returns:
        (training, validation), the same dictionaries with "sections", those of the file that are taken.

    Raises:
        ValueError: when none would train, or a section is in both or does not exist.
    """
    if isinstance(files, NoFiles):
        return files, files
    sections = [(index, section) for index, file in enumerate(files) for section in range(num_sections(file))]
    names = sorted({file["sequence"] for file in files})
    if isinstance(validation, float) and len(names) > 1:
        validation = names[-1]
    if isinstance(validation, str):
        if validation not in names or len(names) < 2:
            raise ValueError(
                f"validation {validation!r}: the sequences are {', '.join(names) or 'none'}, and another one has to be "
                "left to train on; a share (0.25), a number or a list of sections works too"
            )
        validation = [index for index, (file, _) in enumerate(sections) if files[file]["sequence"] == validation]
    chosen = split_sections(len(sections), validation, training)
    return _taken(files, [sections[index] for index in chosen[0]]), _taken(
        files, [sections[index] for index in chosen[1]]
    )


def folds_of(
    files: Sequence[Mapping[str, Any]], number: int, among: Sequence[int] | None = None
) -> tuple[list[list[int]], str]:
    """Which sections each network of a cross-validation does not see.

    Neighbours look alike, so a fold is a block of them: of whole sequences where there are as many as folds, else of
    whole files, else of sections.

    Args:
        files: as `labelled_files` gives them; a file may hold several sections.
        number: of folds, 2 or more.
        among: the sections that take part, counted from 0 over all files; all when left out.

    Returns:
        The sections of each fold, each section in one of them; and what the blocks are of, as "files".

    Raises:
        ValueError: when there are fewer sections than folds, or a section does not exist.
    """
    places = [(file["sequence"], index) for index, file in enumerate(files) for _ in range(num_sections(file))]
    taking_part = sorted(set(range(len(places)) if among is None else among))
    if beyond := [index for index in taking_part if index >= len(places)]:
        raise ValueError(f"section {beyond[0]} does not exist: there are {len(places)}, counted from 0")
    if not 2 <= number <= len(taking_part):
        raise ValueError(
            f"{number} folds of {len(taking_part)} sections: give 2 folds or more, and no more than there are sections"
        )
    units: dict[str, dict[Any, list[int]]] = {"sequences": {}, "files": {}, "sections": {}}
    for index in taking_part:
        sequence, file = places[index]
        for of_what, unit in (("sequences", sequence), ("files", file), ("sections", index)):
            units[of_what].setdefault(unit, []).append(index)
    of_what = next(each for each, found in units.items() if len(found) >= number)
    parts = list(units[of_what].values())
    cut = blocks([len(part) for part in parts], number)
    return [[section for index in block for section in parts[index]] for block in cut], of_what


def num_sections(file: Mapping[str, Any]) -> int:
    """By the partner where there is one, as it need not say what an image's pages are; of restored images told."""
    return count_sections(file.get("label") or file.get("target") or file["image"], file.get("pages"))


def _taken(files: Sequence[dict[str, Any]], sections: Sequence[tuple[int, int]]) -> list[dict[str, Any]]:
    by_file: dict[int, list[int]] = {}
    for file, section in sections:
        by_file.setdefault(file, []).append(section)
    return [{**files[file], "sections": taken} for file, taken in by_file.items()]


def paths(files: Sequence[dict[str, Any]]) -> list[str]:
    """The paths of images and their labels or targets, each once, in the order of the images' paths."""
    ordered = sorted(files, key=lambda file: str(file["image"]))
    parts = (
        (file["image"], *file.get("channels", ()), *(file[part] for part in ("label", "target") if part in file))
        for file in ordered
    )
    return list(dict.fromkeys(str(part) for of_file in parts for part in of_file))


def named(files: Sequence[dict[str, Any]]) -> str:
    """The names of files, and of the sections taken where a file has several, for people to read.

    A file without a name, as MONAI Label gives them, goes by its path.
    """
    if isinstance(files, NoFiles):
        return f"nothing ({str(files.why).split(';')[0]})"
    return ", ".join(
        file.get("name", str(file["image"])) + (f" {file['sections']}" if file.get("sections", [0]) != [0] else "")
        for file in files
    )


def shared(training: Sequence[dict[str, Any]], validation: Sequence[dict[str, Any]]) -> str:
    """What has to be said where training and validation share a file, to follow `named`; else nothing."""
    trained = {str(file["image"]) for file in training}
    if not any(str(file["image"]) in trained for file in validation):
        return ""
    return ", of the same file as training sections, which look alike: expect lower scores on another image"
