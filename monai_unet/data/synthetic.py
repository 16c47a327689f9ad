"""Sections that look like serial-section electron micrographs, with labels, all from a seed.

The set is for demos, tests and first steps: it needs no download, and a network that does well on it has learned to
follow membranes past organelles. It is no benchmark.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile
from scipy import ndimage, sparse

from monai_unet.data.fetch import install_files

# Grey values, lengths and rates below were set by eye and by the mean, standard deviation, autocorrelation, number and
# areas of cells of ISBI 2012 sections (125, 44; 0.9 at one pixel and 0.5 at four; about 115 cells a section of 512 px).
_BORDER = 40  # pixels beyond the section that take part: what drifts or is bent into view has to come from somewhere
_MEMBRANE, _CYTOPLASM, _MITOCHONDRION = 28.0, 150.0, 80.0
_DRIFT = 0.94  # how much of a section's displacement the next one keeps; sections are 50 nm apart and change a lot


def synthetic_sections(num_sections: int = 30, size: int = 512, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A stack of EM-like sections and which of their pixels are inside a cell.

    Cells have membranes of varying width and contrast, some cut obliquely and faint; mitochondria, vesicles, tubules
    and shreds of reticulum lie inside cells and are labelled as inside. Neighbouring sections show the same cells,
    drifted.

    Args:
        num_sections: sections in the stack, 1 or more.
        size: height and width, pixels, 64 or more; one pixel stands for 4 nm, as in ISBI 2012.
        seed: 0 or more; the same numbers of sections and pixels with the same seed give the same bytes
            (on one machine with one set of packages).

    Returns:
        `images` and `labels`, both uint8 of shape (num_sections, size, size). Labels are 255 inside cells and 0 on
        membranes; the 4-connected components of the 255 are the cells.

    Raises:
        ValueError: when a number is too small.

    Example:
        >>> images, labels = synthetic_sections(num_sections=2, size=64, seed=0)
        >>> images.shape, images.dtype, np.unique(labels).tolist()
        ((2, 64, 64), dtype('uint8'), [0, 255])
    """
    _check(num_sections, size, seed)
    return _stack(np.random.default_rng([seed, 0]), num_sections, size)


def write_synthetic(
    out: str | os.PathLike[str],
    num_sections: int = 30,
    size: int = 512,
    seed: int = 0,
    num_test_sections: int = 6,
    force: bool = False,
) -> list[Path]:
    """Write a synthetic set in the file format of ISBI 2012.

    Args:
        out: folder, made when it is missing.
        num_sections: sections with labels, 1 or more.
        size: height and width, pixels, 64 or more.
        seed: see `synthetic_sections`, whose stack this writes.
        num_test_sections: sections without labels, of another stack from the same seed; 0 for no `test-volume.tif`.
        force: replace different files in `out`.

    Returns:
        Paths of `test-volume.tif` (if any), `train-volume.tif` and `train-labels.tif`, in the order in which they
        appear: uncompressed TIFF, uint8, one page per section.

    Raises:
        ValueError: when a number is too small.
        FileExistsError: when `out` has different files and `force` is not set.
    """
    _check(num_sections, size, seed)
    if num_test_sections < 0:
        raise ValueError(f"{num_test_sections} test sections: expected 0 or more")
    names = ("test-volume.tif", "train-volume.tif", "train-labels.tif")
    with tempfile.TemporaryDirectory() as temporary:
        files = {name: Path(temporary, name) for name in names}
        stacks = dict(zip(names[1:], synthetic_sections(num_sections, size, seed), strict=True))
        if num_test_sections:
            stacks[names[0]], _ = _stack(np.random.default_rng([seed, 1]), num_test_sections, size)
        for name, stack in stacks.items():
            # no metadata: a date or a version in the file would make two runs differ
            tifffile.imwrite(files[name], stack, photometric="minisblack", metadata=None, software=False)
        return install_files({name: files[name] if name in stacks else None for name in names}, out, force)


def _check(num_sections: int, size: int, seed: int) -> None:
    if num_sections < 1:
        raise ValueError(f"{num_sections} sections: expected 1 or more (ISBI 2012 has 30)")
    if size < 64:
        raise ValueError(f"a section of {size} px has no room for cells and their membranes: 64 or more (default 512)")
    if seed < 0:
        raise ValueError(f"seed {seed}: expected 0 or more")


