"""One chunk of a prediction: what a worker has to know of it, and what it does."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch

from monai_unet.inferers.precision import autocast, check_result, compute_dtype
from monai_unet.inferers.rotations import mean_over_rotations
from monai_unet.inferers.tiling import Span, crop_to_tile, read_mirrored, spans
from monai_unet.io import Scale
from monai_unet.io.sources import ImageSource, check_finite
from monai_unet.io.sources.zarr import import_zarr
from monai_unet.io.zarr_store import PredictionStore
from monai_unet.malloc import give_freed_blocks_back
from monai_unet.prediction.load import load_model
from monai_unet.prediction.model import Model
from monai_unet.softmax import softmax_of_pixels
from monai_unet.to_device import to_device
from monai_unet.transforms.check_image import check_range
from monai_unet.transforms.restoration import Restoration

# one tile at a time in the network; the other threads of a worker read and write meanwhile
_COMPUTING = threading.Lock()
_OPENING = threading.Lock()  # the threads of a worker share what one of them has opened


@dataclass(frozen=True)
class Job:
    """All that a worker has to know; small, and the same for every tile.

    Attributes:
        image: path of the input.
        store: path of the Zarr that takes the chunks.
        bundle, overrides, device: of the model, see `load_model`.
        output: "image", of a network that restores; "probability", "label", or "objects", what the objects of a network
            with a distance are made of: the probability of the foreground and that of inside.
        dtype: of the chunks.
        threshold: of labels, see `monai_unet.transforms.decoding.Decoding`.
        tile: output pixels of a tile of the whole image, one number for each axis of (D, H, W).
        region: (start, stop) for each axis of (D, H, W).
        threads: of PyTorch in a worker; as PyTorch finds it when None.
        identity: of the store's settings, so that nothing is kept of an image that has been replaced.
    """

    image: str
    store: str
    bundle: str
    overrides: str
    device: str
    output: str
    dtype: str
    threshold: float
    tile: tuple[int, int, int]
    region: tuple[tuple[int, int], ...]
    threads: int | None
    identity: str = ""


def predict_chunk(job: Job, index: tuple[int, ...]) -> None:
    """Read the tile of a chunk with its mirrored margin, run the network, write the chunk."""
    with _OPENING:
        source, model, scale, store, axes = _opened(job)
    tile = [axis[position] for axis, position in zip(axes, index[-len(axes) :], strict=True)]

    def read(box: tuple[slice, ...]) -> torch.Tensor:
        where = (box[-3] if len(box) == 3 else slice(0, 1), box[-2], box[-1])
        block = source.read(where)
        check_finite(block, source.info.path, where)
        if model.value_range is not None:
            check_range(float(block.min()), float(block.max()), source.info.path, model.value_range)
        return torch.from_numpy(scale.normalised(block, where[0].start))

    patch = read_mirrored(read, source.info.shape[-len(tile) :], tile)[None]
    flat = model.spatial_dims == 2
    patch = patch[:, :, 0] if flat and patch.ndim == 5 else patch  # the section of a 2-D network
    geometry_tile = tile[-model.spatial_dims :]
    dtype = compute_dtype(model.precision, job.device)
    patch = to_device(patch, job.device)
    with _COMPUTING, torch.inference_mode(), autocast(job.device, dtype):
        logits = mean_over_rotations(model.network, patch, model.rotations, grey_values=model.restores)
        logits = crop_to_tile(logits, geometry_tile, model.geometry).float()
        if isinstance(model.decoding, Restoration):
            probability = model.decoding.grey_values(logits[0])
        else:
            probability = softmax_of_pixels(logits)[0]
    probability = probability.cpu()  # a GPU is waited for here, while another thread gives it the next tile
    check_result(probability)
    store.write(index, _encode(probability, job, model).reshape([part.stop - part.start for part in store.box(index)]))


def _encode(probability: torch.Tensor, job: Job, model: Model) -> np.ndarray:
    """What is kept of (channels, *extent): class 1 or the label of two classes, else all."""
    if isinstance(model.decoding, Restoration):
        return probability.numpy().astype(job.dtype)
    decoding = replace(model.decoding, threshold=job.threshold)
    if job.output == "label":
        return decoding.class_map(probability.numpy())[None]
    kept = decoding.kept(probability)
    if job.output == "objects":
        kept = torch.cat([kept, probability[1:2]])
    if job.dtype == "uint8":
        return (kept * 255).round().to(torch.uint8).numpy()
    return kept.numpy().astype(job.dtype)


def tile_axes(job: Job, source: ImageSource, model: Model) -> list[list[Span]]:
    """The tiles along each spatial axis of the output; a 2-D network takes sections one by one."""
    axes = []
    for axis, ((start, stop), n, tile) in enumerate(zip(job.region, source.info.shape, job.tile, strict=True)):
        if axis == 0 and model.spatial_dims == 2:
            axes.append([Span(at, at + 1, at, 1, 0) for at in range(start, stop)])
        else:
            axes.append(spans(n, tile, model.geometry, (start, stop)))
    return axes[3 - source.info.ndim :]


@lru_cache(maxsize=1)
def _opened(job: Job) -> tuple[ImageSource, Model, Scale, PredictionStore, list[list[Span]]]:
    """What a worker opens once for all its tiles."""
    give_freed_blocks_back()
    if job.threads is not None:
        torch.set_num_threads(job.threads)
    import_zarr(job.store).config.set(
        {"threading.max_workers": 1}
    )  # it would decode several chunks at once, and hold them
    model = load_model(job.bundle, job.overrides, job.device)
    source = model.open_image(job.image)
    store = PredictionStore(job.store)
    scale = Scale(**store.scale) if store.scale else model.exposure.of_source(source)
    return source, model, scale, store, tile_axes(job, source, model)
