"""Predict the part of an image that is seen, exactly as it will be in the whole, and then the whole, out of core."""

from __future__ import annotations

import hashlib
import itertools
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from monai_unet.io import stem
from monai_unet.io.sources import split_inside
from monai_unet.io.zarr_store import PredictionStore, recorded
from monai_unet.prediction.load import load_model
from monai_unet.prediction.model import Model
from monai_unet.prediction.out_of_core import predict
from monai_unet.shipped import shipped_bundles
from monai_unet.transforms.restoration import Restoration
from monai_unet.viewer.images import session_folder
from monai_unet.viewer.uncertain import Place, uncertain_places

OUTPUTS = ("instances", "label", "probability")
_IN_MEMORY = 1 << 26  # bytes; larger arrays are shown from the disk, as a pyramid
_COLOURS = ("magenta", "cyan", "yellow", "green", "red", "blue")


class StoppedError(Exception):
    """A prediction was stopped; what it had predicted is kept, and the same request goes on."""


@dataclass(frozen=True)
class Request:
    """What is to be predicted.

    Attributes:
        image: the file.
        bundle: its folder or name.
        output: one of `OUTPUTS`; of a network that restores images it does not count.
        threshold, min_size: see `monai_unet.prediction.out_of_core.predict`; the bundle's when None.
        device: where the network computes; a GPU where there is one when None.
    """

    image: Path
    bundle: str
    output: str = "instances"
    threshold: float | None = None
    min_size: int | None = None
    device: str | None = None

    def model(self) -> Model:
        """The model, with the weights that there are now; errors as `load_model` has them."""
        return load_model(self.bundle, "{}", self.device or _device())

    @property
    def arguments(self) -> dict[str, Any]:
        """For `monai_unet.prediction.out_of_core.predict`."""
        decoding = self.model().decoding
        given: dict[str, Any] = {"bundle": self.bundle, "device": self.device}
        if isinstance(decoding, Restoration):
            return given
        several = len(decoding.classes) > 2  # which have no instances, and no threshold
        output = "label" if several and self.output == "instances" else self.output
        if output != "probability" and not several:
            given["threshold"] = self.threshold
        if output == "instances":
            given["min_size"] = self.min_size
        return {**given, "output": output}


@dataclass(frozen=True)
class Shown:
    """A layer that shows a result.

    Attributes:
        kind: "image" or "labels".
        data: an array, or a list of them, each half as large as the one before.
        name: of the layer.
        options: for the layer, besides its place.
    """

    kind: str
    data: Any
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


def bundles_with_weights() -> list[str]:
    """The names of the shipped bundles that can predict at once."""
    return [name for name, folder in shipped_bundles().items() if (folder / "models" / "model.pt").is_file()]


def predict_visible(request: Request, box: Sequence[tuple[int, int]]) -> list[Shown]:
    """Predict a part of an image; what is shown is that part of the whole.

    Args:
        request: what is to be predicted.
        box: (start, stop) pixels for each axis of the image.
    """
    with tempfile.TemporaryDirectory(dir=session_folder()) as folder:
        out = Path(folder) / "visible.ome.zarr"
        predict(request.image, out, roi=box, progress=False, **request.arguments)
        return [replace(each, data=in_memory(each.data)) for each in shown(out)]


def whole_path(request: Request, folder: Path) -> Path:
    """Where the prediction of a whole image lies: the same for the same request, so that a stopped one goes on."""
    model, file = request.model(), split_inside(request.image)[0]
    changed = [file.stat().st_mtime_ns, file.stat().st_size]
    known = [str(request.image), changed, model.digest, request.threshold, request.min_size]
    digest = hashlib.sha256(json.dumps(known).encode()).hexdigest()[:8]
    return folder / f"{stem(request.image)}_{Path(request.bundle).name}_{digest}.ome.zarr"


