"""A bundle for what was painted, and what a training of it starts from.

The bundle's folder holds everything: `painted/` with the images and labels, `configs/`, `models/`, `output/`.
"""

from __future__ import annotations

import filecmp
import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from monai_unet.io import one_writer, put_aside
from monai_unet.io.atomic import scratch_folder
from monai_unet.networks import load_weights, read_checkpoint, save_whole
from monai_unet.prediction.load import bundle_parser
from monai_unet.recipes.create import new_bundle
from monai_unet.shipped import bundle_folder
from monai_unet.viewer.painted import Meaning, Painted, write_painted
from monai_unet.viewer.training import Run, weights_of

LIKE = "dic_hela_compact"
FEATURES = (8, 16, 32, 64, 128)
"""Channels of the levels of a network that starts from random weights."""

START = "phc_u373_compact"
"""Whose weights a first training starts from, unless another bundle is chosen: from random ones a few strokes teach
little (benchmarks/results/evening_cpu_2026-11.md)."""

_BATCH = 2  # tiles in a step
# for runs of minutes: small tiles, and images that vary less than in runs of hours
_SHORT = {
    **{"tile": 188, "warm_up": 20, "grey_scale": 0.2, "grey_shift": 0.2},
    **{"gamma": 0.0, "noise": 0.0, "blur": 0.0, "scale": 0.0},
}
_LOOKS, _APART = 20, 10  # previews of a run, and the fewest iterations between them


