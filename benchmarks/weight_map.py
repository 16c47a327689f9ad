"""The border term of the weight map against its definition: time, difference and memory in one run.

    python benchmarks/weight_map.py [--labels train-labels.tif] [--section 0] [--out results.md]

Without `--labels` the section is one of the package's synthetic ones.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import tifffile
from _measure import peak_memory, time_runs, where_it_ran
from scipy import ndimage

from monai_unet.transforms import border_weight_map

W0, SIGMA = 10.0, 5.0


def by_definition(labels: np.ndarray) -> np.ndarray:
    """One distance transform of the whole image for each cell, of which the two smallest are kept."""
    d1 = np.full(labels.shape, np.inf)
    d2 = d1.copy()
    for cell in range(1, labels.max() + 1):
        distance = ndimage.distance_transform_edt(labels != cell)
        np.minimum(d2, np.maximum(d1, distance), out=d2)
        np.minimum(d1, distance, out=d1)
    return _term(labels, d1, d2)


def by_boxes(labels: np.ndarray) -> np.ndarray:
    """The definition inside each cell's bounding box, grown to where the term is 1e-5; numbers without gaps only."""
    cutoff = SIGMA * np.sqrt(2 * np.log(W0 / 1e-5))
    grow = int(np.ceil(cutoff))
    d1 = np.full(labels.shape, cutoff)
    d2 = d1.copy()
    for cell, bounds in enumerate(ndimage.find_objects(labels), start=1):
        box = tuple(slice(max(0, axis.start - grow), axis.stop + grow) for axis in bounds)
        distance = ndimage.distance_transform_edt(labels[box] != cell)
        np.minimum(d2[box], np.maximum(d1[box], distance), out=d2[box])
        np.minimum(d1[box], distance, out=d1[box])
    return _term(labels, d1, d2)


def _term(labels: np.ndarray, d1: np.ndarray, d2: np.ndarray) -> np.ndarray:
    weight = np.zeros(labels.shape, np.float32)
    outside = labels == 0
    weight[outside] = W0 * np.exp(-((d1[outside] + d2[outside]) ** 2) / (2 * SIGMA**2))
    return weight


def cut(labels: np.ndarray, num_cells: int) -> np.ndarray:
    """The same image with its cells cut along a lattice into `num_cells` or a few more; the background is unchanged."""
    rows, columns = np.indices(labels.shape)
    for period in range(max(labels.shape), 0, -1):
        block = rows // period * labels.shape[1] + columns // period
        numbers, pieces = np.unique(
            np.where(labels, labels.astype(np.int64) * labels.size + block, 0), return_inverse=True
        )
        if len(numbers) > num_cells:  # one of them is the background's
            return pieces.reshape(labels.shape).astype(labels.dtype)
    raise ValueError(f"{np.count_nonzero(labels)} pixels of cells cannot be cut into {num_cells} cells")


def report(foreground: np.ndarray, source: str, num_runs: int) -> str:
    """The page of results for one section of which `foreground` is not 0 inside cells."""
    labels, num_cells = ndimage.label(foreground)
    more = cut(labels, 1000)
    candidates = {
        "definition, one transform of the image a cell": by_definition,
        "definition in grown bounding boxes": by_boxes,
        "`border_weight_map`": border_weight_map,
    }
    timings = time_runs(*(partial(function, labels) for function in candidates.values()), num_runs=num_runs)
    reference = by_definition(labels)
    lines = [
        "| border term | time, median (range) | times faster | largest difference | peak memory |",
        "|---|--:|--:|--:|--:|",
    ]
    for (name, function), timing in zip(candidates.items(), timings, strict=True):
        difference = np.abs(function(labels) - reference).max()
        memory = peak_memory(partial(function, labels)) / 2**20
        ratio = timings[0].median / timing.median
        lines.append(f"| {name} | {timing} | {ratio:.1f} | {difference:.1e} | {memory:.1f} MiB |")
    lines += ["", "| `border_weight_map` | cells | time, median (range) | peak memory |", "|---|--:|--:|--:|"]
    for name, image in (("the section", labels), ("the same, its cells cut into pieces", more)):
        (timing,) = time_runs(partial(border_weight_map, image), num_runs=num_runs)
        memory = peak_memory(partial(border_weight_map, image)) / 2**20
        lines.append(f"| {name} | {image.max()} | {timing} | {memory:.1f} MiB |")
    size = " x ".join(str(axis) for axis in labels.shape)
    header = [
        "# The border term of the weight map, and its definition",
        "",
        f"- Command: `python {shlex.join(['benchmarks/weight_map.py', *sys.argv[1:]])}`",
        f"- Date: {date.today():%Y-%m-%d}",
        f"- Machine: {where_it_ran('monai-unet', 'numpy', 'scipy')}; one process, one thread",
        f"- Data: {source}; {size} px, {num_cells} cells (4-connected), {(labels == 0).mean():.0%} background",
        f"- w0 = {W0:g}, sigma = {SIGMA:g} px; {num_runs} runs each, taking turns, after one that is not counted",
        "- Peak memory: what Python and NumPy allocated on top of the labels",
        "",
    ]
    return "\n".join(header + lines) + "\n"


def main() -> None:
    """Print the page and write it to `--out`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--labels", type=Path, help="TIFF stack that is not 0 inside cells (ISBI 2012: train-labels.tif)"
    )
    parser.add_argument("--section", type=int, default=0, help="page of the stack, from 0")
    parser.add_argument("--runs", type=int, default=5, help="timed runs of each")
    parser.add_argument("--out", type=Path, help="Markdown file to write")
    arguments = parser.parse_args()
    if arguments.labels is None:
        from monai_unet.data.synthetic import synthetic_sections

        foreground = synthetic_sections(num_sections=arguments.section + 1, seed=0)[1][arguments.section]
        source = f"synthetic section {arguments.section}, seed 0"
    else:
        foreground = tifffile.imread(arguments.labels, key=arguments.section)
        source = f"`{arguments.labels.name}`, section {arguments.section}"
    page = report(foreground, source, arguments.runs)
    print(page)
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(page)


if __name__ == "__main__":
    main()
