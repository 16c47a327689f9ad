"""Predict the part of an image that is seen, exactly as it will be in the whole, and then the whole, out of core."""

from __future__ import annotations

import hashlib
import itertools
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from monai_unet.io import stem
from monai_unet.io.sources import split_inside
from monai_unet.io.zarr_store import PredictionStore
from monai_unet.prediction.load import load_model
from monai_unet.prediction.model import Model
from monai_unet.prediction.out_of_core import predict
from monai_unet.shipped import shipped_bundles
from monai_unet.transforms.restoration import Restoration
from monai_unet.viewer.images import session_folder
from monai_unet.viewer.reader import read_store
from monai_unet.viewer.uncertain import Place, uncertain_places

OUTPUTS = ("instances", "label", "probability")
_IN_MEMORY = 1 << 26  # bytes; larger arrays are shown from the disk, as a pyramid
_COLOURS = ("magenta", "cyan", "yellow", "green", "red", "blue")


class StoppedError(Exception):
    """A prediction was stopped; of a whole image what was predicted is kept, and the same request goes on."""


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


def predict_visible(
    request: Request, box: Sequence[tuple[int, int]], is_stopped: Callable[[], bool] = lambda: False
) -> list[Shown]:
    """Predict a part of an image; what is shown is that part of the whole.

    Args:
        request: what is to be predicted.
        box: (start, stop) pixels for each axis of the image.
        is_stopped: is asked after each tile.

    Raises:
        StoppedError: when `is_stopped` says so.
    """

    def tell(done: int, total: int) -> None:
        if is_stopped():
            raise StoppedError("stopped")

    with tempfile.TemporaryDirectory(dir=session_folder()) as folder:
        out = Path(folder) / "visible.ome.zarr"
        predict(request.image, out, roi=box, progress=tell, **request.arguments)
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
        progress: is told how many tiles are done, and of how many, after each of them; when all are, what is left is to
            make the result of them.
        is_stopped: is asked after each tile.

    Returns:
        The store, an OME-Zarr.

    Raises:
        StoppedError: when `is_stopped` says so; what was predicted is kept, and the same request goes on.
    """
    # the file that is written for a layer is another one, with another time, when napari is started again
    until = " until napari ends" if request.image.is_relative_to(session_folder()) else ""

    def tell(done: int, total: int) -> None:
        progress(done, total)
        if is_stopped():
            raise StoppedError(f"stopped after {done} of {total} tiles; the same prediction goes on from there{until}")

    return predict(request.image, whole_path(request, folder), progress=tell, **request.arguments)


def least_sure_places(request: Request, folder: Path, is_stopped: Callable[[], bool]) -> list[Place]:
    """Predict an image, as `predict_whole` does, and give its places, the least sure one first."""
    request = replace(request, output="probability")
    store = PredictionStore(predict_whole(request, folder, lambda done, total: None, is_stopped))
    return uncertain_places(store.level(0), channels="c" in store.axes)


def shown(store: Path) -> list[Shown]:
    """The layers that show a store of a prediction: what its reader has, but for what nobody asked to see.

    That is the probability of the background where there are more classes than two, and the distance that objects are
    made of. Small results are read into memory.

    Raises:
        ValueError: when it is not the store of a prediction.
    """
    root = PredictionStore(store)
    output, names = root.settings.get("output"), root.channel_names
    unseen = {"objects": names[1:], "probability": names[:1] if "c" in root.axes else ()}.get(str(output), ())
    layers = []
    colours = itertools.cycle(_COLOURS)
    for data, options, kind in read_store(store):
        name = options["name"].removeprefix(stem(store)).strip() or "probability"
        if kind == "image" and name in unseen:
            continue
        look: dict[str, Any] = {}
        if "contrast_limits" in options:  # of a probability
            look = {"contrast_limits": options["contrast_limits"], "colormap": next(colours)}
            look |= {"blending": "additive", "opacity": 0.45}
            name = name if name == "probability" else f"probability of {name}"
        layers.append(Shown(kind, _small_in_memory(data), name, look))
    return layers


def _small_in_memory(data: Any) -> Any:
    finest = data[0] if isinstance(data, list) else data
    return np.asarray(finest) if finest.nbytes <= _IN_MEMORY else data


def in_memory(data: Any) -> np.ndarray:
    """The finest level of what a layer shows, as an array."""
    return np.asarray(data[0] if isinstance(data, list) else data)


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
