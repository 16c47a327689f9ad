"""Make a bundle for a folder of images: look through it, choose the settings, write the recipe with them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from monai_unet.colours import UNKNOWN, parse_colours
from monai_unet.io import Normalise, Pages
from monai_unet.knobs import knobs
from monai_unet.recipes import card
from monai_unet.recipes.compose import Recipe, check_values, compose, names, shipped
from monai_unet.recipes.folder import new_folder, write_bundle
from monai_unet.recipes.settings import Setting, choose_settings
from monai_unet.recipes.survey import Survey, survey_folder

_RESULTS = {
    "cells": "Inference writes one integer per cell, and in `probability/` the probability of being inside one.",
    "masks": "Inference writes the probability of being inside, and as label what is above `threshold`.",
    "classes": "Inference writes the map of classes (`_label`) and the probability of each class but the first.",
}
_OF_THE_DATA = ("truth", "unknown_rim")  # knobs that are no more right for other data


@dataclass(frozen=True)
class NewBundle:
    """A bundle that was made.

    Attributes:
        folder: of the bundle.
        survey: of the folder of images.
        settings: that were chosen.
    """

    folder: Path
    survey: Survey
    settings: tuple[Setting, ...]


def new_bundle(
    name: str,
    dataset_dir: str | Path,
    like: str = "dic_hela_compact",
    out: str | Path | None = None,
    classes: Sequence[str] | None = None,
    labels: Literal["instances", "classes"] | None = None,
    ignore_label: int | None = None,
    partly_annotated: Sequence[str] = (),
    channels: str | Sequence[str] | None = None,
    pages: Pages | None = None,
    colours: str | None = None,
    normalise: Normalise | None = None,
    values: Mapping[str, Any] | None = None,
) -> NewBundle:
    """Make a bundle for a folder of images and labels.

    Args:
        name: of the bundle, letters, numbers, ".", "-" and "_".
        dataset_dir: folder of the images and labels, as in `survey_folder`.
        like: the bundle to start from, see `find_recipe`.
        out: its folder; `bundles/NAME` when left out, or `NAME` where there is no folder `bundles`.
        classes: names, as in `survey_folder`.
        labels: what they are, as in `survey_folder`.
        ignore_label: as in `survey_folder`.
        partly_annotated: as in `survey_folder`.
        channels: as in `survey_folder`.
        pages: as in `survey_folder`.
        colours: of labels in colour, as in `survey_folder`.
        normalise: the knob; chosen by the exposures of the images when left out.
        values: of other knobs, instead of those that are chosen or that `like` has. With `validation` 0 all sections
            train, one will do, and the last weights of a run are kept, as none can tell which are best; how cells are
            told apart is then found on those that trained.

    Returns:
        What was made.

    Raises:
        FileExistsError: when there is something at the place of the bundle.
        FileNotFoundError: when the images' folder or the bundle to start from is missing.
        ValueError: when the folder cannot be trained on, with all the reasons, or the bundle to start from is for
            other labels.
    """
    folder = new_folder(name, out)
    start = find_recipe(like)
    if start.kind == "restoration":
        raise ValueError(f"{like} restores images, and these have labels: use another --like, or --targets")
    one_type = normalise in (None, "dataset")
    given = dict(values or {})
    check_values(given)
    validate = given.get("validation") != 0
    survey = survey_folder(
        *(dataset_dir, classes, labels, ignore_label, partly_annotated, channels, pages, colours, one_type),
        fewest=2 if validate else 1,
    )
    if survey.problems:
        raise ValueError(card.problem_list(survey))
    has_unknown = (
        ignore_label is not None or bool(partly_annotated) or UNKNOWN in (parse_colours(colours) if colours else ())
    )
    kind = _kind(start, survey, like, has_unknown)
    train = {**compose(start)["train"], **given}
    settings = choose_settings(survey, train, ignore_label, partly_annotated, colours, normalise, validate)
    settings = [each for each in settings if each.name not in given and kind in knobs()[each.name].kinds]
    settings += [Setting(name, value, "as given") for name, value in given.items()]
    recipe = _recipe(start, kind, name, survey, settings)
    write_bundle(folder, recipe, card.model_card(name, survey, settings, Path(like).resolve().name, _RESULTS[kind]))
    return NewBundle(folder, survey, tuple(settings))


def find_recipe(like: str) -> Recipe:
    """The recipe of a shipped bundle by its name, or of a bundle's folder by the values in its configs.

    Raises:
        FileNotFoundError: when there is no such bundle; the message names those that there are.
        ValueError: when the folder's configs have been changed below the values on top.
    """
    if not (Path(like) / "configs" / "train.json").is_file():
        if like in names():
            return shipped(like)
        raise FileNotFoundError(
            f"{like} is not a bundle to start from: expected {', '.join(names())} or the folder of a bundle"
        )
    configs = {name: _read(Path(like, "configs", f"{name}.json")) for name in ("train", "inference")}
    train, inference = configs["train"], configs["inference"]
    marks = {"masks": "thresholds", "cells": "min_size", "restoration": "restoration_loss"}
    kind = next((kind for kind, knob in marks.items() if knob in train), "classes")
    values = {
        name: value for name, value in train.items() if name in knobs() and value != knobs()[name].value_in("train")
    }
    others = {
        name: value
        for name, value in inference.items()
        if name in knobs()
        and value != values.get(name, knobs()[name].value_in("inference"))
        and not (knobs()[name].found and str(value).startswith("$io.found_value"))
    }
    try:
        recipe = Recipe(
            kind, {**({"classes": train["classes"]} if "classes" in train else {}), **values}, {"inference": others}
        )
        composed = compose(recipe)
    except KeyError as error:
        raise ValueError(f"{like} was not made by this version of monai-unet: it lacks {error}") from error
    for config, value in configs.items():
        changed = [name for name in {**value, **composed[config]} if value.get(name) != composed[config].get(name)]
        if changed:
            raise ValueError(
                f"{like}/configs/{config}.json has been changed below the values on top, in {changed[0]}: copy the "
                "folder by hand and change its values, or start from " + " or ".join(names())
            )
    return recipe


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error


def _kind(start: Recipe, survey: Survey, like: str, has_unknown: bool) -> str:
    """Of the targets: as the recipe's, or a map of classes."""
    if start.kind == "masks" and (survey.kind != "masks" or has_unknown):
        why = "unknown pixels" if has_unknown else card.facts(survey)["labels"]
        raise ValueError(
            f"{like} scores by the metrics of ISBI 2012, for two values and every pixel known; {survey.folder} has "
            f"{why}: use --like dic_hela"
        )
    if start.kind == "classes" and survey.kind != "classes":
        raise ValueError(
            f"{like} is for maps of classes, and the labels in {survey.folder} are cells; use --like dic_hela, or "
            "--labels classes if they are classes"
        )
    return "classes" if survey.kind == "classes" else start.kind