def _stack(rng: np.random.Generator, num_sections: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    images = np.empty((num_sections, size, size), np.uint8)
    labels = np.empty_like(images)
    for index, (cells, mitochondria) in enumerate(_drifting_cells(rng, num_sections, size)):
        images[index], labels[index] = _section(rng, cells, mitochondria)
    return images, labels


class _Field:
    """Smooth noise of mean 0 and standard deviation about 1 that keeps part of itself from one section to the next."""

    def __init__(self, rng: np.random.Generator, size: int, spacing: float) -> None:
        self._rng = rng
        self._num = int(np.ceil((size - 1) / spacing)) + 4
        # A cubic B-spline on a coarse grid. Sparse products sum in one fixed order; a BLAS product would not promise
        # the same bytes with another number of threads.
        position = np.arange(size) / spacing
        whole = position.astype(int)
        t = position - whole
        weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], 1) / 6
        weights /= np.sqrt((weights**2).sum(1, keepdims=True))  # unit variance everywhere
        columns = whole[:, None] + np.arange(4)
        rows = np.repeat(np.arange(size), 4)
        self._basis = sparse.csr_matrix(
            (weights.ravel().astype(np.float32), (rows, columns.ravel())), shape=(size, self._num)
        )
        self._grid = self._draw()

    def _draw(self) -> np.ndarray:
        return self._rng.standard_normal((self._num, self._num), dtype=np.float32)

    def next(self, keep: float = 0.0) -> np.ndarray:
        self._grid = np.float32(keep) * self._grid + np.float32(np.sqrt(1 - keep**2)) * self._draw()
        return np.asarray((self._basis @ (self._basis @ self._grid).T).T)


def _drifting_cells(
    rng: np.random.Generator, num_sections: int, size: int
) -> Iterator[tuple[np.ndarray, list[tuple[float, ...]]]]:
    """For each section: the cell of each pixel, and (row, column, half axes, angle, cell) of each mitochondrion.

    Cells are ellipses, alone or a few together, that move, turn, grow and vanish from section to section; every pixel
    goes to the nearest one, and the whole is bent by smooth displacements. Arrays have the border of `_BORDER` pixels
    around them.
    """
    canvas = size + 2 * _BORDER
    centre, radius = _pack(rng, canvas, largest=min(75.0, 12 + size / 5))
    num: int = len(radius)
    elongation = np.exp(np.abs(rng.normal(0, 0.33, num)))
    angle = rng.uniform(0, np.pi, num)
    owner = _grow_lobes(rng, centre, radius)
    offset, growth, turn = rng.normal(0, 1, (num, 2)), rng.normal(0, 1, num), rng.normal(0, 1, num)
    has_mitochondrion = (radius > 19) & (rng.random(num) < 0.4)
    spot = rng.uniform(-0.35, 0.35, (num, 2))
    mito_axes = np.clip(radius[:, None] * rng.uniform(0.42, 0.72, (num, 2)), 12, 36)
    mito_angle, mito_growth = rng.uniform(0, np.pi, num), rng.normal(0, 1, num)
    coarse = [_Field(rng, canvas, 70.0) for _ in range(2)]
    fine = [_Field(rng, canvas, 17.0) for _ in range(2)]
    tremor = [_Field(rng, canvas, 6.0) for _ in range(2)]
    rows, columns = np.mgrid[:canvas, :canvas].astype(np.float32)
    for _ in range(num_sections):
        offset, growth, turn, mito_growth = (
            _DRIFT * old + np.sqrt(1 - _DRIFT**2) * rng.normal(0, 1, old.shape)
            for old in (offset, growth, turn, mito_growth)
        )
        here = centre + offset * (2 + 0.16 * radius[:, None])
        now = radius * (1 + 0.22 * growth)
        direction = angle + 0.25 * turn
        cores = np.zeros((canvas, canvas), np.int32)
        for index in range(num):  # largest first, so that small cells lie in front of large ones
            if now[index] > 3.5:
                axes = 0.62 * now[index] * elongation[index], 0.62 * now[index] / elongation[index]
                window, inside = _ellipse(canvas, here[index], axes, direction[index])
                cores[window][inside] = owner[index] + 1
        nearest = ndimage.distance_transform_edt(cores == 0, return_distances=False, return_indices=True)
        bend = [
            11 * c.next(_DRIFT) + 2.4 * f.next(_DRIFT) + 0.7 * t.next()
            for c, f, t in zip(coarse, fine, tremor, strict=True)
        ]
        source = [
            np.clip(np.rint(grid + shift), 0, canvas - 1).astype(np.intp)
            for grid, shift in zip((rows, columns), bend, strict=True)
        ]
        cells = cores[tuple(nearest)][tuple(source)]
        mitochondria = []
        for index in map(int, np.flatnonzero(has_mitochondrion & (now > 11) & (mito_growth > -0.7))):
            place = here[index] + spot[index] * now[index]
            # bent shapes move against the displacement at their place
            at = tuple(np.clip(np.rint(place), 0, canvas - 1).astype(int))
            place = place - [bend[0][at], bend[1][at]]
            scale = min(1.0, 0.75 + 0.3 * mito_growth[index])
            mitochondria.append(
                (*place, *(scale * mito_axes[index]), mito_angle[index] + direction[index], owner[index] + 1)
            )
        yield cells, mitochondria


