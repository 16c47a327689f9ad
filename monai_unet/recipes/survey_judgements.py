"""What is to be said of the sections of a folder: problems, and what may be meant but should be looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from monai_unet.data.labels import few

_RARE = 0.001  # share of the pixels
_FEW = 0.5  # of the median of the sections, in number and in pixels
_MANY_PARTS = 1.5  # of one number in a section, on average; only a cell that another one cuts has two


@dataclass(frozen=True)
class SurveyedSection:
    """Of one section: where it is, its size, grey values' range and spread, known pixels, those of each class and cell.

    `num_numbers` are the numbers in the labels besides 0, and `num_parts` their 4-connected parts, where cells are
    numbered; 0 in a mask and in a map of classes.
    """

    where: str
    size: tuple[int, int]
    range: tuple[float, float]
    spread: tuple[tuple[float, float], ...]
    num_known: int
    class_pixels: tuple[int, ...]
    cell_sizes: tuple[int, ...]
    num_numbers: int
    num_parts: int
    partly_annotated: bool


def type_problems(dtypes: dict[str, list[str]]) -> list[str]:
    """Images of different types; `dtypes` has their names by the type."""
    if len(dtypes) < 2:
        return []
    found = "; ".join(f"{len(names)} of {dtype} ({few(names)})" for dtype, names in sorted(dtypes.items()))
    return [
        f"the images differ in type: {found}. One pair of numbers normalises them all, so grey values have to mean the "
        "same in each: export them anew in one type, without stretching the contrast, make a bundle for each type, or "
        "let each image be normalised by itself, --normalise image"
    ]


def judge_grey_values(
    sections: list[SurveyedSection],
    deviations: Mapping[str, float],
    problems: list[str],
    warnings: list[str],
) -> None:
    """Images or channels of a single grey value; `deviations` are those of the grey values, by channel."""
    flat = [name for name, deviation in deviations.items() if deviation == 0]
    constant = [section for section in sections if section.range[0] == section.range[1]]
    if len(constant) == len(sections):
        problems.append(
            f"every image has a single grey value ({constant[0].range[0]:g} in {constant[0].where}): there is nothing "
            "to learn from; were they exported from an empty channel?"
        )
    elif len(flat) == len(deviations) == 1:
        problems.append("apart from a few pixels the images have a single grey value: there is nothing to learn from")
    elif flat:
        problems.append(
            f"apart from a few pixels the channel {flat[0]} has a single grey value: leave it out, --channels "
            f"{','.join(name for name in deviations if name not in flat) or 'NAME'}"
        )
    else:
        warnings += [f"{section.where} has a single grey value, {section.range[0]:g}" for section in constant]


def judge_classes(
    sections: list[SurveyedSection], shares: Mapping[str, float], problems: list[str], warnings: list[str]
) -> None:
    """Classes that are rare or never occur, by their `shares` of the pixels, and sections without any."""
    for name, share in shares.items():
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
    empty = [section.where for section in sections if not any(section.class_pixels[1:]) and section.num_known]
    if 0 < len(empty) < len(sections):
        warnings.append(
            f"{few(empty)}: no {' or '.join(list(shares)[1:])} labelled; good where there is none, wrong where the "
            "label was forgotten"
        )
    unknown = [section.where for section in sections if not section.num_known]
    if unknown:
        warnings.append(f"{few(unknown)}: no pixel is known, so nothing is learned there")


def judge_instances(sections: list[SurveyedSection], warnings: list[str]) -> None:
    """Numbers of many separate parts, which may be classes, or a mask with grey edges."""
    numbers = sum(section.num_numbers for section in sections)
    parts = sum(section.num_parts for section in sections)
    if numbers and parts > _MANY_PARTS * numbers:
        warnings.append(
            f"a number in the labels has {parts / numbers:.1f} separate parts on average, and a cell has one: if the "
            "numbers are classes, name them (--classes background,a,b); if it is a mask with grey edges, threshold it"
        )


def judge_counts(sections: list[SurveyedSection], warnings: list[str]) -> None:
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