def _recipe(start: Recipe, kind: str, name: str, survey: Survey, settings: Sequence[Setting]) -> Recipe:
    """The recipe to start from, with the values that are this bundle's own."""
    own = {each.name: each.value for each in settings}
    in_training: dict[str, Any] = {"tile": own.pop("tile")}  # inference chooses its own by memory
    if own["validation"] == 0:  # the sections that train cannot tell which weights are best
        in_training["validate::handlers::SaveBest::can_tell"] = False
        if kind == "cells":  # how cells are told apart has to be found somewhere
            in_training["train::handlers::FindValues::_disabled_"] = False
    own |= {
        "dataset_dir": str(survey.folder.resolve()),
        "input": f"$@dataset_dir + '/{survey.inputs}'",
        "training_sections": None,
    }
    return Recipe(
        kind,
        {**{knob: value for knob, value in start.knobs.items() if knob not in _OF_THE_DATA}, **own},
        {
            "train": in_training,
            "evaluate": {"validate::handlers::SaveReport::title": f"U-Net on {name}"},
            "inference": start.changes.get("inference", {}),
            "metadata": _metadata(name, kind, survey, own["colours"]),
        },
    )


def _metadata(name: str, kind: str, survey: Survey, colours: str | None) -> dict[str, Any]:
    numbered = ", ".join(f"{index} {each}" for index, each in enumerate(survey.classes))
    labels = {
        "instances": "single channel, one integer per cell, 0 for background",
        "masks": f"single channel, two values, the larger one inside {survey.classes[1]}",
        "classes": f"single channel, {numbered}",
    }
    predicted = {
        "cells": f"probability of {survey.classes[1]}, 0 to 1; instances, one integer per cell",
        "masks": f"probability of {survey.classes[1]}, 0 to 1",
        "classes": f"probability of each class, 0 to 1; map of classes, {numbered}",
    }
    return {
        "changelog": {"0.1.0": f"first version, made by monai-unet new for {len(survey.names)} images"},
        "name": f"U-Net for {name}",
        "description": "The U-Net of Ronneberger, Fischer and Brox (2015): unpadded convolutions, predicting any size "
        "by overlap tiles.",
        "task": f"Segmentation of own images: {', '.join(survey.classes)}",
        "authors": "yours to fill in",
        "copyright": "yours to fill in",
        "data_source": "own images",
        "data_type": ", ".join(suffix.removeprefix(".") for suffix in survey.suffixes),
        "image_classes": f"{card.channels(survey.channels)}, {', '.join(survey.dtypes)}, "
        f"{survey.darkest:g} to {survey.brightest:g}",
        "label_classes": labels[survey.kind] if colours is None else f"in colour, {colours}",
        "pred_classes": predicted[kind],
    }