def _pack(rng: np.random.Generator, canvas: int, largest: float) -> tuple[np.ndarray, np.ndarray]:
    """Centres (N, 2) and radii (N,), largest first, of discs of very different sizes that hardly overlap; pixels."""
    count = max(8, int(canvas**2 / 300))
    drawn = np.exp(rng.normal(np.log(14.8), 0.76, count)).clip(5.0, largest)
    radius = np.sort(drawn[: np.searchsorted(np.cumsum(np.pi * drawn**2), 0.92 * canvas**2) + 1])[::-1]
    centre = np.empty((len(radius), 2))
    for index, r in enumerate(radius):
        candidates = rng.uniform(0, canvas, (40, 2))
        if index:
            distance = np.hypot(*(candidates[:, None] - centre[None, :index]).transpose(2, 0, 1))
            candidates = candidates[[(distance - radius[:index] - r).min(1).argmax()]]
        centre[index] = candidates[0]
    return centre, radius


def _grow_lobes(rng: np.random.Generator, centre: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """For each ellipse the one whose cell it is part of, (N,); some join a larger neighbour, so cells are concave."""
    owner = np.arange(len(radius))
    for index in np.flatnonzero(rng.random(len(radius)) < 0.42)[::-1]:
        gap = np.hypot(*(centre[:index] - centre[index]).T) - radius[:index] - radius[index]
        if index and gap.min() < 8 and radius[gap.argmin()] < 40:  # the largest are large enough
            owner[index] = gap.argmin()
    for index in range(len(owner)):  # from large to small: an owner is settled before those that joined it
        owner[index] = owner[owner[index]]
    return owner


def _ellipse(
    canvas: int, centre: np.ndarray, axes: tuple[float, float], angle: float
) -> tuple[tuple[slice, slice], np.ndarray]:
    """The window that an ellipse touches, and which of its pixels are inside."""
    window, u, v = _local(canvas, centre, axes, angle)
    return window, u**2 + v**2 < 1


def _local(
    canvas: int, centre: np.ndarray, axes: tuple[float, float], angle: float
) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray]:
    """The window around an ellipse, and the two coordinates along its axes there, 1 on the rim."""
    reach = max(axes) + 2
    low = np.clip(np.floor(centre - reach), 0, canvas).astype(int)
    high = np.clip(np.ceil(centre + reach) + 1, 0, canvas).astype(int)
    y = np.arange(low[0], high[0], dtype=np.float32)[:, None] - centre[0]
    x = np.arange(low[1], high[1], dtype=np.float32)[None] - centre[1]
    cos, sin = np.cos(angle), np.sin(angle)
    return (
        (slice(low[0], high[0]), slice(low[1], high[1])),
        (cos * y + sin * x) / axes[0],
        (cos * x - sin * y) / axes[1],
    )


