"""The bundles that a new one can be made like, wherever this package is installed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

_CONFIG = "configs/train.json"


@dataclass(frozen=True)
class Template:
    """A bundle to start from.

    Args:
        folder: of the bundle.
    """

    folder: Path

    def text(self, name: str) -> str:
        """One of its configs as it is written: "train", "evaluate", "inference", "metadata"."""
        path = self.folder / "configs" / f"{name}.json"
        if not path.is_file():
            raise FileNotFoundError(
                f"{path} does not exist; a bundle to start from needs it, as bundles/dic_hela has it"
            )
        return path.read_text(encoding="utf-8")

    @cached_property
    def train(self) -> dict[str, Any]:
        """What `train.json` says."""
        try:
            return json.loads(self.text("train"))
        except json.JSONDecodeError as error:
            raise ValueError(f"{self.folder / _CONFIG} is no JSON: {error}") from error

    @property
    def made_for(self) -> Literal["cells", "masks", "classes"]:
        """Cells apart from each other, two classes without cells (ISBI 2012), or a map of classes."""
        if "threshold" in self.train:
            return "cells"
        return "masks" if "thresholds" in self.train else "classes"


def find_template(like: str) -> Template:
    """A bundle by the path of its folder, or by its name: of `./bundles`, of the project, of the installed package.

    Raises:
        FileNotFoundError: when there is none; the message names those that there are.
    """
    candidates = [Path(like), Path("bundles") / like, *(folder for folder in _own() if folder.name == like)]
    for folder in candidates:
        if (folder / _CONFIG).is_file():
            return Template(folder)
    known = sorted({folder.name for folder in _own()})
    raise FileNotFoundError(
        f"{like} is no bundle to start from: expected {', '.join(known)} or the folder of a bundle"
        if known
        else f"{like} is no bundle's folder, and this installation brings none along: give the path of one, as "
        "--like monai-unet/bundles/dic_hela"
    )


def _own() -> Iterator[Path]:
    """Bundles of the project: beside the package where it runs from there, else where the installer put them."""
    for config in sorted((Path(__file__).parents[2] / "bundles").glob(f"*/{_CONFIG}")):
        yield config.parents[1]
    try:
        installed = metadata.files("monai-unet") or []
    except metadata.PackageNotFoundError:
        return
    for file in installed:
        if file.as_posix().endswith(_CONFIG):
            yield Path(str(file.locate())).resolve().parents[1]
