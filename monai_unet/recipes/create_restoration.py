"""Make a bundle for a folder of images that are to be restored."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai_unet.geometry import ValidGeometry
from monai_unet.io import ONE_CHANNEL, Pages
from monai_unet.recipes import card
from monai_unet.recipes.compose import Recipe, compose, shipped
from monai_unet.recipes.folder import new_folder, write_bundle
from monai_unet.recipes.settings import ITERATIONS, rounded
from monai_unet.recipes.survey_restoration import GreyValues, RestorationSurvey, survey_restoration

_LIKE = "denoise"


@dataclass(frozen=True)
class NewRestoration:
    """A bundle that was made: its folder, what was found, and the values that were set."""

    folder: Path
    survey: RestorationSurvey
    values: dict[str, Any]

    @property
    def text(self) -> str:
        """What was found and set, for the screen."""
        survey = self.survey
        lines = [f"found in {survey.folder}: {sum(survey.sections_of_files)} sections in {len(survey.names)} files"]
        lines += [f"  {name} = {value}" for name, value in self.values.items()]
        return "\n".join(lines)


def new_restoration(
    name: str,
    dataset_dir: str | Path,
    targets: str = "pairs",
    out: str | Path | None = None,
    channels: str | Sequence[str] | None = None,
    pages: Pages | None = None,
    noise_model: str | None = None,
    noise_level: float | None = None,
) -> NewRestoration:
    """Make a bundle for a folder of images and targets, or of images alone.

    Args:
        name: of the bundle, letters, numbers, ".", "-" and "_".
        dataset_dir: the folder, see `restoration_files`.
        targets: "pairs", "noise2void", "noise2noise" or "recorrupted".
        out: the bundle's folder; `bundles/NAME` when left out, or `NAME` where there is no folder `bundles`.
        channels: as in `survey_restoration`.
        pages: as in `survey_restoration`.
        noise_model: of recorrupted targets, which need it, see `RandRecorruptd`.
        noise_level: the same.

    Raises:
        FileExistsError: when there is something at the place of the bundle.
        FileNotFoundError: when the folder or its images are missing.
        ValueError: when the folder cannot be trained on, with all the reasons; when the noise is not said, or in vain.
    """
    is_known = noise_model is not None and noise_level is not None
    if targets == "recorrupted" and not is_known:
        raise ValueError(
            "recorrupted targets need to know the noise: --noise-model gaussian --noise-level X, its deviation, or "
            "--noise-model poisson --noise-level X, the grey values of one particle; where it is not known, noise2void"
        )
    if targets != "recorrupted" and (noise_model is not None or noise_level is not None):
        raise ValueError(f"--noise-model and --noise-level do nothing for {targets}: leave them out")
    folder = new_folder(name, out)
    survey = survey_restoration(dataset_dir, targets, channels, pages)
    if survey.problems:
        problems = "\n".join(f"  - {problem}" for problem in survey.problems)
        raise ValueError(f"{survey.folder} cannot be trained on yet; nothing was written:\n{problems}")
    start = shipped(_LIKE)
    values = _values(survey, targets, compose(start)["train"])
    if is_known:
        values |= {"noise_model": noise_model, "noise_level": noise_level}
    recipe = _recipe(start, name, survey, dict(values))
    write_bundle(folder, recipe, _model_card(name, survey, values))
    return NewRestoration(folder, survey, values)


def _values(survey: RestorationSurvey, targets: str, train: dict[str, Any]) -> dict[str, Any]:
    number = sum(survey.sections_of_files)
    least = 2 if targets == "noise2noise" else 1
    validation = max(round(number / 6), least)
    values: dict[str, Any] = {"targets": targets}
    if survey.channels != ONE_CHANNEL:
        values["channels"] = list(survey.channels)
    if survey.pages is not None:
        values["pages"] = survey.pages
    values["image_mean"], values["image_std"] = _numbers(survey.images)
    truth = survey.targets or survey.images
    if survey.targets is not None:
        values["target_mean"], values["target_std"] = _numbers(truth)
    if survey.target_channels > 1:
        values["target_channels"] = survey.target_channels
    if survey.target_channels != len(survey.channels):
        values["residual"] = False  # an image is no start for a target of other channels
    values["target_range"] = [truth.darkest, truth.brightest]
    slack = (survey.images.brightest - survey.images.darkest) / 4  # other images may be brighter
    low = 0.0 if survey.images.darkest >= 0 else survey.images.darkest - slack
    values["value_range"] = [low, survey.images.brightest + slack]
    geometry = ValidGeometry(len(train["features"]) - 1, train["convs_per_block"])
    values["tile"] = min(train["tile"], geometry.output_size(geometry.input_size_for(max(survey.largest))))
    values["validation"] = validation
    values["epochs"] = max(round(ITERATIONS / math.ceil((number - validation) / train["batch_size"])), 1)
    return values


def _numbers(grey: GreyValues) -> tuple[Any, Any]:
    """Mean and deviation, rounded: a number each, or a list with one for each channel."""
    mean, std = zip(*map(rounded, grey.mean, grey.std), strict=True)
    return (list(mean), list(std)) if len(mean) > 1 else (mean[0], std[0])


def _recipe(start: Recipe, name: str, survey: RestorationSurvey, own: dict[str, Any]) -> Recipe:
    tile, limits = own.pop("tile"), own.pop("value_range")
    own |= {
        "dataset_dir": str(survey.folder.resolve()),
        "input": "$@dataset_dir" + (f" + '/{survey.inputs}'" if survey.inputs else ""),
        "training_sections": None,
        "val_interval": f"$min({max(own['epochs'] // 60, 1)}, @train::trainer::max_epochs)",
    }
    knobs = {knob: value for knob, value in start.knobs.items() if knob != "tile"}
    return Recipe(
        "restoration",
        {**knobs, **own, "value_range": limits},
        {
            "train": {"tile": tile},
            "evaluate": {"validate::handlers::SaveReport::title": f"Restored images of {name}"},
            "metadata": {
                "changelog": {"0.1.0": f"first version, made by monai-unet new for {len(survey.names)} images"},
                "name": f"U-Net for {name}",
                "description": "The U-Net of Ronneberger, Fischer and Brox (2015): unpadded convolutions, grey values "
                "in and out, predicting any size by overlap tiles.",
                "task": "Restoration of own images",
                "authors": "yours to fill in",
                "copyright": "yours to fill in",
                "data_source": "own images",
                "image_classes": f"{card.channels(survey.channels)}, grey values",
            },
        },
    )


def _model_card(name: str, survey: RestorationSurvey, values: dict[str, Any]) -> str:
    table = "\n".join(f"| `{knob}` | `{value}` |" for knob, value in values.items())
    return f"""\
