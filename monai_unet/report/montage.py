"""Rows of pictures with captions: as one PNG, and as an HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from monai_unet.report.page import Panel
from monai_unet.report.pictures import png
from monai_unet.report.template import fill

_GAP, _LINE = 8, 16  # pixels between pictures, and of a line of text
_INK, _PAPER = (27, 32, 39), (255, 255, 255)


@dataclass(frozen=True)
class Tile:
    """A picture of the montage: uint8 (H, W, 3), and what it shows."""

    caption: str
    picture: np.ndarray


@dataclass(frozen=True)
class MontageRow:
    """A row: its title, as the names of the files, and its pictures."""

    title: str
    tiles: Sequence[Tile]


def montage(rows: Sequence[MontageRow]) -> np.ndarray:
    """All rows under each other, left-aligned, each title above its row and each caption above its picture.

    Letters that Pillow's own font lacks come out as "?" or a box; the page has them as they are.

    Returns:
        uint8, (H, W, 3).
    """
    heights = [max(len(tile.picture) for tile in row.tiles) + 2 * _LINE + 2 * _GAP for row in rows]
    font = _font()
    widths = [
        max(
            sum(tile.picture.shape[1] + _GAP for tile in row.tiles) + _GAP,
            int(font.getlength(_plain(row.title))) + 2 * _GAP,
        )
        for row in rows
    ]
    sheet = Image.new("RGB", (max(widths), sum(heights)), _PAPER)
    draw = ImageDraw.Draw(sheet)
    top = 0
    for row, height in zip(rows, heights, strict=True):
        draw.text((_GAP, top + _GAP // 2), _plain(row.title), _INK, font)
        left = _GAP
        for tile in row.tiles:
            draw.text((left, top + _GAP // 2 + _LINE), _plain(tile.caption), _INK, font)
            sheet.paste(Image.fromarray(tile.picture), (left, top + _GAP + 2 * _LINE))
            left += tile.picture.shape[1] + _GAP
        top += height
    return np.asarray(sheet)


def montage_page(
    title: str,
    hints: Sequence[str],
    rows: Sequence[MontageRow],
    times: Sequence[Sequence[str]] = (),
    note: str = "",
    facts: Mapping[str, str] | None = None,
) -> str:
    """The HTML of the montage.

    Args:
        title: of the page.
        hints: what to look for, a sentence each.
        rows: the pictures, inlined.
        times: a table, its head first; no table when empty.
        note: under the table.
        facts: what is shown, by name; empty ones are left out.
    """
    panels = [
        (row.title, [Panel(tile.caption, f"{row.title}: {tile.caption}", png(tile.picture)) for tile in row.tiles])
        for row in rows
    ]
    values: dict[str, Any] = {"title": title, "hints": hints, "rows": panels, "times": times, "note": note}
    values["facts"] = {name: fact for name, fact in (facts or {}).items() if fact}
    return fill("montage.html", values)


def _font() -> Any:
    try:
        return ImageFont.load_default(13)
    except TypeError:  # before Pillow 10.1 there is one size
        return ImageFont.load_default()


def _plain(text: str) -> str:
    return text.encode("latin-1", "replace").decode("latin-1")  # Pillow's older font has no more, and fails
