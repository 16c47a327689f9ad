"""The stores of a prediction: what they depend on, and where they lie in space."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from monai_unet.io.sources import ONE_CHANNEL, ImageInfo, ImageSource, split_inside
from monai_unet.io.zarr_store import PredictionStore, create_or_open
from monai_unet.prediction.chunk import Job, tile_axes
from monai_unet.prediction.model import Model
from monai_unet.transforms.decoding import Decoding
from monai_unet.transforms.restoration import Restoration


def settings_of(job: Job, source: ImageSource, model: Model) -> dict[str, Any]:
    """What the values of a prediction depend on."""
    path, inside = split_inside(source.info.path)
    stat = path.stat()
    image: dict[str, Any] = {"image size": stat.st_size, "image changed": stat.st_mtime_ns}
    if path.is_dir():  # a Zarr: its folder does not change when a chunk does
        image = {"image files": _listing(sorted(file for file in path.rglob("*") if file.is_file()), path)}
    elif len(source.files) > 1:  # a file for each channel
        image = {"image files": _listing(source.files, path.parent)}
    if model.channels != ONE_CHANNEL or model.pages is not None:
        image |= {"channels": list(model.channels), "pages": model.pages}
    return {
        "image": f"{path.name}/{inside}" if inside else path.name,
        **image,
        "model": model.digest,
        "output": job.output,
        "dtype": job.dtype,
        "threshold": job.threshold if job.output == "label" else None,
        "region": [list(part) for part in job.region],
        "device": torch.device(job.device).type,
    }


def of_labels(part: str, decoding: Decoding) -> dict[str, Any]:
    """The settings of labels, or of what is needed on the way, beside those of the probabilities."""
    names = ("threshold",) if part == "label" else ("threshold", "min_size", "separation", "seed_depth")
    return {"output": part, **{name: getattr(decoding, name) for name in names}}


def _listing(files: Sequence[Path], folder: Path) -> str:
    """A digest of the names, sizes and times of files of a folder."""
    digest = hashlib.sha256()
    for file in files:
        stat = file.stat()
        digest.update(f"{file.relative_to(folder)} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def open_store(job: Job, source: ImageSource, model: Model) -> PredictionStore:
    """The store that the chunks of a job fill, made when it is not there; errors as `create_or_open` has them."""
    info = source.info
    if isinstance(model.decoding, Restoration):
        classes, number = model.decoding.channel_names, model.decoding.channels
    else:
        classes = model.decoding.classes
        number = {"label": 1, "objects": 2}.get(job.output, len(classes) if len(classes) > 2 else 1)
    first = 3 - info.ndim  # of (z, y, x)
    extents = [stop - start for start, stop in job.region[first:]]
    chunks = [axis[0].stop - axis[0].start for axis in tile_axes(job, source, model)]
    channels = [number] if number > 1 else []
    names = (
        classes
        if number > 2 or job.output == "image"
        else (*classes[1:2], *(["inside"] if job.output == "objects" else []))
    )
    origin, affine = _place_of_region(info, [start for start, _ in job.region])
    return create_or_open(
        job.store,
        shape=[*channels, *extents],
        chunks=[*channels, *chunks],
        dtype=job.dtype,
        axes="c" * len(channels) + "zyx"[first:],
        spacing=info.spacing and info.spacing[first:],
        unit=info.unit,
        origin=origin and origin[first:],
        affine=affine,
        labels=job.output == "label",
        channel_names=["label"] if job.output == "label" else names,
        settings=settings_of(job, source, model),
    )


def _place_of_region(
    info: ImageInfo, starts: Sequence[int]
) -> tuple[tuple[float, float, float] | None, np.ndarray | None]:
    """Origin and affine of the part of an image that begins at `starts`, (z, y, x)."""
    if not any(starts):
        return info.origin, info.affine
    z, y, x = (
        place + start * size
        for place, start, size in zip(info.origin or (0.0,) * 3, starts, info.spacing or (1.0,) * 3, strict=True)
    )
    if info.affine is None:
        return (z, y, x), None
    step = np.eye(4)
    step[:3, 3] = starts[::-1]
    return (z, y, x), info.affine @ step


def label_image_store(probability: PredictionStore, path: Path, part: str, decoding: Decoding) -> PredictionStore:
    """The store that takes "label", "instances", or the "parts" that they are found in; as `probability` otherwise."""
    axes = probability.axes.replace("c", "")
    return create_or_open(
        path,
        shape=probability.shape[-len(axes) :],
        chunks=probability.chunks[-len(axes) :],
        dtype="uint8" if part == "label" else "int32",
        axes=axes,
        spacing=probability.spacing,
        unit=probability.unit,
        origin=probability.origin,
        affine=probability.affine,
        labels=True,
        channel_names=[part],
        class_names=decoding.classes if part == "label" else (),
        settings={**probability.settings, **of_labels(part, decoding)},
    )
