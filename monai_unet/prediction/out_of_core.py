"""Predict an image larger than memory, tile by tile, and go on where a run was stopped.

The tiles are the chunks of the output. A chunk is written whole or not at all, and depends on nothing but the image,
the model and the settings, so a run that goes on ends with the same bytes as one that was left alone.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.utils import ensure_tuple_rep

from monai_unet.inferers.tiling import choose_tile
from monai_unet.io import one_writer, remove_leftovers
from monai_unet.io.sources import ImageSource
from monai_unet.io.sources.zarr import import_zarr
from monai_unet.io.zarr_store import identity
from monai_unet.memory import parse_memory
from monai_unet.networks import bytes_of_others
from monai_unet.prediction.asked import Asked
from monai_unet.prediction.chunk import Job
from monai_unet.prediction.cluster import check_dask
from monai_unet.prediction.compute import compute, pool
from monai_unet.prediction.load import check_overrides, load_model
from monai_unet.prediction.model import Model
from monai_unet.prediction.model_path import is_exported, model_path
from monai_unet.prediction.object_table import check_table
from monai_unet.prediction.stores import open_store, settings_of
from monai_unet.transforms.check_image import check_scale, scale_limit
from monai_unet.transforms.decoding import Decoding
from monai_unet.transforms.restoration import Restoration

OUTPUTS = ("probability", "label", "instances", "image")
DTYPES = ("float32", "float16", "uint8")
INTERPRETER = 700_000_000  # bytes that Python with PyTorch, MONAI (with all that it imports) and Dask takes
_CHECKED = 1 << 24  # pixels that are looked at together before the start
PER_PIXEL = 40  # bytes a pixel of a tile beside the network: two tiles as read, as floats, and as they are written


def predict(
    image: str | os.PathLike[str],
    out: str | os.PathLike[str],
    bundle: str | os.PathLike[str],
    overrides: Mapping[str, Any] | None = None,
    output: str | None = None,
    dtype: str | None = None,
    threshold: float | None = None,
    min_size: int | None = None,
    memory: int | str | None = None,
    roi: Sequence[tuple[int, int]] | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    device: str | None = None,
    progress: bool | Callable[[int, int], None] = True,
    objects: str | os.PathLike[str] | None = None,
) -> Path:
    """Predict an image file of any size.

    Args:
        image: see `monai_unet.io.sources.open_source`; read by region, where its kind of file can be.
        out: `.ome.zarr` (or `.zarr`), `.ome.tif` (or `.tif`), `.nii` or `.nii.gz`. An OME-Zarr has the probabilities
            as its image and keeps them: labels and instances lie beside them, in `labels/label` and `labels/instances`,
            and are added to a store of probabilities (in float32) without computing these again. The others hold what
            is asked for alone; they are made of a Zarr beside them, which is removed when they are done.
        bundle: see `monai_unet.shipped.bundle_folder`; or a TorchScript or ONNX file that `monai-unet export` wrote.
        overrides: names of the bundle's `inference.json` with other values.
        output: "probability" (of class 1; one channel a class if there are more than two), "label", or "instances": the
            connected parts of class 1, numbered alike across tiles, each section by itself for a 2-D network. Of a
            network that restores images "image" alone, in grey values. When left out, "image" or "probability".
        dtype: of probabilities and of restored images, "float32" (default) or "float16", and of probabilities also
            "uint8" (0 to 255); labels are uint8, instances int32.
        threshold: for labels of two classes and for instances; the bundle's when left out.
        min_size: instances of fewer pixels are dropped; the bundle's when left out.
        memory: what a worker process may take, bytes or "2GB"; the bundle's when left out.
        roi: (start, stop) pixels for each axis of (D, H, W) or of (H, W); the result is that part of the whole
            (bit for bit where the library's kernels do not depend on a pixel's place, as on most CPUs), and lies where
            it lies there.
        workers: processes on this machine; 1 computes in this process.
        scheduler: address of a Dask scheduler whose workers see the same files, in place of `workers`.
        device: where the network computes; when left out, a GPU where there is one.
        progress: show a bar with the time left; or a function that is told, after each tile, how many are done and of
            how many; once where none is missing. What it raises ends the prediction as Ctrl-C does: the tiles are kept,
            and the same call goes on.
        objects: a `.csv` that gets a row for each of the instances, see docs/outputs.md.

    Returns:
        `out`.

    Raises:
        ValueError: for an image, model or output that does not fit, before anything is computed; for pixels that are
            not finite, with their place. What was predicted up to then is kept, and the same call goes on.
        FileNotFoundError: when the image, the bundle or its weights are missing.
    """
    out = Path(out)
    _check_name(out)
    import_zarr(str(out))
    if workers > 1 or scheduler is not None:
        check_dask()
    _check(output or "probability", dtype, threshold, min_size)
    if objects is not None:
        if output != "instances":
            raise ValueError(f"objects {objects}: a table is made of instances; give --output instances")
        check_table(Path(objects))
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    changes = json.dumps(dict(overrides or {}), sort_keys=True)
    bundle = str(model_path(bundle).resolve())
    if not is_exported(bundle):
        check_overrides(overrides or {}, bundle, "predict")
    model = load_model(bundle, changes, device)
    source = model.open_image(image)
    if source.info.ndim < model.spatial_dims:
        raise ValueError(f"{image} is a single picture; the network takes volumes")
    output = _output_of(model, output, dtype)
    region = _region(roi, source)
    if model.value_range is not None:
        _check_scale(source, model.value_range)
    if isinstance(model.decoding, Restoration):
        decoding = Decoding(("background", "inside"))  # not read
    else:
        decoding = replace(  # refuses values that are out of range
            model.decoding,
            threshold=model.decoding.threshold if threshold is None else threshold,
            min_size=model.decoding.min_size if min_size is None else min_size,
        )
    besides = (INTERPRETER if device == "cpu" else 0) + bytes_of_others(model.network)
    budget = parse_memory(model.memory if memory is None else memory) - besides
    if output == "instances" and len(decoding.classes) != 2:
        raise ValueError(f"instances need a network of two classes; this one has {len(decoding.classes)}")
    asked = Asked(
        out,
        output,
        decoding,
        by_section=model.spatial_dims == 2,
        memory=max(budget, 0),
        objects=None if objects is None else Path(objects),
    )
    job = Job(
        image=str(Path(image).resolve()),
        store=str(asked.store.resolve()),
        bundle=bundle,
        overrides=changes,
        device=device,
        output=asked.predicted,
        dtype="uint8" if asked.predicted == "label" else dtype or "float32",  # below labels: their threshold is exact
        threshold=decoding.threshold,
        tile=_tile(source.info.shape, model, budget, besides),
        region=region,
        threads=max(1, (os.cpu_count() or 1) // workers) if scheduler is None and workers > 1 else None,
    )
    with one_writer(out), nullcontext() if objects is None else one_writer(objects):
        for path in (out, asked.store):
            remove_leftovers(path)
        settings = settings_of(job, source, model)
        job = replace(job, identity=identity(settings))
        if not asked.is_finished(settings):
            store = open_store(job, source, model)
            if store.missing_chunks():
                if model.exposure.of_the_image and store.scale is None:
                    sections = region[0] if model.spatial_dims == 2 else None  # a volume's margin has others
                    store.keep_scale(asdict(model.exposure.of_source(source, sections, progress is True)))
                with pool(workers, scheduler, device) as workplace:
                    compute(job, store, workplace, progress)
            elif callable(progress):
                progress(math.prod(store.grid), math.prod(store.grid))
            asked.make(store)
        asked.clean_up()
    return out


def _output_of(model: Model, output: str | None, dtype: str | None) -> str:
    """What is predicted, checked against what the network gives."""
    output = output or ("image" if model.restores else "probability")
    if model.restores and output != "image":
        raise ValueError(f"output {output!r}: the network restores images, so image alone")
    if not model.restores and output == "image":
        raise ValueError("output 'image': the network gives classes; one of probability, label, instances")
    if model.restores and dtype == "uint8":
        raise ValueError("dtype 'uint8' is for probabilities; restored grey values are float32 or float16")
    return output


def _check_name(out: Path) -> None:
    if not out.name.endswith((".zarr", ".tif", ".tiff", ".nii", ".nii.gz")):
        raise ValueError(f"{out}: unknown type; expected .ome.zarr, .ome.tif, .nii or .nii.gz")


def _check(output: str, dtype: str | None, threshold: float | None, min_size: int | None) -> None:
    if output not in OUTPUTS:
        raise ValueError(f"output {output!r}: one of {', '.join(OUTPUTS)}")
    if dtype not in (None, *DTYPES):
        raise ValueError(f"dtype {dtype!r}: one of {', '.join(DTYPES)}")
    if dtype is not None and output in ("label", "instances"):
        raise ValueError(f"dtype {dtype!r} is for probabilities; a {output} has a type of its own: leave it out")
    if threshold is not None and output in ("probability", "image"):
        what = "probabilities" if output == "probability" else "a restored image"
        raise ValueError(f"threshold {threshold} does nothing for {what}: leave it out, or ask for label or instances")
    if min_size is not None and output != "instances":
        raise ValueError(f"min_size {min_size} applies to instances and does nothing for a {output}: leave it out")


def _region(roi: Sequence[tuple[int, int]] | None, source: ImageSource) -> tuple[tuple[int, int], ...]:
    shape = source.info.shape
    given = list(roi or [])
    region = [(0, n) for n in shape[: 3 - len(given)]] + [(int(start), int(stop)) for start, stop in given]
    if len(region) != 3 or any(not 0 <= start < stop <= n for (start, stop), n in zip(region, shape, strict=True)):
        raise ValueError(f"the region {given} does not lie in {source.info.path}, which has the shape {shape}")
    return tuple(region)


def _check_scale(source: ImageSource, value_range: tuple[float, float]) -> None:
    """Refuse an image that seems to be scaled to 0 to 1; reads until a pixel is bright enough, mostly a few rows."""
    depth, height, width = source.info.shape
    rows = max(_CHECKED // width, 1)
    darkest, brightest = np.inf, -np.inf
    for section in range(depth):
        for row in range(0, height, rows):
            box = (slice(section, section + 1), slice(row, min(row + rows, height)), slice(0, width))
            part = source.read(box)
            darkest, brightest = min(darkest, float(part.min())), max(brightest, float(part.max()))
            if brightest > scale_limit(value_range):
                return
    check_scale(darkest, brightest, source.info.path, value_range)


def _tile(sizes: Sequence[int], model: Model, budget: int, besides: int) -> tuple[int, int, int]:
    spatial = list(sizes)[-model.spatial_dims :]
    if model.tile is None:
        chosen = choose_tile(spatial, model.geometry, budget, model.bytes_per_pixel + PER_PIXEL, besides)
    else:
        chosen = ensure_tuple_rep(model.tile, model.spatial_dims)
    depth, height, width = [1] * (3 - len(spatial)) + list(chosen)
    return depth, height, width
