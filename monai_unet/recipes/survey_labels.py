"""The labels of a folder as numbers; of those in colour, which colours there are to be named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from monai_unet.colours import Colour, colours_text
from monai_unet.data.label_files import Colours, read_labels
from monai_unet.data.labels import few
from monai_unet.io import MANY_COLOURS, ImageSource, colours_in_words, count_colours, is_coloured
from monai_unet.recipes.survey_images import attempt


def all_labels(
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
        return attempt(lambda path: read_labels(path, colours=colours), path, problems)
    return attempt(lambda path: read_labels(path, image.info, colours), path, problems)