def prepare(
    bundle: str | Path,
    painted: Sequence[Painted],
    meaning: Meaning,
    classes: Sequence[str] = (),
    iterations: int = 400,
    features: Sequence[int] = FEATURES,
    start: str | None = None,
    values: Mapping[str, Any] | None = None,
) -> Run:
    """Write what was painted and the bundle for it; where there is one of the same network, go on from its weights.

    A bundle that has been trained on exactly this is resumed. Where more was painted since, a new run starts from the
    weights that there are. Weights of another network, as of other classes, are kept as `models/before_1.pt`.

    Args:
        bundle: folder of the bundle; made when it is not there.
        painted: images and labels.
        meaning: what the numbers are.
        classes: names, background first; "background", "foreground" or "class_1" and so on when left out.
        iterations: of this run.
        features: channels of the network's levels; those of the weights in the folder that the training goes on from,
            or of `start`, where there are such.
        start: a bundle, by its folder or name, whose weights a first training starts from, all but the last layer
            where the classes are others.
        values: of other knobs.

    Raises:
        ValueError: when nothing can be learned from what was painted, with all the reasons.
        FileExistsError: when there is something else at `bundle`.
        OSError: when a training still runs there.
    """
    folder = Path(bundle)
    if folder.exists() and not _is_ours(folder):
        raise FileExistsError(
            f"{folder} exists, and was not made by training in the viewer: choose another folder, or one that does not "
            "exist yet"
        )
    folder.mkdir(parents=True, exist_ok=True)
    there, models = folder / "painted", folder / "models"
    checkpoint = models / "checkpoint.pt"
    # a training that still runs, in another viewer say, holds it
    with one_writer(checkpoint) if models.is_dir() else nullcontext(), scratch_folder(folder) as scratch:
        data = write_painted(scratch / "painted", painted, meaning)
        names = _class_names(meaning, data.numbers, classes)
        features = _features_here(folder, names, meaning) or (_features(start) if start else features)
        batch = min(_BATCH, data.files)
        steps = -(-data.files // batch)  # of an epoch
        epochs = max(iterations // steps, 1)
        is_same = _is_same(data.path, there)
        if there.exists():
            there.rename(scratch / "before")
        data.path.rename(there)
        try:
            made = new_bundle(
                folder.name,
                there,
                like=LIKE,
                out=scratch / folder.name,
                classes=names if meaning == "classes" else None,
                labels="classes" if meaning == "classes" else "instances",
                ignore_label=data.ignore_label,
                values={
                    "validation": 0,
                    "features": list(features),
                    "batch_size": batch,
                    "epochs": epochs,
                    "val_interval": max(epochs // _LOOKS, min(_APART // steps, epochs), 1),
                    **_SHORT,
                    **(values or {}),
                },
            )
        except BaseException:  # leave what there was
            there.rename(scratch / "refused")
            if (scratch / "before").exists():
                (scratch / "before").rename(there)
            raise
        fits = _same_network(made.folder, folder)
        _move(made.folder, folder)
    weights = weights_of(folder)
    if is_same and fits and (done := _epochs_done(checkpoint)):
        return Run(folder, {"epochs": done + epochs}, data.files, f"goes on after {done * steps} iterations")
    checkpoint.unlink(missing_ok=True)
    initial = models / "start.pt"
    if fits and weights.is_file():
        shutil.copyfile(weights, initial)
        return Run(folder, {"initial_weights": initial}, data.files, "starts from the weights of the last training")
    kept = ""
    if weights.is_file():  # of another network, which nothing fits any more
        kept = f"; the weights that were there, of another network, are in {put_aside(weights, 'before')} now"
    if start:
        save_whole(transferred(start, folder), initial)
        _add_terms(folder / "LICENSE", start)
        story = f"starts from the weights of {Path(start).name}{kept}"
        return Run(folder, {"initial_weights": initial}, data.files, story)
    return Run(folder, {}, data.files, f"starts from random weights{kept}")


def transferred(start: str, bundle: Path) -> dict[str, torch.Tensor]:
    """The weights of one bundle for the network of another: where their classes differ, with a random last layer.

    Raises:
        ValueError: when the networks differ in more than that.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        weights = bundle_parser(str(bundle)).get_parsed_content("network_def").state_dict()
    parser = bundle_parser(start)
    network = parser.get_parsed_content("network_def")
    load_weights(network, parser.get_parsed_content("ckpt_path"))
    for name, value in network.state_dict().items():
        if name in weights and weights[name].shape == value.shape:
            weights[name] = value
        elif not name.startswith("head."):
            raise ValueError(
                f"{start} has another network than the images need: {name} is {tuple(value.shape)} there and "
                f"{tuple(weights[name].shape) if name in weights else 'missing'} here; has it as many channels?"
            )
    return weights


def _is_ours(folder: Path) -> bool:
    return (folder / "painted" / "labels").is_dir() or not any(folder.iterdir())


def _class_names(meaning: Meaning, numbers: Sequence[int], given: Sequence[str]) -> list[str]:
    """Background first."""
    count = 2 if meaning == "cells" else max(numbers)
    if given and len(given) != count:
        raise ValueError(f"{count} classes are painted, with background; {len(given)} are named: {', '.join(given)}")
    if meaning == "cells" or given:
        return list(given) or ["background", "cell"]
    return ["background", *(["foreground"] if count == 2 else [f"class_{number}" for number in range(1, count)])]


def _add_terms(licence: Path, start: str) -> None:
    """Terms of the weights that a training starts from hold for what becomes of them."""
    terms = (bundle_folder(start, "train") / "LICENSE").read_text(encoding="utf-8")
    said = f"\nThe weights were trained from those of {Path(start).name}, whose terms hold on:\n\n"
    licence.write_text(licence.read_text(encoding="utf-8") + said + terms, encoding="utf-8")


def _features_here(folder: Path, names: Sequence[str], meaning: Meaning) -> list[int] | None:
    """Those of the weights in a folder, which the next training goes on from; None where there are none that fit."""
    path = folder / "configs" / "train.json"
    if not path.is_file() or not weights_of(folder).is_file():
        return None
    train = json.loads(path.read_text(encoding="utf-8"))
    is_same = train.get("classes") == list(names) and train.get("instances") == (meaning == "cells")
    return train["features"] if is_same else None


def _features(bundle: str) -> list[int]:
    path = bundle_folder(bundle, "train") / "configs" / "train.json"
    return json.loads(path.read_text(encoding="utf-8"))["features"]


def _same_network(new: Path, old: Path) -> bool:
    """Whether the weights of one bundle fit the other, and mean the same there."""
    configs = [folder / "configs" / "train.json" for folder in (new, old)]
    if not configs[1].is_file():
        return False
    one, other = (json.loads(path.read_text(encoding="utf-8")) for path in configs)
    return all(one.get(name) == other.get(name) for name in ("classes", "separation", "channels", "features"))


def _move(new: Path, old: Path) -> None:
    """Put a new bundle's files in the place of those of the old one, whose weights, output and licence stay."""
    (old / "models").mkdir(exist_ok=True)
    for entry in new.iterdir():
        if entry.name == "models" or (entry.name == "LICENSE" and (old / entry.name).exists()):
            continue
        if entry.is_dir():
            shutil.rmtree(old / entry.name, ignore_errors=True)
        entry.replace(old / entry.name)


def _is_same(new: Path, old: Path) -> bool:
    """Whether two folders of images and labels have the same files, byte for byte."""
    for part in ("images", "labels"):
        here, there = ({path.name for path in (each / part).glob("*")} for each in (new, old))
        if here != there:
            return False
        _, differing, unread = filecmp.cmpfiles(new / part, old / part, here, shallow=False)
        if differing or unread:
            return False
    return True


def _epochs_done(checkpoint: Path) -> int:
    """The epochs of a checkpoint; 0 without one."""
    if not checkpoint.is_file():
        return 0
    trainer = read_checkpoint(checkpoint)["trainer"]
    return int(trainer["iteration"] // trainer["epoch_length"])
