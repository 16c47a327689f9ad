"""A trained network with all that prediction has to know of it, loaded from a bundle or an exported file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from monai_unet.data.fingerprint import fingerprint
from monai_unet.handlers import load_weights
from monai_unet.inferers.rotations import check_rotations
from monai_unet.inferers.tiling import Geometry
from monai_unet.prediction.exported import is_exported, load_exported

if TYPE_CHECKING:
    from monai.bundle import ConfigParser


@dataclass(frozen=True)
class Model:
    """What a tile needs to become a prediction.

    Attributes:
        network: on its device, for inference.
        geometry: of the network.
        spatial_dims: 2 or 3.
        in_channels, out_channels: of the network.
        class_names: one an output channel.
        mean, std: grey values are normalised by (x - mean) / std.
        value_range: lowest and highest grey value that this is made for.
        rotations: turned or mirrored versions of a tile that are averaged.
        bytes_per_pixel: that a forward pass takes for a pixel of its input.
        digest: of weights and settings; two models of the same digest predict the same.
    """

    network: nn.Module
    geometry: Geometry
    spatial_dims: int
    in_channels: int
    out_channels: int
    class_names: tuple[str, ...]
    mean: float
    std: float
    value_range: tuple[float, float]
    rotations: int
    bytes_per_pixel: float
    digest: str


@lru_cache(maxsize=2)
def load_model(bundle: str, overrides: str = "{}", device: str = "cpu") -> Model:
    """The model of a bundle, or of a file that `monai_unet.export` wrote.

    Args:
        bundle: folder of the bundle, with `configs/inference.json` and the weights that it names; or a TorchScript or
            ONNX file.
        overrides: JSON of config names and values, as `{"features": [16, 32, 64]}`; a string, so that the same model is
            loaded once a process.
        device: where it is to compute.

    Raises:
        FileNotFoundError: when there is no such bundle, or no weights in it.
        ValueError: when the weights do not fit the network, or overrides are given for a file, which has settings of
            its own.
    """
    if is_exported(bundle):
        changes = json.loads(overrides)
        if changes:
            raise ValueError(f"{bundle} carries its own settings: {', '.join(changes)} can be given for a bundle only")
        return load_exported(bundle, device)
    parser = bundle_parser(bundle, overrides)
    network = parser.get_parsed_content("network_def")
    weights = parser.get_parsed_content("ckpt_path")
    load_weights(network, weights)
    # channels last is the faster layout for inference on a CPU, and for half precision on a GPU
    spatial_dims = parser.get_parsed_content("network_def::spatial_dims")
    layout = torch.channels_last if spatial_dims == 2 else torch.channels_last_3d
    network = network.eval().to(device=device, memory_format=layout)
    settings: dict[str, Any] = {
        name: parser.get_parsed_content(name)
        for name in ("image_mean", "image_std", "features", "convs_per_block", "variant", "normalisation", "rotations")
    }
    check_rotations(settings["rotations"])
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode() + fingerprint(weights).encode())
    return Model(
        network=network,
        geometry=network.geometry,
        spatial_dims=spatial_dims,
        in_channels=parser.get_parsed_content("network_def::in_channels"),
        out_channels=parser.get_parsed_content("network_def::out_channels"),
        class_names=_class_names(parser, Path(bundle)),
        mean=settings["image_mean"],
        std=settings["image_std"],
        value_range=tuple(parser.get_parsed_content("value_range")),
        rotations=settings["rotations"],
        bytes_per_pixel=network.bytes_per_pixel,
        digest=digest.hexdigest()[:16],
    )


def bundle_parser(bundle: str, overrides: str = "{}") -> ConfigParser:
    """A bundle's `inference.json` with overrides, as JSON; FileNotFoundError when there is none."""
    from monai.bundle import ConfigParser

    config = Path(bundle) / "configs" / "inference.json"
    if not config.is_file():
        raise FileNotFoundError(f"{bundle} is no bundle: {config} does not exist; bundles/isbi is one")
    parser = ConfigParser()
    parser.read_config(str(config))
    parser.update({"bundle_root": bundle, **json.loads(overrides)})
    return parser


def bundle_metadata(bundle: str | Path) -> dict[str, Any]:
    """A bundle's `metadata.json`; empty when there is none."""
    path = Path(bundle) / "configs" / "metadata.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _class_names(parser: ConfigParser, bundle: Path) -> tuple[str, ...]:
    """One an output channel, from the config's `classes`, else from the metadata's `channel_def`."""
    number = parser.get_parsed_content("network_def::out_channels")
    outputs = bundle_metadata(bundle).get("network_data_format", {}).get("outputs", {})
    defined = outputs.get("pred", {}).get("channel_def", {})
    names = parser.get_parsed_content("classes") if "classes" in parser else list(defined.values())
    return tuple(map(str, names)) if len(names) == number else tuple(f"class {index}" for index in range(number))
