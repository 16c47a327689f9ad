"""The texts that go with a new bundle: what was found and set as a table, the model card, the licence, the commands."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from pathlib import Path

from monai_unet.command import quoted
from monai_unet.io import channel_names
from monai_unet.recipes.settings import NOT_GIVEN, Setting, in_words
from monai_unet.recipes.survey import Survey

LICENCE = """\
The licence of this bundle is yours to choose: replace this file by it.

The configuration was made by monai-unet, which is licensed under the Apache License 2.0
(https://www.apache.org/licenses/LICENSE-2.0). Images, labels, and weights trained on them have terms of their own.
"""

_KINDS = {
    "instances": "one integer per cell",
    "masks": "two values, inside and outside",
    "classes": "one integer per class",
}


def facts(survey: Survey) -> dict[str, str]:
    """What was survey, by what it is of."""
    sizes = " x ".join(map(str, survey.smallest))
    if survey.largest != survey.smallest:
        sizes += f" to {' x '.join(map(str, survey.largest))}"
    lines = {
        "images": f"{survey.num_sections} sections of {sizes} pixels in {files(survey)} "
        f"({', '.join(survey.suffixes)}; {', '.join(survey.dtypes)})",
        "channels": channels(survey.channels),
        "grey values": f"{survey.darkest:g} to {survey.brightest:g}, mean {in_words(survey.mean)}, std "
        f"{in_words(survey.std)} (without the 0.1 % at either end)",
        "labels": _KINDS[survey.kind],
        "classes": ", ".join(
            f"{name} {100 * share:.2g} % of the pixels"
            for name, share in zip(survey.classes, survey.class_shares, strict=True)
        ),
    }
    if survey.kind != "classes":
        numbers = sorted(len(sizes) for sizes in survey.cell_sizes)
        cells = sorted(size for sizes in survey.cell_sizes for size in sizes)
        lines["cells"] = (
            f"{len(cells)}, {numbers[0]}{f' to {numbers[-1]}' if numbers[-1] > numbers[0] else ''} a section; the "
            f"smallest {cells[0]} px, the median {cells[len(cells) // 2]} px"
        )
    return lines


def channels(given: Sequence[str]) -> str:
    """The number of channels, and their names where there are several."""
    if len(given) == 1:
        return "single channel"
    return f"{len(given)} channels ({', '.join(channel_names(given))})"


def files(survey: Survey) -> str:
    """Their number."""
    return f"{len(survey.names)} file{'s' if len(survey.names) > 1 else ''}"


def settings_text(survey: Survey, settings: Sequence[Setting]) -> str:
    """What was survey, what was set and why, for the screen."""
    lines = [f"found in {survey.folder}:"]
    lines += [f"  {name:<12}{text}" for name, text in facts(survey).items()]
    if survey.warnings:
        lines += ["", "look at:"]
        lines += [f"  - {warning}" for warning in survey.warnings]
    lines += ["", "found -> set, and why:"]
    for setting in settings:
        if setting.finding == NOT_GIVEN:
            continue
        lines.append(f"  {setting.finding} -> {setting.name} = {shown(setting.value)}")
        lines += textwrap.wrap(setting.why, 110, initial_indent="      ", subsequent_indent="      ")
    return "\n".join(lines)


def shown(value: object) -> str:
    """A value as a config has it."""
    return value.removeprefix("$") if isinstance(value, str) else json.dumps(value)


def problem_list(survey: Survey) -> str:
    """All problems, for an error."""
    number = len(survey.problems)
    return (
        f"{survey.folder} cannot be trained on yet, {number} problem{'s' if number > 1 else ''}; nothing was written:\n"
        + "\n".join(f"  - {problem}" for problem in (*survey.problems, *(f"(warning) {w}" for w in survey.warnings)))
    )


def commands(bundle: Path, output: str) -> dict[str, str]:
    """The commands for a bundle, by what they do; they run from any folder.

    Args:
        bundle: its folder.
        output: that `predict` is to write.
    """
    root = quoted(str(bundle.resolve()))
    inference = quoted(str(bundle.resolve() / "inference.json"))
    return {
        "train": f"monai-unet train {root}",
        "evaluate": f"monai-unet evaluate {root}",
        "predict a file": f"monai-unet predict IMAGE.tif --bundle {root} --output {output} --out RESULT.ome.tif",
        "predict a folder": f"python -m monai.bundle run inference --config_file {inference} --input_dir FOLDER",
    }


def model_card(name: str, survey: Survey, settings: Sequence[Setting], made_like: str, results: str) -> str:
    """`docs/README.md` of a new bundle.

    Args:
        name: of the bundle.
        survey: in the folder of images.
        settings: that were chosen.
        made_like: name of its template.
        results: what inference writes, a sentence.
    """
    data = "\n".join(f"- {what}: {text}" for what, text in facts(survey).items())
    warnings = "".join(f"- {warning}\n" for warning in survey.warnings)
    looked_at = f"\nWhat the check pointed out:\n\n{warnings}" if warnings else ""
    table = "\n".join(
        f"| {setting.finding} | `{setting.name}` = `{shown(setting.value)}` | {setting.why} |" for setting in settings
    )
    return f"""\
# U-Net for {name}

The network of Ronneberger, Fischer and Brox (MICCAI 2015), unpadded convolutions, any size by overlap tiles; a bundle
made by `monai-unet new` like `{made_like}`.

## Data

In `{survey.folder.resolve()}`, which is no part of the bundle (`--dataset_dir` names another place):

{data}
{looked_at}
Say here what the images show: the sample, the microscope, the size of a pixel, who labelled them and how.

## Settings

| found | set | why |
|---|---|---|
{table}

Learning rate, augmentation and network are those of `{made_like}`.

## Commands

In this folder, or from anywhere with the path of the config:

```bash
python -m monai.bundle run training   --config_file configs/train.json
python -m monai.bundle run evaluating --config_file "['configs/train.json','configs/evaluate.json']"
python -m monai.bundle run inference  --config_file configs/inference.json --input_dir IMAGES --output_dir RESULTS
```

{results} Training resumes from `models/checkpoint.pt` when it is there (`--resume False` starts anew) and leaves the
best weights in `models/model.pt`. Evaluation writes `output/report.html`, with scores and pictures. A network of
another width is `--features "[16,32,64,128,256]"`, for all three.

## Performance

Not measured yet: put the scores of `evaluating` here.

## Limits and intended use

For images like those it was trained on: the same sample, pixel size and contrast. For research; not for diagnosis.

## Licence and citation

See `LICENSE`. Cite the paper, arXiv:1505.04597, and the source of your images.
"""
