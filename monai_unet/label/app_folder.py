"""Make the folder that MONAI Label calls an app from bundles."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from monai_unet.io import found_file, written_aside
from monai_unet.knobs import knobs, nearest
from monai_unet.networks import load_weights
from monai_unet.prediction.load import bundle_parser
from monai_unet.shipped import bundle_folder

CONFIGS = ("inference.json", "train.json")

_MAIN = '''"""Made by `monai-unet label`; MONAI Label imports it."""

from monai_unet.label.stand_in import stand_in_for_torchvision

stand_in_for_torchvision()  # before the next line, which imports MONAI Label's tasks

from monai_unet.label.app import BundlesApp  # noqa: E402, F401
'''
_TASKS = ("detection", "classification", "deepedit", "deepgrow")
"""A model whose name holds one of these is of another kind to MONAI Label."""

_WEIGHTS = ("ckpt_dir", "ckpt_path")
"""Where the weights lie that the app's copy starts with; it has places of its own."""
_OF_THE_SERVER = ("device", "resume", "epochs", "validation", "training_sections", "workers")
"""Knobs that the server sets, or that do nothing in it."""


def make_app(app: str | Path, bundles: Sequence[str | Path], overrides: Mapping[str, Any] | None = None) -> list[str]:
    """Copy bundles into an app folder, so that what is trained from labels leaves the bundles as they are.

    Configs are copied anew each time. Weights are copied once: those that are in the app already are kept, as they may
    have been trained there. A bundle without weights gets an untrained network, to be trained from labels.

    Args:
        app: the folder; made when it is not there.
        bundles: see `monai_unet.shipped.bundle_folder`.
        overrides: names of the bundles' configs and their values, written into the copies that know them.

    Returns:
        A line about each bundle, for people to read.

    Raises:
        FileNotFoundError: when a folder is not a bundle.
        ValueError: when two bundles have one name, MONAI Label would take the name for another task, no config has
            the name of an override, it would do nothing or has a wrong value, or the weights do not fit the network.
    """
    overrides = dict(overrides or {})
    _check(overrides)
    found = [bundle_folder(bundle) for bundle in bundles]
    folders = {folder.resolve().name: folder for folder in found}
    if len(folders) < len(bundles):
        raise ValueError(f"two of the bundles {', '.join(map(str, bundles))} have the same name; rename a folder")
    configs = {name: {file: _read(folder / "configs" / file) for file in CONFIGS} for name, folder in folders.items()}
    for name in folders:
        if "classes" not in configs[name]["inference.json"]:
            raise ValueError(f"{name} restores images, and MONAI Label draws labels: leave it out")
        if any(task in name.lower() for task in _TASKS):
            raise ValueError(
                f"{name}: MONAI Label would take it for a bundle of another task, as of {_TASKS}; rename it"
            )
    unknown = set(overrides) - {key for files in configs.values() for config in files.values() for key in config}
    if unknown:
        name = sorted(unknown)[0]
        raise ValueError(f"no config of {', '.join(folders)} has the name {name}{nearest(name, list(knobs()))}")
    done = [
        _copy(folder, Path(app, "model", name), configs[name], overrides) for name, folder in sorted(folders.items())
    ]
    Path(app, "main.py").write_text(_MAIN, encoding="utf-8")
    return done


def _copy(bundle: Path, copy: Path, configs: Mapping[str, dict[str, Any]], overrides: Mapping[str, Any]) -> str:
    (copy / "configs").mkdir(parents=True, exist_ok=True)
    (copy / "models").mkdir(exist_ok=True)
    for file in (bundle / "configs").iterdir():
        if file.is_file():
            shutil.copyfile(file, copy / "configs" / file.name)
    for file_name, config in configs.items():
        config |= {name: value for name, value in overrides.items() if name in config and name not in _WEIGHTS}
        (_adapt_training if file_name == "train.json" else _adapt_inference)(config, copy)
        (copy / "configs" / file_name).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    _adapt_metadata(copy / "configs" / "metadata.json", configs["inference.json"]["classes"])
    known = {name: value for name, value in overrides.items() if name in configs["inference.json"]}
    parser = bundle_parser(str(bundle), json.dumps(known))
    with torch.random.fork_rng():
        torch.manual_seed(0)  # an untrained network is the same one each time
        network = parser.get_parsed_content("network_def")
    weights, start = copy / "models" / "model.pt", Path(parser.get_parsed_content("ckpt_path"))
    if weights.is_file():
        line = f"{copy.name}: weights as they are in {weights}; delete the file to begin with those of {bundle} again"
    elif start.is_file():
        load_weights(network, start)  # of another network or an ensemble, they are refused before they are copied
        with written_aside(weights) as temporary:
            shutil.copyfile(start, temporary)
        if found_file(start).is_file():  # it counts for weights of these bytes only
            shutil.copyfile(found_file(start), found_file(weights))
        line = f"{copy.name}: weights copied from {start}"
    else:
        with written_aside(weights) as temporary:
            torch.save(network.state_dict(), temporary)
        line = f"{copy.name}: {start} does not exist, so the network is UNTRAINED; train it from labels"
    load_weights(network, weights)
    return line


def _check(overrides: Mapping[str, Any]) -> None:
    for name, value in overrides.items():
        if name not in knobs():
            continue  # a name of the wiring, or none
        if name in _OF_THE_SERVER or (knobs()[name].acts_on == "place" and name not in _WEIGHTS):
            raise ValueError(f"--{name} does nothing in MONAI Label, which sets it itself: leave it out")
        knobs()[name].check(value)


def _adapt_training(config: dict[str, Any], copy: Path) -> None:
    """Each training starts from the weights so far with the labels so far, and leaves its weights in the copy."""
    config |= {"resume": False, "ckpt_dir": "$@bundle_root + '/models'"}
    config["validate"]["dataset"] |= {
        "_target_": "monai_unet.label.sections.ValidationSections",
        "otherwise": "@train::dataset::data",
    }
    for part in ("train", "validate"):
        config[part]["dataset"].pop("folder")  # the server's labels are not in the bundle's folder
    # a few labels, which may be those of the training, choose no values
    handlers = config["train"]["handlers"]
    config["train"]["handlers"] = [each for each in handlers if not each["_target_"].endswith("FindValues")]


def _adapt_metadata(path: Path, classes: Sequence[str]) -> None:
    """The server takes the channels for labels to draw; a channel for the borders of cells is none."""
    metadata = _read(path)
    for output in metadata["network_data_format"]["outputs"].values():
        output["channel_def"] = {
            index: name for index, name in output["channel_def"].items() if int(index) < len(classes)
        }
    path.write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")


def _adapt_inference(config: dict[str, Any], copy: Path) -> None:
    """The server hands images on one by one, and wants the label image as `pred`."""
    config["input_dir"] = str(copy / "input")  # the default would look for a data set, or make one
    config["imports"].append("$import monai_unet.label.results as results")
    config["postprocessing"]["transforms"].append(
        {
            "_target_": "Lambdad",
            "keys": "label",
            "func": "$lambda x: results.label_image(x, np.uint16 if @decoding.objects else np.uint8)",
            "overwrite": "pred",
        }
    )


def _read(config: Path) -> dict[str, Any]:
    return json.loads(config.read_text(encoding="utf-8"))
