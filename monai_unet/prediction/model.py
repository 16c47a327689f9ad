"""A trained network with all that prediction has to know of it, loaded from a bundle."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from monai_unet.data.fingerprint import fingerprint
from monai_unet.handlers import load_weights
from monai_unet.inferers.tiling import Geometry


@dataclass(frozen=True)
class Model:
    """What a tile needs to become a prediction.

    Attributes:
        network: on its device, for inference.
        geometry: of the network.
        spatial_dims: 2 or 3.
        in_channels, out_channels: of the network.
        mean, std: grey values are normalised by (x - mean) / std.
        value_range: lowest and highest grey value that this is made for.
        bytes_per_pixel: that a forward pass takes for a pixel of its input.
        digest: of weights and settings; two models of the same digest predict the same.
    """

    network: nn.Module
    geometry: Geometry
    spatial_dims: int
    in_channels: int
    out_channels: int
    mean: float
    std: float
    value_range: tuple[float, float]
    bytes_per_pixel: float
    digest: str


@lru_cache(maxsize=2)
def load_model(bundle: str, overrides: str = "{}", device: str = "cpu") -> Model:
    """The model of a bundle.

    Args:
        bundle: folder of the bundle, with `configs/inference.json` and the weights that it names.
        overrides: JSON of config names and values, as `{"features": [16, 32, 64]}`; a string, so that the same model is
            loaded once a process.
        device: where it is to compute.

    Raises:
        FileNotFoundError: when there is no such bundle, or no weights in it.
        ValueError: when the weights do not fit the network.
    """
    from monai.bundle import ConfigParser

    config = Path(bundle) / "configs" / "inference.json"
    if not config.is_file():
        raise FileNotFoundError(f"{bundle} is no bundle: {config} does not exist; bundles/isbi is one")
    parser = ConfigParser()
    parser.read_config(str(config))
    parser.update({"bundle_root": bundle, **json.loads(overrides)})
    network = parser.get_parsed_content("network_def")
    weights = parser.get_parsed_content("ckpt_path")
    load_weights(network, weights)
    # channels last is the faster layout for inference on a CPU, and for half precision on a GPU
    spatial_dims = parser.get_parsed_content("network_def::spatial_dims")
    layout = torch.channels_last if spatial_dims == 2 else torch.channels_last_3d
    network = network.eval().to(device=device, memory_format=layout)
    settings: dict[str, Any] = {
        name: parser.get_parsed_content(name)
        for name in ("image_mean", "image_std", "features", "convs_per_block", "variant")
    }
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode() + fingerprint(weights).encode())
    return Model(
        network=network,
        geometry=network.geometry,
        spatial_dims=spatial_dims,
        in_channels=parser.get_parsed_content("network_def::in_channels"),
        out_channels=parser.get_parsed_content("network_def::out_channels"),
        mean=settings["image_mean"],
        std=settings["image_std"],
        value_range=tuple(parser.get_parsed_content("value_range")),
        bytes_per_pixel=network.bytes_per_pixel,
        digest=digest.hexdigest()[:16],
    )
