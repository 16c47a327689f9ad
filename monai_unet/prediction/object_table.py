"""The objects of a prediction as a table, one row an object."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from monai_unet.io import written_aside
from monai_unet.io.zarr_store import PredictionStore
from monai_unet.prediction.instances import sections_of
from monai_unet.transforms.measured_objects import MeasuredObjects, measure_objects

_MEAN = "mean_probability"


def write_objects(labels: PredictionStore, probability: PredictionStore, path: Path, by_section: bool) -> None:
    """Write a CSV with a row for each object, measured chunk by chunk; docs/outputs.md explains its columns.

    Args:
        labels: the instances, complete.
        probability: that they were made of; its first channel is that of the foreground.
        path: of the table; written aside and renamed.
        by_section: each section of a stack has objects of its own, numbered from 1 on.
    """
    is_stack = by_section and len(labels.shape) == 3
    with written_aside(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(_columns(labels, is_stack))
        for number, (of_labels, of_probability) in enumerate(
            zip(sections_of(labels, is_stack), sections_of(probability, is_stack), strict=True)
        ):
            found = measure_objects(of_labels, of_probability, labels.chunks[-len(of_labels.shape) :])
            table.writerows(_rows(found, labels, number if is_stack else None))


def check_table(path: Path) -> None:
    """Refuse a place for a table where something else lies.

    Raises:
        ValueError: when the name does not end with ".csv".
        FileExistsError: when there is a file that is no such table.
    """
    if path.suffix.lower() != ".csv":
        raise ValueError(f"{path}: the table of objects is a CSV; give a name that ends with .csv")
    if not path.exists():
        return
    try:
        with path.open(encoding="utf-8") as file:
            header = file.readline().rstrip("\n").split(",")
    except (OSError, UnicodeDecodeError):
        header = []
    if header[0:1] != ["label"] or header[-1] != _MEAN:
        raise FileExistsError(f"{path} exists and is no table of objects: remove it, or give another name")


def _columns(store: PredictionStore, is_stack: bool) -> list[str]:
    axes = store.axes
    size = "volume" if "z" in axes and not is_stack else "area"
    unit = store.unit or "unit"
    has_place = _has_place(store)
    return [
        "label",
        *(f"{axis}_px" for axis in axes),
        *(f"{axis}_{unit}" for axis in axes if has_place),
        *(f"{axis}_start" for axis in axes),
        *(f"{axis}_stop" for axis in axes),
        f"{size}_px",
        *([f"{size}_{unit}{3 if size == 'volume' else 2}"] if has_place else []),
        _MEAN,
    ]


def _rows(found: MeasuredObjects, store: PredictionStore, section: int | None) -> Iterator[list[str]]:
    """The rows of one section, or of all objects of a picture or volume."""
    centres, starts, stops = found.centres, found.starts, found.stops
    if section is not None:
        centres, starts, stops = (
            np.insert(each, 0, at, axis=1) for each, at in ((centres, section), (starts, section), (stops, section + 1))
        )
    has_place = _has_place(store)
    places = _places(store, centres) if has_place else np.zeros((len(centres), 0))
    pixel = np.prod((store.spacing or (1.0,))[-2 if section is not None else -len(store.axes) :])
    for index, label in enumerate(found.labels):
        yield [
            str(label),
            *(f"{place:.3f}" for place in centres[index]),
            *(f"{place:.6g}" for place in places[index]),
            *map(str, starts[index]),
            *map(str, stops[index]),
            str(found.sizes[index]),
            *([f"{found.sizes[index] * pixel:.6g}"] if has_place else []),
            f"{found.means[index]:.4f}",
        ]


def _has_place(store: PredictionStore) -> bool:
    return store.spacing is not None


def _places(store: PredictionStore, centres: np.ndarray) -> np.ndarray:
    """Places in space, in the order of the axes and the unit of the store, as its files give them."""
    if store.affine is None:
        return np.asarray(store.origin or 0.0) + centres * np.asarray(store.spacing)
    pixels = np.zeros((len(centres), 3))  # x, y, z
    pixels[:, : centres.shape[1]] = centres[:, ::-1]
    return (pixels @ store.affine[:3, :3].T + store.affine[:3, 3])[:, : centres.shape[1]][:, ::-1]
