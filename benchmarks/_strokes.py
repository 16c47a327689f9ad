"""Strokes as a person would draw them over an image, taken from its truth."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from skimage.segmentation import find_boundaries

from monai_unet.viewer.uncertain import Place

BACKGROUND, INSIDE = 1, 2
_LENGTH = 40  # pixels of a stroke
_TRACED = 14  # radius of the piece of a border that is traced at a time


class Hand:
    """Draws in one image: strokes inside, strokes over background, pieces of borders, or whole cells.

    Args:
        truth: one number per cell, 0 outside, (H, W).
        brush: radius, pixels.
        whole_cells: a stroke inside is a cell with a number of its own, painted whole.
        rng: where strokes begin and how they bend.
    """

    def __init__(self, truth: np.ndarray, brush: int, whole_cells: bool, rng: np.random.Generator) -> None:
        self.truth, self.brush, self.whole_cells, self.rng = truth, brush, whole_cells, rng
        between = find_boundaries(truth, mode="thick") & ndimage.binary_dilation(truth == 0, iterations=1)
        touching = find_boundaries(truth, mode="thick") & ~between
        self.border = ndimage.binary_dilation(touching, iterations=1)
        self.inside = (truth > 0) & ~ndimage.binary_dilation(touching, iterations=2)
        self.outside = (truth == 0) | self.border
        self.labels = np.zeros(truth.shape, np.int32)

    def draw(self, number: int, place: Place | None = None) -> bool:
        """One stroke; whether there was room for it.

        Args:
            number: BACKGROUND or INSIDE.
            place: where it begins; anywhere when left out.
        """
        where = np.zeros(self.truth.shape, bool)
        if place is None:
            where[:] = True
        else:
            where[place.y : place.y + place.size, place.x : place.x + place.size] = True
        free = where & (self.labels == 0)
        if number == INSIDE:
            return self._cell(free) if self.whole_cells else self._walk(free & self.inside, self.inside, INSIDE)
        thin = self.outside & ~ndimage.binary_erosion(self.outside, iterations=self.brush)
        if not self.whole_cells and (free & self.border).any() and self.rng.random() < 0.5:
            return self._trace(free & self.border, self.border)
        if thin.sum() > 0.5 * self.outside.sum():  # membranes: traced, not crossed
            return self._trace(free & self.outside, self.outside)
        return self._walk(free & (self.truth == 0), self.truth == 0, BACKGROUND)

    def _start(self, allowed: np.ndarray) -> tuple[int, int] | None:
        places = np.argwhere(allowed)
        return tuple(places[self.rng.integers(len(places))]) if len(places) else None

    def _walk(self, starts: np.ndarray, allowed: np.ndarray, number: int) -> bool:
        """A line that bends a little and ends where it would leave what it shows."""
        at = self._start(starts)
        if at is None:
            return False
        drawn = np.zeros(self.truth.shape, bool)
        place, angle = np.array(at, float), self.rng.uniform(0, 2 * np.pi)
        for _ in range(_LENGTH):
            y, x = np.rint(place).astype(int)
            if not (0 <= y < drawn.shape[0] and 0 <= x < drawn.shape[1] and allowed[y, x]):
                break
            drawn[y, x] = True
            angle += self.rng.normal(0, 0.15)
            place += (np.sin(angle), np.cos(angle))
        drawn = ndimage.distance_transform_edt(~drawn) <= self.brush
        self.labels[drawn & allowed] = number
        return True

    def _trace(self, starts: np.ndarray, allowed: np.ndarray) -> bool:
        """A piece of a thin line."""
        at = self._start(starts)
        if at is None:
            return False
        rows, columns = np.ogrid[: self.truth.shape[0], : self.truth.shape[1]]
        self.labels[allowed & ((rows - at[0]) ** 2 + (columns - at[1]) ** 2 <= _TRACED**2)] = BACKGROUND
        return True

    def _cell(self, starts: np.ndarray) -> bool:
        at = self._start(starts & (self.truth > 0))
        if at is None:
            return False
        cell = self.truth[at]
        self.labels[self.truth == cell] = INSIDE + cell
        return True
