"""The bundles that come with the package, by their names."""

from __future__ import annotations

import json
import os
from pathlib import Path


def shipped_bundles() -> dict[str, Path]:
    """The folder of each bundle of the package, in the order of their names."""
    package = Path(__file__).parent
    root = package / "bundles"  # of an installed package; in the repository they lie beside it
    if not root.is_dir():
        root = package.parent / "bundles"
    return {path.parents[1].name: path.parents[1] for path in sorted(root.glob("*/configs/metadata.json"))}


def bundle_folder(bundle: str | os.PathLike[str], config: str = "inference") -> Path:
    """The folder of a bundle, by its path or by the name of one that comes with the package.

    Args:
        bundle: a folder, which goes first, or a name.
        config: that the bundle must have.

    Raises:
        FileNotFoundError: when it is neither; the message names those that there are.
        ValueError: when a config of the folder is not JSON, with file and line; or see `check_copies`.
    """
    folder = Path(bundle)
    if (folder / "configs" / f"{config}.json").is_file():
        for path in sorted((folder / "configs").glob("*.json")):
            _check_json(path)
        check_copies(folder)
        return folder
    shipped = shipped_bundles()
    if str(bundle) in shipped:
        return shipped[str(bundle)]
    raise FileNotFoundError(
        f"{bundle} is not a bundle: {folder / 'configs' / config}.json does not exist, and of the bundles that come "
        f"with monai-unet, {', '.join(shipped)}, none has this name"
    )


def check_copies(root: Path) -> None:
    """Refuse a bundle of which one of the two copies of a config has been changed: the change might do nothing."""
    for path in sorted((root / "configs").glob("*.json")):
        beside = root / path.name
        if beside.is_file() and beside.read_bytes() != path.read_bytes():
            raise ValueError(
                f"{beside} and {path} are copies of one config, and they differ: copy the one you mean over the other, "
                f"or remove {beside} and give {path} to the commands"
            )


def _check_json(path: Path) -> None:
    """Name the file and the line: the error of a parser names no file."""
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{path} is not JSON: {error.msg}, at line {error.lineno}, column {error.colno}; look there, and at the "
            "end of the line before, for a missing or extra comma or quotation mark"
        ) from error
