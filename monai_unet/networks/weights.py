"""Put saved weights into a network, or say why they do not fit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

_WRAPPERS = ("network", "state_dict", "model", "model_state_dict")
_PARALLEL = "module."  # before each name in the weights of DataParallel and DistributedDataParallel


def load_weights(network: nn.Module, path: str | Path, weights: Mapping[str, torch.Tensor] | None = None) -> None:
    """Put saved weights into a network, or say clearly why they do not fit.

    Args:
        network: the network.
        path: file of weights alone (`model.pt`), or of a whole run (`checkpoint.pt`) that has them under "network";
            also under "state_dict" or "model", or with the names of `DataParallel`, "module.", as others write them.
        weights: the weights, when the file has been read already.

    Raises:
        FileNotFoundError: when there is no such file; the message says which command makes it.
        ValueError: when the file is damaged, the weights are of another network, or one is NaN or infinite; the message
            names file, tensor and shapes.
    """
    if weights is None:
        if not Path(path).is_file():
            where = "" if Path(path).is_absolute() else f" in {Path.cwd()}"
            raise FileNotFoundError(
                f"{path} does not exist{where}: train first (monai-unet train BUNDLE), "
                "or say where the weights are (--ckpt_path or --bundle_root); isbi_compact comes with weights"
            )
        weights = read_weights(path)
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in weights.items() if isinstance(value, torch.Tensor)}
    if found != expected:
        if _holds_an_ensemble(found) and not _holds_an_ensemble(expected):
            raise ValueError(f"{path} holds an ensemble, and a single network is wanted: give the weights of a member")
        different = [name for name in {**expected, **found} if found.get(name) != expected.get(name)]
        name = different[0]
        raise ValueError(
            f"{path} holds the weights of another network: {len(different)} tensors differ, the first, {name}, is "
            f"{found.get(name, 'missing')} in the file and {expected.get(name, 'missing')} in the network. Give the "
            "--features (and --normalisation, --convs_per_block, --variant) it was trained with, or another --ckpt_dir"
        )
    for name, value in weights.items():
        if not torch.isfinite(value).all():
            raise ValueError(
                f"{path} holds NaN or infinity, first in {name}: whatever it predicts would be NaN. Take other "
                "weights, as those of an earlier epoch"
            )
    network.load_state_dict(weights)


def read_weights(path: str | Path, shapes_alone: bool = False) -> dict[str, Any]:
    """The weights in a file by their names, under whatever name and prefix others write them, see `load_weights`.

    Args:
        path: of the file.
        shapes_alone: leave out the numbers, which need not be read to know what the weights are of.

    Raises:
        ValueError: when the file is damaged or not a checkpoint.
    """
    return dict(_unwrapped(read_checkpoint(path, "meta" if shapes_alone else "cpu")))


def _holds_an_ensemble(names: Mapping[str, Any]) -> bool:
    return any(name.startswith("members.") for name in names)


def _unwrapped(found: Mapping[str, Any]) -> Mapping[str, Any]:
    for name in _WRAPPERS:
        if isinstance(found.get(name), Mapping):
            found = found[name]
            break
    if found and all(name.startswith(_PARALLEL) for name in found):
        found = {name.removeprefix(_PARALLEL): value for name, value in found.items()}
    return found


def read_checkpoint(path: str | Path, device: str = "cpu") -> dict[str, Any]:
    """What a checkpoint holds, as data: it cannot run code.

    Args:
        path: of the file.
        device: where tensors are put.

    Raises:
        ValueError: when the file is damaged or not a checkpoint.
    """
    try:
        # weights_only: a checkpoint is data and must not be able to run code
        return torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # torch has many: zip, pickle, key errors; all of them mean a damaged or foreign file
        # what they say is advice on how to read it nevertheless, and long
        raise ValueError(f"{path} cannot be read as a checkpoint: it is damaged, or not one") from error
