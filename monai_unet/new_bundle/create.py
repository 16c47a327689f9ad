"""Make a bundle for a folder of images: look through it, choose the settings, write a template with other values."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from monai_unet.data.survey import Survey, survey
from monai_unet.new_bundle import card
from monai_unet.new_bundle.config_text import has, remove, set_values
from monai_unet.new_bundle.settings import Setting, choose_settings
from monai_unet.new_bundle.templates import Template, find_template

_CONFIGS = ("train", "evaluate", "inference", "metadata")
# what is set where; `tile` is of training, as inference chooses its own by memory
_SETTINGS_OF = {
    "train": (
        "image_mean",
        "image_std",
        "classes",
        "instances",
        "ignore_label",
        "partly_annotated",
        "w0",
        "min_size",
        "tile",
        "validation",
        "epochs",
        "val_interval",
    ),
    "inference": ("image_mean", "image_std", "value_range", "classes", "min_size"),
}
# of the template's data set
_LEFTOVERS = (
    ("train", "datasets_root"),
    ("inference", "datasets_root"),
    ("evaluate", "validate::handlers::SaveReport::reference"),
    ("evaluate", "validate::handlers::SaveReport::reference_note"),
)
_RESULTS = {
    "cells": "Inference writes a number a cell, and in `probability/` the probability of being inside one.",
    "masks": "Inference writes the probability of being inside, and as label what is above `threshold`.",
    "classes": "Inference writes the map of classes (`_label`) and the probability of each class but the first.",
}


@dataclass(frozen=True)
class NewBundle:
    """A bundle that was made.

    Attributes:
        folder: of the bundle.
        found: in the folder of images.
        settings: that were chosen.
    """

    folder: Path
    found: Survey
    settings: tuple[Setting, ...]


def new_bundle(
    name: str,
    dataset_dir: str | Path,
    like: str = "dic_hela",
    out: str | Path | None = None,
    classes: Sequence[str] | None = None,
    labels: Literal["instances", "classes"] | None = None,
    ignore_label: int | None = None,
    partly_annotated: Sequence[str] = (),
) -> NewBundle:
    """Make a bundle for a folder of images and labels.

    Args:
        name: of the bundle, letters, numbers, ".", "-" and "_".
        dataset_dir: folder of the images and labels, as in `survey`.
        like: the bundle to start from, see `find_template`.
        out: its folder; `bundles/NAME` when left out, or `NAME` where there is no folder `bundles`.
        classes: names, as in `survey`.
        labels: what they are, as in `survey`.
        ignore_label: as in `survey`.
        partly_annotated: as in `survey`.

    Returns:
        What was made.

    Raises:
        FileExistsError: when there is something at the place of the bundle.
        FileNotFoundError: when the images' folder or the template is missing.
        ValueError: when the folder cannot be trained on, with all the reasons, or the template is for other labels.
    """
    if not re.fullmatch(r"\w[\w.-]*", name, re.ASCII):
        raise ValueError(f"a bundle's name is made of letters, numbers, '.', '-' and '_', as my_cells; not {name!r}")
    folder = Path(out) if out is not None else Path("bundles") / name if Path("bundles").is_dir() else Path(name)
    if os.path.lexists(folder):
        raise FileExistsError(
            f"{folder} exists and is left as it is; take another name, {_free_name(folder)}, or --out"
        )
    template = find_template(like)
    found = survey(dataset_dir, classes, labels, ignore_label, partly_annotated)
    if found.problems:
        raise ValueError(card.problem_list(found))
    made_for = _check_template(template, found, like, ignore_label is not None or bool(partly_annotated))
    settings = choose_settings(found, template.train, ignore_label, partly_annotated)
    texts = _texts(template, folder.name, name, made_for, found, settings)
    used = tuple(each for each in settings if any(has(texts[config], each.name) for config in _SETTINGS_OF))
    _write(folder, name, template, made_for, texts, found, used)
    return NewBundle(folder, found, used)


def _check_template(template: Template, found: Survey, like: str, has_unknown: bool) -> str:
    """What the bundle is made for: as its template, or a map of classes."""
    if template.made_for == "masks" and (found.kind != "masks" or has_unknown):
        why = "unknown pixels" if has_unknown else card.facts(found)["labels"]
        raise ValueError(
            f"{like} scores by the metrics of ISBI 2012, for two values and every pixel known; {found.folder} has "
            f"{why}: take --like dic_hela"
        )
    if template.made_for == "classes" and found.kind != "classes":
        raise ValueError(
            f"{like} is for maps of classes, and the labels in {found.folder} are cells; take --like dic_hela, or "
            "--labels classes if they are classes"
        )
    return "classes" if found.kind == "classes" else template.made_for


def _free_name(folder: Path) -> str:
    return next(other for n in range(2, 10**6) if not os.path.lexists(folder.with_name(other := f"{folder.name}_{n}")))


def _texts(
    template: Template, folder_name: str, name: str, made_for: str, found: Survey, settings: Sequence[Setting]
) -> dict[str, str]:
    """The configs of the bundle: the template's with other values."""
    texts = {config: template.text(config) for config in _CONFIGS}
    try:
        for part in _structure(template, made_for, found):
            for config, change in part.items():
                for unwanted in change["remove"]:
                    texts[config] = remove(texts[config], unwanted)
                texts[config] = set_values(texts[config], change["set"])
        for config, values in _values(texts, folder_name, name, made_for, found, settings).items():
            texts[config] = set_values(texts[config], values)
    except KeyError as error:
        raise ValueError(f"{template.folder} is built otherwise than a template: {error} is not there") from error
    for config, unwanted in _LEFTOVERS:
        if has(texts[config], unwanted):
            texts[config] = remove(texts[config], unwanted)
    for text in texts.values():
        json.loads(text)  # read once before it is written
    return texts


