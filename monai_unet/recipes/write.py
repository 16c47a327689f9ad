"""Write a bundle's files; `python -m monai_unet.recipes.write` writes the project's, and the page of the knobs."""

from __future__ import annotations

import sys
from pathlib import Path

from monai_unet.io import written_aside
from monai_unet.knobs import Knob, knobs
from monai_unet.recipes.compose import KINDS, Recipe, compose, dumps, names, shipped

_TITLES = {
    "place": "Where files lie",
    "run": "The run",
    "network": "The network",
    "meaning": "What its input and output mean",
    "data": "The data",
    "training": "Training",
    "augmentation": "Augmentation",
    "validation": "Validation",
    "prediction": "Prediction",
}


def write_configs(recipe: Recipe, folder: Path) -> None:
    """Write the configs of a bundle into `folder/configs`, and the same into `folder`.

    MONAI's commands look for `metadata.json` and `logging.conf` beside the config that they are given, and MONAI Label,
    the zoo and `monai.bundle.load` for everything in `configs/`. Both are files: Windows checks links out as texts.
    """
    texts = {f"{name}.json": dumps(config) for name, config in compose(recipe).items()}
    texts["logging.conf"] = Path(__file__).with_name("base").joinpath("logging.conf").read_text(encoding="utf-8")
    for name, text in texts.items():
        for path in (folder / "configs" / name, folder / name):
            with written_aside(path) as temporary:
                temporary.write_text(text, encoding="utf-8", newline="\n")


def knobs_page() -> str:
    """`docs/knobs.md`: every knob, what it may be, and why."""
    parts = [
        "# Knobs",
        "Every knob is a top-level name of the bundles' configs and an option of the commands, as `--epochs 20`.\n"
        "Names that do not exist or do nothing, and values that are not allowed, are refused with one line and the\n"
        "exit code 2 (with `MONAI_UNET_DEBUG=1` before the command, after a traceback). A resumed run may\n"
        "change only the knobs marked *free*. This page is written by `make bundles` from\n"
        "[knobs.yaml](../monai_unet/knobs.yaml), where each knob is defined once; what a kind of target sets is in\n"
        "[recipes/kinds](../monai_unet/recipes/kinds/cells.yaml), what a bundle sets in\n"
        "[recipes/values](../monai_unet/recipes/values/isbi.yaml).",
    ]
    for acts_on, title in _TITLES.items():
        rows = [_row(knob) for knob in knobs().values() if knob.acts_on == acts_on]
        head = "| knob | default | allowed | why | resume |\n|---|---|---|---|---|"
        parts.append(f"## {title}\n\n{head}\n" + "\n".join(rows))
    return "\n\n".join(parts) + "\n"


def _row(knob: Knob) -> str:
    default = f"`{_value(knob.default)}`"
    default += "".join(f"; {config}: `{_value(value)}`" for config, value in knob.defaults.items())
    allowed = knob.allowed + (f" ({knob.unit})" if knob.unit else "")
    source = f" ({knob.source})" if knob.source else ""
    if knob.source[:4].isdigit():
        source = f" ([{knob.source[:4]}](decisions/{knob.source}.md))"
    kinds = f"; {' and '.join(knob.kinds)} only" if len(knob.kinds) < len(KINDS) else ""
    needs = "".join(f"; with `{name}` {' or '.join(values)} only" for name, values in knob.only_with.items())
    return f"| `{knob.name}` | {default} | {allowed}{kinds}{needs} | {knob.why}{source} | {knob.resume} |"


def _value(value: object) -> str:
    return value.removeprefix("$") if isinstance(value, str) else str(value)


def main() -> int:
    """Write the project's bundles and the page of the knobs, from the folder of the repository."""
    if not Path("bundles").is_dir():
        print("monai-unet: error: there is no folder bundles here; run this in the repository", file=sys.stderr)
        return 2
    for name in names():
        write_configs(shipped(name), Path("bundles", name))
    with written_aside(Path("docs", "knobs.md")) as temporary:
        temporary.write_text(knobs_page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
