"""Run a bundle's training or evaluation as `python -m monai.bundle run` does."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import monai_unet
from monai_unet.shipped import bundle_folder

What = Literal["train", "evaluate"]

_COMMANDS = {"train": ("training", ("train",)), "evaluate": ("evaluating", ("train", "evaluate"))}
_WRITES_IN = {"train": ("ckpt_dir", "output_dir"), "evaluate": ("output_dir",)}
_SAID_BY_US = ("run_id", "config_file")


def run(bundle: str | os.PathLike[str], what: What, overrides: Mapping[str, Any] | None = None) -> None:
    """Train or evaluate a bundle, by the function that MONAI's command calls.

    Args:
        bundle: its folder, or the name of one that comes with the package.
        what: "train" or "evaluate".
        overrides: names of the configs with other values, and arguments of `monai.bundle.run`.

    Raises:
        FileNotFoundError: when there is no such bundle.
        ValueError: when it lies in the installed package and would be written in, or an argument is given that the
            command sets itself.
        RuntimeError: of MONAI, around whatever goes wrong in a config; see `monai_unet.errors.cause_under_monai`.
    """
    overrides = dict(overrides or {})
    run_id, configs = _COMMANDS[what]
    folder = writable_bundle(bundle, what, overrides)
    if given := [name for name in _SAID_BY_US if name in overrides]:
        raise ValueError(f"--{given[0]} is said by the command itself: leave it out")
    from monai.bundle import run as run_config  # takes seconds, so after what may be wrong

    files = [str(folder / "configs" / f"{name}.json") for name in configs]
    run_config(run_id=run_id, config_file=files if len(files) > 1 else files[0], **overrides)


def writable_bundle(bundle: str | os.PathLike[str], what: What, overrides: Mapping[str, Any]) -> Path:
    """The folder of a bundle; errors as in `run`, where the output would go into the installed package."""
    folder = bundle_folder(bundle, "train")
    installed = Path(monai_unet.__file__).resolve().parent
    in_bundle = [name for name in _WRITES_IN[what] if name not in overrides]
    if in_bundle and folder.resolve().is_relative_to(installed):
        raise ValueError(
            f"{bundle} lies in the installed package, where nothing is written: copy it, monai-unet copy {folder.name} "
            f"DIR, and {what} DIR"
        )
    return folder
