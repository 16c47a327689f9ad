"""What the report shows of a section: arrays in, pictures of 8 bits out, (H, W) grey or (H, W, 3) colour."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

# Paul Tol's "high-contrast" scheme: told apart by colour-blind people, and in black and white
# (https://personal.sron.nl/~pault/, checked there for protanopia and deuteranopia).
SPLIT_COLOUR, MERGED_COLOUR, MISSED_COLOUR = (221, 170, 51), (0, 68, 136), (187, 85, 102)
HIT_COLOUR, OUTSIDE_COLOUR = (217, 221, 226), (255, 255, 255)
UNKNOWN_COLOURS = (176, 176, 176), (238, 238, 238)
BACKGROUND_COLOUR = (24, 28, 34)
"""Of truth and prediction: dark, as membranes are in the image."""

CODE_COLOURS = np.array([OUTSIDE_COLOUR, HIT_COLOUR, SPLIT_COLOUR, MERGED_COLOUR, MISSED_COLOUR], np.uint8)
"""By the codes of `SplitMerge`: 0 outside, 1 hit, 2 split, 3 merged, 4 missed."""


def grey(values: np.ndarray, low: float | None = None, high: float | None = None) -> np.ndarray:
    """Grey values of an image or of probabilities.

    Args:
        values: (H, W); NaN becomes black.
        low: becomes black; when left out, what 0.1 % of the pixels are below, so that no hot pixel darkens the rest.
        high: becomes white; when left out, what 0.1 % of the pixels are above.

    Returns:
        uint8, (H, W).

    Example:
        >>> grey(np.array([[-0.1, 0.5, 1.0]]), 0, 1)
        array([[  0, 128, 255]], dtype=uint8)
    """
    values = np.nan_to_num(np.asarray(values, np.float32))
    low = float(np.quantile(values, 0.001)) if low is None else low
    high = float(np.quantile(values, 0.999)) if high is None else high
    scaled = (values - low) / max(high - low, 1e-12)
    return np.round(np.clip(scaled, 0, 1) * 255).astype(np.uint8)


def colour(image: np.ndarray) -> np.ndarray:
    """An image of one channel in grey, of three as red, green and blue, of two as green and magenta, else in hues.

    Each channel is stretched by itself, as in `grey`; where channels overlap their colours add up.

    Args:
        image: (C, H, W).

    Returns:
        uint8, (H, W) of one channel, else (H, W, 3).
    """
    planes = np.stack([grey(channel) for channel in image])
    if len(planes) == 1:
        return planes[0]
    if len(planes) == 3:
        return planes.transpose(1, 2, 0).copy()
    if len(planes) == 2:
        return np.stack([planes[1], planes[0], planes[1]], axis=-1)
    hue = np.arange(len(planes)) / len(planes)
    tints = 1 - np.clip(np.abs((hue[:, None] * 6 - np.array([0, 2, 4]) + 3) % 6 - 3) - 1, 0, 1)
    added = np.tensordot(planes.astype(np.float32), tints.astype(np.float32), axes=(0, 0))
    return np.round(np.clip(added, 0, 255)).astype(np.uint8)


def distinct_colours(labels: np.ndarray) -> np.ndarray:
    """A colour for each number, far from those of the next numbers; 0 is the dark of the background.

    Hues go round by the golden ratio, brightness and saturation in steps of 3, so that it is not hue alone by which
    neighbours differ. The same number always has the same colour.

    Args:
        labels: whole numbers; shape (H, W).

    Returns:
        uint8, (H, W, 3).
    """
    numbers, place = np.unique(labels, return_inverse=True)
    hue = numbers * 0.6180339887 % 1
    value, saturation = np.array([0.98, 0.80, 0.62])[numbers % 3], np.array([0.42, 0.62, 0.78])[numbers % 3]
    # each of red, green and blue falls from `value` as the hue goes away from it
    away = np.abs((hue[:, None] * 6 - np.array([0, 2, 4]) + 3) % 6 - 3)
    colours = value[:, None] * (1 - saturation[:, None] * np.clip(away - 1, 0, 1))
    colours = np.round(colours * 255).astype(np.uint8)
    colours[numbers <= 0] = BACKGROUND_COLOUR
    return colours[place.reshape(labels.shape)]


def same_colours(cells: np.ndarray, objects: np.ndarray) -> np.ndarray:
    """Number predicted objects so that `distinct_colours` gives an object the colour of the cell that it shows.

    An object takes the number of the cell that it shares most pixels with. Of objects that want the same number the one
    that shares most gets it (the lower number among equal ones); the others, and those in no cell, get numbers that no
    cell has. So a split shows as two colours where the truth has one, a merger as one where it has two.

    Args:
        cells: one integer per cell, 0 outside; shape (H, W).
        objects: one number an object, 0 outside; same shape.

    Returns:
        int64, same shape.

    Example:
        >>> same_colours(np.array([[7, 7, 7, 0, 4, 4]]), np.array([[1, 0, 2, 3, 3, 3]]))
        array([[7, 0, 9, 4, 4, 4]])
    """
    ids, place = np.unique(objects, return_inverse=True)
    place = place.reshape(objects.shape)
    first_free = int(cells.max(initial=0)) + 1
    numbers = np.arange(len(ids), dtype=np.int64) + first_free
    numbers -= int((ids <= 0).sum())
    both = (cells > 0) & (objects > 0)
    pairs, pixels = np.unique(place[both] * first_free + cells[both].astype(np.int64), return_counts=True)
    owner, cell = np.divmod(pairs[np.argsort(-pixels, kind="stable")], first_free)
    largest = np.sort(
        np.unique(owner, return_index=True)[1]
    )  # the row of each object's largest share, large ones first
    owner, cell = owner[largest], cell[largest]
    winner = np.unique(cell, return_index=True)[1]
    numbers[owner[winner]] = cell[winner]
    numbers[ids <= 0] = 0
    return numbers[place]


def lighter(colour: ArrayLike) -> np.ndarray:
    """Half way to white; uint8, of any shape, in and out."""
    return (np.asarray(colour, np.uint8) // 2 + 128).astype(np.uint8)


def error_map(
    code: np.ndarray, objects: np.ndarray, merging_objects: np.ndarray, unknown: np.ndarray | None = None
) -> np.ndarray:
    """The cells coloured by what became of them; hits are a quiet grey.

    In cells that are split, merged or missed, pixels that no object holds are lighter, so that one sees where a cell is
    cut; and so are the pixels outside of cells that a merger holds, where cells are joined.

    Args:
        code: `SplitMerge.code`; (H, W).
        objects: one number a predicted object, 0 outside; same shape.
        merging_objects: the numbers of those that merge cells.
        unknown: true where nothing is known of the truth; hatched.

    Returns:
        uint8, (H, W, 3).
    """
    picture = CODE_COLOURS[code]
    cut = (code > 1) & (objects == 0)
    picture[cut] = lighter(CODE_COLOURS)[code[cut]]
    picture[(code == 0) & np.isin(objects, merging_objects) & (objects > 0)] = lighter(MERGED_COLOUR)
    return hatched(picture, unknown)


def wrong_pixels(truth: np.ndarray, prediction: np.ndarray, unknown: np.ndarray | None = None) -> np.ndarray:
    """The pixels of the wrong class in the colour of missed cells, others quiet; classes (H, W) in, (H, W, 3) out."""
    picture = CODE_COLOURS[(truth > 0).astype(np.uint8)]
    picture[truth != prediction] = MISSED_COLOUR
    return hatched(picture, unknown)


def hatched(picture: np.ndarray, unknown: np.ndarray | None) -> np.ndarray:
    """The picture itself, hatched in place where `unknown` is true, whose size it has."""
    if unknown is not None:
        row, column = np.nonzero(unknown)
        picture[row, column] = np.array(UNKNOWN_COLOURS, np.uint8)[((row + column) % 12 < 6).astype(int)]
    return picture


def side_by_side(panels: Sequence[np.ndarray]) -> np.ndarray:
    """Panels of one height in a row, with white bars of 4 pixels between them.

    Args:
        panels: uint8, each (H, W) grey or (H, W, 3) colour.

    Returns:
        uint8, (H, n W + 4 (n - 1), 3).
    """
    bar = np.full((len(panels[0]), 4, 3), 255, np.uint8)
    row: list[np.ndarray] = []
    for panel in panels:
        row += [panel if panel.ndim == 3 else np.repeat(panel[..., None], 3, axis=2), bar]
    return np.concatenate(row[:-1], axis=1)


def png(picture: np.ndarray, side: int | None = None) -> bytes:
    """The picture as a PNG file, shrunk to `side` pixels a side at most by averaging when it is larger."""
    image = Image.fromarray(picture)
    if side is not None and max(image.size) > side:
        shrink = side / max(image.size)
        width, height = (max(1, round(length * shrink)) for length in image.size)
        image = image.resize((width, height), Image.Resampling.BOX)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