def predict_whole(
    request: Request, folder: Path, progress: Callable[[int, int], None], is_stopped: Callable[[], bool]
) -> Path:
    """Predict an image of any size into a store in a folder.

    Args:
        request: what is to be predicted.
        folder: that the store is to lie in.
        progress: is told how many tiles are done, and of how many, after each of them.
        is_stopped: is asked after each tile.

    Returns:
        The store, an OME-Zarr.

    Raises:
        StoppedError: when `is_stopped` says so; what was predicted is kept, and the same request goes on.
    """

    def tell(done: int, total: int) -> None:
        progress(done, total)
        if is_stopped() and done < total:
            raise StoppedError(f"stopped after {done} of {total} tiles; the same prediction goes on from there")

    return predict(request.image, whole_path(request, folder), progress=tell, **request.arguments)


def least_sure_places(request: Request, folder: Path, is_stopped: Callable[[], bool]) -> list[Place]:
    """Predict an image, as `predict_whole` does, and give its places, the least sure one first."""
    request = replace(request, output="probability")
    store = PredictionStore(predict_whole(request, folder, lambda done, total: None, is_stopped))
    return uncertain_places(store.level(0), channels="c" in store.axes)


def shown(store: Path) -> list[Shown]:
    """The layers that show a store of a prediction: probabilities or restored channels, then labels.

    Raises:
        ValueError: when it is not the store of a prediction.
    """
    root = PredictionStore(store)
    layers = [_labels(root, "labels")] if root.labels else list(_images(root))
    for path in sorted((store / "labels").glob("*")) if (store / "labels").is_dir() else ():
        if recorded(path) is not None:
            layers.append(_labels(PredictionStore(path), path.name))
    return layers


def in_memory(data: Any) -> np.ndarray:
    """The finest level of what a layer shows, as an array."""
    return np.asarray(data[0] if isinstance(data, list) else data)


class _Channel:
    """A channel of a Zarr array, read where it is looked at."""

    def __init__(self, array: Any, channel: int | None) -> None:
        self.array, self.fixed = array, () if channel is None else (channel,)
        self.shape = tuple(array.shape[len(self.fixed) :])
        self.dtype, self.ndim = np.dtype(array.dtype), len(self.shape)
        self.size = int(np.prod(self.shape))

    def __getitem__(self, box: Any) -> np.ndarray:
        where = (*self.fixed, *(box if isinstance(box, tuple) else (box,)))
        return np.asarray(self.array[where])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[(slice(None),) * self.ndim].astype(dtype or self.dtype, copy=False)


def _images(store: PredictionStore) -> Iterator[Shown]:
    """Of two classes the second one, of more each but the first; of restored channels all."""
    names = list(store.channel_names) or ["probability"]
    restores = store.settings.get("output") == "image"
    if "c" not in store.axes:
        chosen: list[tuple[int | None, str]] = [(None, names[0])]
    elif store.settings.get("output") == "objects":
        chosen = [(0, names[0])]  # the other one is of distances, which instances are made of
    else:
        chosen = [(number, name) for number, name in enumerate(names) if restores or number]
    for (channel, name), colour in zip(chosen, itertools.cycle(_COLOURS)):
        limits = (0, 255 if store.dtype == np.uint8 else 1)
        look = {"blending": "additive", "colormap": colour, "opacity": 0.45, "contrast_limits": limits}
        said = name if restores or name == "probability" else f"probability of {name}"
        yield Shown("image", _levels(store, channel), said, {} if restores else look)


def _labels(store: PredictionStore, name: str) -> Shown:
    return Shown("labels", _levels(store, None), name)


def _levels(store: PredictionStore, channel: int | None) -> Any:
    """The levels of a store; of a small one the finest alone, in memory."""
    finest = _Channel(store.level(0), channel)
    if finest.size * finest.dtype.itemsize <= _IN_MEMORY:
        return np.asarray(finest)
    there = itertools.takewhile(lambda level: (store.path / str(level)).is_dir(), itertools.count())
    return [_Channel(store.level(level), channel) for level in there]


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