def _write(
    folder: Path,
    name: str,
    template: Template,
    made_for: str,
    texts: Mapping[str, str],
    found: Survey,
    settings: Sequence[Setting],
) -> None:
    """Write the bundle aside, and rename it when it is whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".writing-"))
    try:
        for part in ("configs", "docs", "models"):
            (aside / part).mkdir()
        for path in sorted((template.folder / "configs").iterdir()):
            if path.suffix in (".json", ".conf"):
                own = texts.get(path.stem) if path.suffix == ".json" else None
                text = path.read_text(encoding="utf-8") if own is None else own
                (aside / "configs" / path.name).write_text(text, encoding="utf-8")
                _link(aside / path.name, Path("configs") / path.name)
        (aside / "models" / ".gitkeep").touch()
        (aside / "LICENSE").write_text(card.LICENCE, encoding="utf-8")
        text = card.model_card(name, found, settings, template.folder.resolve().name, _RESULTS[made_for])
        (aside / "docs" / "README.md").write_text(text, encoding="utf-8")
        umask = os.umask(0)
        os.umask(umask)
        aside.chmod(0o777 & ~umask)  # mkdtemp makes a private folder
        aside.rename(folder)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def _link(link: Path, target: Path) -> None:
    try:
        link.symlink_to(target)
    except OSError:  # a file system without links, as of many memory sticks
        shutil.copyfile(link.parent / target, link)


def _structure(template: Template, made_for: str, found: Survey) -> list[dict[str, Any]]:
    """What has to change below the values on top: for a folder in place of the challenge's stack, for classes."""
    parts = []
    if "files" not in template.train:
        parts.append(_part("folder"))
    if made_for == "classes" and template.made_for != "classes":
        parts.append(_part("classes"))
    if made_for == "classes":
        blocks = _part("classes")["inference"]["set"]["postprocessing::transforms"]
        written = [block for each in blocks for block in _each_class(each, found.classes)]
        parts.append({"inference": {"remove": [], "set": {"postprocessing::transforms": written}}})
    return parts


def _part(name: str) -> dict[str, Any]:
    return json.loads(Path(__file__).with_name(f"{name}.json").read_text(encoding="utf-8"))


def _each_class(block: dict[str, Any], classes: Sequence[str]) -> list[dict[str, Any]]:
    """The block, or of one that says {class} one a class of the foreground."""
    text = json.dumps(block)
    return [json.loads(text.replace("{class}", name)) for name in classes[1:]] if "{class}" in text else [block]


def _values(
    texts: Mapping[str, str],
    folder_name: str,
    name: str,
    made_for: str,
    found: Survey,
    settings: Sequence[Setting],
) -> dict[str, dict[str, Any]]:
    """The values that are this bundle's own, by config."""
    beside = [f"bundles/{folder_name}", folder_name]
    values: dict[str, dict[str, Any]] = {
        config: {
            "bundle_root": f"$next((path for path in {beside} if os.path.isdir(path + '/configs')), '.')",
            "dataset_dir": str(found.folder.resolve()),
            **{each.name: each.value for each in settings if each.name in names and has(texts[config], each.name)},
        }
        for config, names in _SETTINGS_OF.items()
    }
    values["train"]["training_sections"] = None
    values["inference"]["input"] = f"$@dataset_dir + '/{found.inputs}'"
    values["evaluate"] = {"validate::handlers::SaveReport::title": f"U-Net on {name}"}
    values["metadata"] = _metadata(texts["metadata"], name, made_for, found, settings)
    return values


def _metadata(text: str, name: str, made_for: str, found: Survey, settings: Sequence[Setting]) -> dict[str, Any]:
    of = {setting.name: setting.value for setting in settings}
    low, high = ((value - of["image_mean"]) / of["image_std"] for value in of["value_range"])
    kinds = {
        "instances": "single channel, one whole number a cell, 0 for background",
        "masks": f"single channel, two values, the larger one inside {found.classes[1]}",
        "classes": "single channel, " + ", ".join(f"{index} {each}" for index, each in enumerate(found.classes)),
    }
    predicted = {
        "cells": f"probability of {found.classes[1]}, 0 to 1; instances, one whole number a cell",
        "masks": f"probability of {found.classes[1]}, 0 to 1",
        "classes": "probability of each class, 0 to 1; map of classes, " + kinds["classes"].split(", ", 1)[1],
    }
    references = [each for each in json.loads(text)["references"] if "U-Net:" in each]
    outputs, image = "network_data_format::outputs::pred", "network_data_format::inputs::image"
    return {
        "version": "0.1.0",
        "changelog": {"0.1.0": f"first version, made by monai-unet new for {len(found.names)} images"},
        "name": f"U-Net for {name}",
        "description": "The U-Net of Ronneberger, Fischer and Brox (2015): unpadded convolutions, predicting any size "
        "by overlap tiles.",
        "task": f"Segmentation of own images: {', '.join(found.classes)}",
        "authors": "yours to fill in",
        "copyright": "yours to fill in",
        "data_source": "own images",
        "data_type": ", ".join(suffix.removeprefix(".") for suffix in found.suffixes),
        "image_classes": f"single channel, {', '.join(found.dtypes)}, {found.darkest:g} to {found.brightest:g}",
        "label_classes": kinds[found.kind],
        "pred_classes": predicted[made_for],
        "references": references,
        f"{image}::modality": "microscopy",
        f"{image}::value_range": [round(low, 3), round(high, 3)],
        f"{outputs}::num_channels": len(found.classes),
        f"{outputs}::channel_def": {str(index): each for index, each in enumerate(found.classes)},
    }
