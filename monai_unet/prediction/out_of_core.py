"""Predict an image larger than memory, tile by tile, and go on where a run was stopped.

The tiles are the chunks of the output. A chunk is written whole or not at all, and depends on nothing but the image,
the model and the settings, so a run that goes on ends with the same bytes as one that was left alone.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from monai.utils import ensure_tuple_rep
from tqdm import tqdm

from monai_unet.inferers.tiling import choose_tile, parse_memory
from monai_unet.io.sources import ImageSource, open_image
from monai_unet.io.zarr_store import PredictionStore, create_or_open
from monai_unet.prediction.chunk import Job, predict_chunk
from monai_unet.prediction.exported import is_exported
from monai_unet.prediction.instances import label_store
from monai_unet.prediction.load import check_overrides, load_model
from monai_unet.prediction.model import Model
from monai_unet.transforms.check_image import check_scale, scale_limit
from monai_unet.transforms.decoding import Decoding

if TYPE_CHECKING:
    from distributed import Client

OUTPUTS = ("probability", "label", "instances")
DTYPES = ("float32", "float16", "uint8")
INTERPRETER = 450_000_000  # bytes that Python with PyTorch, MONAI and Dask takes before the first tile
_CHECKED = 1 << 24  # pixels that are looked at together before the start
PER_PIXEL = 40  # bytes a pixel of a tile beside the network: two tiles as read, as floats, and as they are written


def predict(
    image: str | os.PathLike[str],
    out: str | os.PathLike[str],
    bundle: str | os.PathLike[str],
    overrides: Mapping[str, Any] | None = None,
    output: str = "probability",
    dtype: str | None = None,
    threshold: float | None = None,
    min_size: int | None = None,
    memory: int | str | None = None,
    roi: Sequence[tuple[int, int]] | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    device: str | None = None,
    progress: bool = True,
) -> Path:
    """Predict an image file of any size.

    Args:
        image: TIFF, Zarr, NIfTI or PNG, see `monai_unet.io.sources.open_image`; read by region, never whole.
        out: `.ome.zarr` (or `.zarr`), `.ome.tif` (or `.tif`), `.nii` or `.nii.gz`. The last ones are made of a Zarr
            beside them, which is removed when they are done.
        bundle: folder of the bundle, or a TorchScript or ONNX file that `monai-unet export` wrote.
        overrides: names of the bundle's `inference.json` with other values.
        output: "probability" (of class 1; one channel a class if there are more than two), "label", or "instances": the
            connected parts of class 1, numbered alike across tiles, each section by itself for a 2-D network.
        dtype: of probabilities, "float32" (default), "float16" or "uint8" (0 to 255); labels are uint8, instances
            int32.
        threshold: for labels of two classes and for instances; the bundle's when left out.
        min_size: instances of fewer pixels are dropped; the bundle's when left out.
        memory: what a worker process may take, bytes or "2GB"; the bundle's when left out.
        roi: (start, stop) pixels for each axis of (D, H, W) or of (H, W); the result is exactly that part of the whole.
        workers: processes on this machine; 1 computes in this process.
        scheduler: address of a Dask scheduler whose workers see the same files, in place of `workers`.
        device: where the network computes; when left out, a GPU where there is one.
        progress: show a bar with the time left.

    Returns:
        `out`.

    Raises:
        ValueError: for an image, model or output that does not fit, before anything is computed; for pixels that are
            not finite, with their place. What was predicted up to then is kept, and the same call goes on.
        FileNotFoundError: when the image, the bundle or its weights are missing.
    """
    out = Path(out)
    _check(out, output, dtype)
    if threshold is not None and output == "probability":
        raise ValueError(
            f"threshold {threshold} does nothing for probabilities: leave it out, or ask for label or instances"
        )
    if min_size is not None and output != "instances":
        raise ValueError(f"min_size {min_size} applies to instances and does nothing for a {output}: leave it out")
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    changes = json.dumps(dict(overrides or {}), sort_keys=True)
    bundle = str(Path(bundle).resolve())
    if not is_exported(bundle):
        check_overrides(overrides or {}, bundle, "predict")
    source, model = open_image(image), load_model(bundle, changes, device)
    if source.info.channels != model.in_channels:
        raise ValueError(f"{image} has {source.info.channels} channels; the network takes {model.in_channels}")
    if source.info.ndim < model.spatial_dims:
        raise ValueError(f"{image} is a single picture; the network takes volumes")
    region = _region(roi, source)
    _check_scale(source, model.value_range)
    threshold = model.decoding.threshold if threshold is None else threshold
    min_size = model.decoding.min_size if min_size is None else min_size
    decoding = replace(model.decoding, threshold=threshold, min_size=min_size)  # refuses values that are out of range
    budget = parse_memory(model.memory if memory is None else memory) - (INTERPRETER if device == "cpu" else 0)
    if output == "instances" and len(model.decoding.classes) != 2:
        raise ValueError(f"instances need a network of two classes; this one has {len(model.decoding.classes)}")
    direct = out.suffix == ".zarr" and output != "instances"
    job = Job(
        image=str(Path(image).resolve()),
        store=str((out if direct else out.with_name(f".{out.name}.zarr")).resolve()),
        bundle=bundle,
        overrides=changes,
        device=device,
        output="objects"
        if output == "instances" and model.decoding.by_distance
        else output.replace("instances", "probability"),
        dtype="uint8" if output == "label" else dtype or "float32",  # float32 below instances: their threshold is exact
        threshold=threshold,
        tile=_tile([stop - start for start, stop in region], model, max(budget, 0)),
        region=region,
        threads=max(1, (os.cpu_count() or 1) // workers) if scheduler is None and workers > 1 else None,
    )
    if out.suffix != ".zarr" and out.exists():
        raise FileExistsError(f"{out} exists; remove it, or give another --out")
    store = _store(job, source, model)
    used = [store]
    if output == "instances":
        used.append(_instance_store(store, out, "", decoding))
        if decoding.by_distance:
            used.insert(1, _instance_store(store, out, "parts", decoding))
    if output != "instances" or not used[-1].is_complete:
        if store.missing_chunks():
            with _client(workers, scheduler) as client:
                _compute(job, store, client, progress)
        if output == "instances":
            # a run that is killed here numbers anew; the probabilities, which take the time, are kept
            label_store(used, decoding, max(budget, 0), by_section=model.spatial_dims == 2)
    store = used[-1]
    store.finish()
    if out.suffix != ".zarr":
        from monai_unet.io.convert import to_nifti, to_ome_tiff

        (to_nifti if ".nii" in out.suffixes else to_ome_tiff)(store, out)
    for done in used:
        if done.path.resolve() != out.resolve():
            shutil.rmtree(done.path)
    return out


def _check(out: Path, output: str, dtype: str | None) -> None:
    if not out.name.endswith((".zarr", ".tif", ".tiff", ".nii", ".nii.gz")):
        raise ValueError(f"{out}: unknown type; expected .ome.zarr, .ome.tif, .nii or .nii.gz")
    if output not in OUTPUTS:
        raise ValueError(f"output {output!r}: one of {', '.join(OUTPUTS)}")
    if dtype not in (None, *DTYPES):
        raise ValueError(f"dtype {dtype!r}: one of {', '.join(DTYPES)}")
    if dtype is not None and output != "probability":
        raise ValueError(f"dtype {dtype!r} is for probabilities; a {output} has a type of its own: leave it out")


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


def _tile(sizes: Sequence[int], model: Model, budget: int) -> tuple[int, int, int]:
    spatial = list(sizes)[-model.spatial_dims :]
    if model.tile is None:
        chosen = choose_tile(spatial, model.geometry, budget, model.bytes_per_pixel + PER_PIXEL)
    else:
        chosen = ensure_tuple_rep(model.tile, model.spatial_dims)
    # a constant step: where one tile is not enough, chunks have the length of the lattice's step
    steps = [n if n <= t else model.geometry.step(t) for n, t in zip(spatial, chosen, strict=True)]
    depth, height, width = [1] * (3 - len(steps)) + steps
    return depth, height, width


def _store(job: Job, source: ImageSource, model: Model) -> PredictionStore:
    info, classes = source.info, model.decoding.classes
    number = {"label": 1, "objects": 2}.get(job.output, len(classes) if len(classes) > 2 else 1)
    extents = [stop - start for start, stop in job.region][3 - info.ndim :]
    channels = [number] if number > 1 else []
    names = classes if number > 2 else (*classes[1:2], *(["inside"] if job.output == "objects" else []))
    stat = info.path.stat()
    return create_or_open(
        job.store,
        shape=[*channels, *extents],
        chunks=[*channels, *job.tile[3 - info.ndim :]],
        dtype=job.dtype,
        axes="c" * len(channels) + "zyx"[3 - info.ndim :],
        spacing=info.spacing and info.spacing[3 - info.ndim :],
        unit=info.unit,
        affine=info.affine,
        labels=job.output == "label",
        channel_names=["label"] if job.output == "label" else names,
        settings={
            "image": str(info.path.name),
            "image size": stat.st_size,
            "image changed": stat.st_mtime_ns,
            "model": model.digest,
            "output": job.output,
            "threshold": job.threshold if job.output == "label" else None,
            "region": [list(part) for part in job.region],
            "device": torch.device(job.device).type,
        },
    )


def _instance_store(probability: PredictionStore, out: Path, part: str, decoding: Decoding) -> PredictionStore:
    """The store that takes the instances, or with a `part` what is needed on the way."""
    how = {name: getattr(decoding, name) for name in ("threshold", "min_size", "separation", "seed_depth")}
    axes = probability.axes.replace("c", "")
    name = f".{out.name}.{part or 'instances'}.zarr"
    return create_or_open(
        out if out.suffix == ".zarr" and not part else out.with_name(name),
        shape=probability.shape[-len(axes) :],
        chunks=probability.chunks[-len(axes) :],
        dtype="int32",
        axes=axes,
        spacing=probability.spacing,
        unit=probability.unit,
        affine=probability.affine,
        labels=True,
        channel_names=[part or "instances"],
        settings={**probability.settings, "output": part or "instances", **how},
    )


@contextmanager
def _client(workers: int, scheduler: str | None) -> Iterator[Client]:
    """A running scheduler by its address, or a cluster of this machine that ends with the block."""
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise ImportError("out-of-core prediction needs Dask: pip install 'monai-unet[large]'") from error
    if scheduler is not None:
        with Client(scheduler, timeout=10) as client:
            yield client
        return
    if workers < 1:
        raise ValueError(f"workers {workers}: 1 or more")
    with (
        tempfile.TemporaryDirectory() as scratch,
        LocalCluster(
            n_workers=workers,
            threads_per_worker=2,  # one reads and writes while the other computes
            processes=workers > 1,
            protocol="tcp://",  # else a single worker's status page would listen beyond the loopback
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            memory_limit=0,  # the tile is chosen to fit; Dask must not kill what it does not understand
            local_directory=scratch,
            silence_logs="ERROR",
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def _compute(job: Job, store: PredictionStore, client: Client, progress: bool) -> None:
    """Every chunk that is missing, a few ahead at a time, so that a million tiles need no million futures."""
    from distributed import as_completed

    missing = store.missing_chunks()
    total = int(np.prod(store.grid))
    ahead = 4 * max(1, sum(client.nthreads().values()))
    waiting = iter(missing)

    def submit(indices: Iterable[tuple[int, ...]]) -> list:
        return [client.submit(predict_chunk, job, index, pure=False) for index in indices]

    running = as_completed(submit(islice(waiting, ahead)))
    with tqdm(total=total, initial=total - len(missing), unit="tile", desc="predicting", disable=not progress) as bar:
        for future in running:
            future.result()
            bar.update()
            for following in submit(islice(waiting, 1)):
                running.add(following)