def _section(
    rng: np.random.Generator, cells: np.ndarray, mitochondria: list[tuple[float, ...]]
) -> tuple[np.ndarray, np.ndarray]:
    """Image and labels of one section, uint8, without the border, from the cell of each pixel."""
    canvas = cells.shape[0]
    middle = np.s_[_BORDER : canvas - _BORDER, _BORDER : canvas - _BORDER]
    fields = {s: _Field(rng, canvas, s) for s in (3.0, 5.0, 9.0, 24.0, 60.0, 180.0)}

    change = np.zeros(cells.shape, bool)
    change[:-1] |= cells[:-1] != cells[1:]
    change[:, :-1] |= cells[:, :-1] != cells[:, 1:]
    distance = ndimage.distance_transform_edt(~change).astype(np.float32)

    # Where this is high the membrane leaned while it was cut: wide, faint, its place uncertain.
    oblique = np.clip(0.9 * fields[24.0].next() - 0.6, 0, 1.7)
    width = 1.55 + 0.35 * np.abs(fields[24.0].next()) + 2.8 * oblique
    # thicker where three cells meet: a straight line has a density of 0.11, and corners of cells are round
    width += 14 * np.clip(ndimage.gaussian_filter(change.astype(np.float32), 3.5) - 0.125, 0, 0.2)
    contrast = np.clip(0.95 - 0.3 * oblique + 0.14 * fields[9.0].next(), 0.15, 1)

    # Cytoplasm: each cell its own grey value and its own density of small things; granular all over.
    tone = rng.normal(0, 9, int(cells.max()) + 1).astype(np.float32)
    grains = rng.gamma(9.0, 0.13, int(cells.max()) + 1).astype(np.float32)[cells]
    busy = rng.gamma(1.6, 0.8, int(cells.max()) + 1)
    image = _CYTOPLASM + tone[cells] + 8 * fields[60.0].next() + 7 * fields[9.0].next()
    image += grains * (8 * fields[5.0].next() + 14 * fields[3.0].next())
    deep = distance > width + 2.5

    uneven = fields[9.0].next()
    for *centre, long, short, angle, cell in mitochondria:
        window, u, v = _local(canvas, np.asarray(centre), (long, short), angle)
        rim = np.sqrt(u**2 + v**2) + 0.05 * uneven[window]
        inside = (rim < 1) & (cells[window] == cell) & deep[window]
        inwards = (1 - rim) * short  # pixels, roughly
        period = rng.uniform(5.0, 8.0) / short
        stripes = np.sin(2 * np.pi * (v + 0.15 * np.sin(2 * u + rng.uniform(0, 6)) + 0.04 * uneven[window]) / period)
        # two membranes with a lighter gap; the cristae are folds of the inner one
        grey = _MITOCHONDRION + rng.normal(0, 8) + rng.uniform(10, 36) * stripes.clip(-0.4, 1) * (inwards > 4)
        grey += 26 * np.exp(-(((inwards - 3.4) / 1.1) ** 2)) - 40 * np.exp(-(((inwards - 1.2) / 1.3) ** 2))
        image[window] = np.where(inside, grey + 0.8 * (image[window] - _CYTOPLASM), image[window])

    # Shreds of reticulum: level lines of a smooth field, here and there.
    level, where = fields[24.0].next(), fields[60.0].next()
    image -= 45 * np.exp(-((level / 0.1) ** 2)) * (where > 0.7) * deep
    _stamp_vesicles(rng, image, deep * busy[cells])

    profile = contrast * np.exp(-((distance / width) ** 2))
    # defocus leaves a bright fringe on both sides of a membrane
    image += 14 * np.exp(-(((distance - width - 2.6) / 1.8) ** 2)) * (1 - oblique.clip(0, 1))
    image += (_MEMBRANE + 12 * fields[9.0].next() - image) * profile
    # here and there matter that took up much stain lies at a membrane
    image -= 45 * np.clip(fields[24.0].next() - 1.5, 0, 1) * np.exp(-((distance / 9) ** 2))

    image = ndimage.gaussian_filter(image, rng.uniform(0.7, 1.0))
    image += 36 * ndimage.gaussian_filter(rng.standard_normal(image.shape, dtype=np.float32), 0.8)
    light = 1 + 0.07 * fields[180.0].next()
    image = (image * light - 125) * rng.uniform(0.86, 1.1) + 125 + rng.normal(-2, 9)

    inside = distance > width + 0.75
    # annotators leave out what is too small to be a cell
    parts, num = ndimage.label(inside)
    inside = (np.bincount(parts.ravel(), minlength=num + 1) >= 16)[parts] & inside
    image8 = np.clip(np.rint(image[middle]), 0, 255).astype(np.uint8)
    return image8, np.where(inside[middle], 255, 0).astype(np.uint8)


def _stamp_vesicles(rng: np.random.Generator, image: np.ndarray, density: np.ndarray) -> None:
    """Draw vesicles (rings), dense cores (spots) and tubules (dots) into `image`, more where `density` is high."""
    num = image.size // 60
    places = rng.integers(6, image.shape[0] - 6, (num, 2))
    places = places[rng.random(num) < np.minimum(density[places[:, 0], places[:, 1]] / 3, 1)]
    y, x = np.mgrid[-6:7, -6:7].astype(np.float32)
    radius = np.hypot(y, x)
    kinds = [-64 * np.exp(-(((radius - r) / 1.2) ** 2)) for r in (2.6, 3.2, 4.2)]
    kinds += [-66 * np.exp(-((radius / r) ** 2)) for r in (1.5, 1.7, 2.0)]
    which = rng.choice(6, len(places), p=[0.17, 0.15, 0.05, 0.28, 0.22, 0.13])
    strength = rng.uniform(0.4, 1.2, len(places)).astype(np.float32)
    for (row, column), kind, factor in zip(places, which, strength, strict=True):
        image[row - 6 : row + 7, column - 6 : column + 7] += factor * kinds[kind]
