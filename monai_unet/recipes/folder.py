"""The folder of a new bundle: where it is to be, and what lies in it; or a copy of another one."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from monai_unet.io import folder_written_aside
from monai_unet.recipes.card import LICENCE
from monai_unet.recipes.compose import Recipe
from monai_unet.recipes.write import write_configs
from monai_unet.shipped import bundle_folder


def new_folder(name: str, out: str | Path | None = None) -> Path:
    """Where a new bundle is to be: `out`, else `bundles/NAME`, or `NAME` where there is no folder `bundles`.

    Args:
        name: of the bundle, letters, numbers, ".", "-" and "_".
        out: its folder.

    Raises:
        FileExistsError: when there is something at that place.
        ValueError: for another name.
    """
    if not re.fullmatch(r"\w[\w.-]*", name, re.ASCII):
        raise ValueError(f"a bundle's name consists of letters, digits, '.', '-' and '_', as my_cells; not {name!r}")
    folder = Path(out) if out is not None else Path("bundles") / name if Path("bundles").is_dir() else Path(name)
    if os.path.lexists(folder):
        raise FileExistsError(
            f"{folder} already exists and was left as it is; give another name or folder: {_free_place(folder)} is free"
        )
    return folder


def write_bundle(folder: Path, recipe: Recipe, model_card: str) -> None:
    """Write a bundle aside and rename it: its configs, licence and card, and a place for its weights."""
    with folder_written_aside(folder) as aside:
        write_configs(recipe, aside)
        for part in ("docs", "models"):
            (aside / part).mkdir()
        (aside / "models" / ".gitkeep").touch()
        (aside / "LICENSE").write_text(LICENCE, encoding="utf-8")
        (aside / "docs" / "README.md").write_text(model_card, encoding="utf-8")


def copy_bundle(bundle: str | Path, out: str | Path | None = None) -> Path:
    """Copy a bundle, to train and change it: everything but what its runs have made.

    Args:
        bundle: see `monai_unet.shipped.bundle_folder`.
        out: the folder of the copy; `bundles/NAME` when left out, or `NAME` where there is no folder `bundles`.

    Returns:
        The copy.

    Raises:
        FileExistsError: when there is something at that place.
        FileNotFoundError: when there is no such bundle.
    """
    source = bundle_folder(bundle).resolve()
    folder = new_folder(source.name, out)
    with folder_written_aside(folder) as aside:
        shutil.copytree(
            source, aside, dirs_exist_ok=True, ignore=shutil.ignore_patterns("output", "datasets", "checkpoint*")
        )
    return folder


def _free_place(folder: Path) -> Path:
    places = (folder.with_name(f"{folder.name}_{n}") for n in range(2, 10**6))
    return next(place for place in places if not os.path.lexists(place))