# U-Net for {name}

Restores images: grey values in, grey values out. The network of Ronneberger, Fischer and Brox (MICCAI 2015), unpadded
convolutions, any size by overlap tiles; a bundle made by `monai-unet new` like `{_LIKE}`.

## Data

{sum(survey.sections_of_files)} sections in {len(survey.names)} files in `{survey.folder.resolve()}`, which is no
part of the bundle (`--dataset_dir` names another place). Say here what the images show, and how they were taken.

## Settings

| set | to |
|---|---|
{table}

## Commands

```bash
python -m monai.bundle run training   --config_file configs/train.json
python -m monai.bundle run evaluating --config_file "['configs/train.json','configs/evaluate.json']"
python -m monai.bundle run inference  --config_file configs/inference.json --input_dir IMAGES --output_dir RESULTS
```

Inference writes `NAME_restored`, float32, in grey values of the targets. Evaluation writes `output/report.html`.

## Performance

Not measured yet: put the scores of `evaluating` here.

## Limits and intended use

For images like those it was trained on: the same sample, microscope and noise. What is restored is a guess: do not
measure grey values in it. For research; not for diagnosis.

## Licence and citation

See `LICENSE`. Cite the paper, arXiv:1505.04597, and the source of your images; for noise2void arXiv:1811.10980, for
noise2noise arXiv:1803.04189, for recorrupted arXiv:2412.04648.
"""
