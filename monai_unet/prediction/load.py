"""Load a model from a bundle's folder or from a file that was exported."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from monai_unet.inferers.rotations import check_rotations
from monai_unet.io import Exposure, fingerprint, parse_channels
from monai_unet.knobs import knobs, nearest
from monai_unet.networks import fold, for_weights, load_weights
from monai_unet.prediction.exported import load_exported
from monai_unet.prediction.model import Model
from monai_unet.prediction.model_path import is_exported, model_path
from monai_unet.shipped import bundle_folder
from monai_unet.transforms.restoration import Restoration

if TYPE_CHECKING:
    from monai.bundle import ConfigParser

_WEIGHTS = ("ckpt_dir", "ckpt_path")
OF_A_MODEL = tuple(name for name, knob in knobs().items() if knob.acts_on in ("network", "meaning")) + _WEIGHTS
"""Names of `inference.json` that say what a model is."""
OF_A_PREDICTION = (*OF_A_MODEL, *(name for name, knob in knobs().items() if knob.acts_on == "prediction"), "tile")
"""Names of `inference.json` that a prediction depends on."""


def load_model(bundle: str, overrides: str = "{}", device: str = "cpu") -> Model:
    """The model of a bundle, or of a file that `monai_unet.export` wrote.

    Args:
        bundle: see `monai_unet.shipped.bundle_folder`; with the weights that its `inference.json` names; or a
            TorchScript or ONNX file.
        overrides: JSON of config names and values, as `{"features": [16, 32, 64]}`; a string, so that the same model is
            loaded once in a process, and again when its bundle's configs or weights have changed.
        device: where it is to compute.

    Raises:
        FileNotFoundError: when the bundle or its weights are missing.
        ValueError: when the weights do not fit the network, an override is not a name of the config or has a wrong
            value, or overrides are given for a file, which has settings of its own.
    """
    return _load(bundle, overrides, device, _stamp(bundle))


def _stamp(bundle: str) -> tuple[tuple[str, int], ...]:
    """The times of the files that a model is made of, as far as they lie in its bundle."""
    folder = model_path(bundle)
    files = [folder] if folder.is_file() else [*folder.glob("configs/*.json"), *folder.rglob("models/*.*")]
    return tuple((str(file), file.stat().st_mtime_ns) for file in sorted(files) if file.is_file())


@lru_cache(maxsize=2)
def _load(bundle: str, overrides: str, device: str, stamp: tuple[tuple[str, int], ...]) -> Model:
    if is_exported(bundle):
        changes = json.loads(overrides)
        if changes:
            raise ValueError(f"{bundle} carries its own settings: {', '.join(changes)} can be given for a bundle only")
        return load_exported(bundle, device)
    parser = bundle_parser(bundle, overrides, device)
    member = parser.get_parsed_content("network_def")
    weights, decoding = parser.get_parsed_content("ckpt_path"), parser.get_parsed_content("decoding")
    network: Any = for_weights(member, weights, grey_values=isinstance(decoding, Restoration))
    load_weights(network, weights)
    # channels last is the faster layout for inference on a CPU, and for half precision on a GPU
    spatial_dims = parser.get_parsed_content("network_def::spatial_dims")
    layout = torch.channels_last if spatial_dims == 2 else torch.channels_last_3d
    network = fold(network).eval().to(device=device, memory_format=layout)
    settings: dict[str, Any] = {
        name: parser.get_parsed_content(name)
        for name in (
            *("image_mean", "image_std", "features", "convs_per_block", "variant", "normalisation", "rotations"),
            "precision",
        )
    }
    if "exposure" in parser:
        exposure = parser.get_parsed_content("exposure")
    else:  # a bundle from before there were others
        exposure = Exposure("dataset", settings["image_mean"], settings["image_std"])
    if exposure.of_the_image:
        settings |= {"normalise": exposure.normalise, "percentiles": exposure.percentiles}
        del settings["image_mean"], settings["image_std"]  # which do nothing
    check_rotations(settings["rotations"])
    if isinstance(decoding, Restoration):  # what classes mean is in the settings of a store; grey values hang on these
        settings |= {"target": [decoding.mean, decoding.std], "residual": member.residual}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode() + fingerprint(weights).encode())
    tile = parser.get_parsed_content("tile")
    return Model(
        network=network,
        geometry=network.geometry,
        spatial_dims=spatial_dims,
        in_channels=parser.get_parsed_content("network_def::in_channels"),
        out_channels=parser.get_parsed_content("network_def::out_channels"),
        decoding=decoding,
        channels=tuple(map(str, parse_channels(parser.get_parsed_content("channels")))),
        pages=parser.get_parsed_content("pages"),
        exposure=exposure,
        value_range=None if exposure.of_the_image else tuple(parser.get_parsed_content("value_range")),
        rotations=settings["rotations"],
        precision=settings["precision"],
        bytes_per_pixel=network.bytes_per_pixel,
        digest=digest.hexdigest()[:16],
        tile=_frozen(tile),
        memory=parser.get_parsed_content("memory"),
    )


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def bundle_parser(bundle: str, overrides: str = "{}", device: str = "cpu") -> ConfigParser:
    """A bundle's `inference.json` for a device, with overrides, as JSON; FileNotFoundError when there is none."""
    from monai.bundle import ConfigParser

    folder = bundle_folder(bundle)
    parser = ConfigParser()
    parser.read_config(str(folder / "configs" / "inference.json"))
    parser.update({"bundle_root": str(folder), "device": device, **json.loads(overrides)})
    return parser


def check_overrides(
    overrides: Mapping[str, Any], bundle: str | os.PathLike[str], command: str, read: tuple[str, ...] = OF_A_PREDICTION
) -> None:
    """Refuse names of a bundle's `inference.json` that are not there, do nothing, or have a wrong value.

    Args:
        overrides: names and values that were given.
        bundle: its folder or name.
        command: for the messages, as "predict".
        read: the names that the command reads.

    Raises:
        ValueError: with the nearest name, or the values that are allowed.
    """
    config = bundle_parser(str(bundle)).get() if overrides else {}
    for name, value in overrides.items():
        top = name.replace("#", "::").split("::")[0]
        if top not in config:
            raise ValueError(f"--{name}: {bundle} has no such name in its inference.json{nearest(name, list(read))}")
        if top == name and name not in read:
            raise ValueError(f"--{name} does nothing in {command}: leave it out")
        if name in knobs():
            knobs()[name].check(value)
            if value != config[name]:  # `predicting` gives all of them, whatever they are
                knobs()[name].check_acts({**config, **overrides})


def bundle_metadata(bundle: str | Path) -> dict[str, Any]:
    """A bundle's `metadata.json`; empty when there is none."""
    path = Path(bundle) / "configs" / "metadata.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
