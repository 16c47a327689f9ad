"""Find the images of a folder that are to be restored, and the targets that belong to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monai_unet.data.labelled_files import pair_by_name
from monai_unet.io import Pages
from monai_unet.io.stack import list_images, stem

TARGETS = ("pairs", "noise2void", "noise2noise", "recorrupted")


def restoration_files(
    dataset_dir: str | Path, targets: str = "pairs", pages: Pages | None = None
) -> list[dict[str, Any]]:
    """The images of a folder that are to be restored, in order.

    Args:
        dataset_dir: a folder with `images/NAME.EXT`, and with pairs `targets/NAME.EXT`; without pairs the images may
            lie in the folder itself.
        targets: "pairs"; or "noise2void", "noise2noise" or "recorrupted", which need none, see `RestorationDataset`.
        pages: what the pages of images and targets are, see `monai_unet.io.open_image`.

    Returns:
        A dictionary per image: `image`, and with pairs `target`, the paths; `name`; `sequence`, ""; and `pages`.

    Raises:
        FileNotFoundError: when the folder or its images are missing, or an image or target has no partner.
        ValueError: for other `targets`.
    """
    folder = Path(dataset_dir)
    if targets not in TARGETS:
        raise ValueError(f"targets {targets!r}: one of {', '.join(TARGETS)}")
    if not folder.is_dir():
        reason = "is a file" if folder.exists() else "does not exist"
        raise FileNotFoundError(f"{folder} {reason}; expected a folder with images/, and targets/ for pairs")
    if targets != "pairs":
        inner = folder / "images" if (folder / "images").is_dir() else folder
        found = [{"image": file, "name": stem(file), "sequence": "", "pages": pages} for file in list_images(inner)]
        if not found:
            raise FileNotFoundError(f"{inner} holds no images")
        return found
    missing = [part for part in ("images", "targets") if not (folder / part).is_dir()]
    if missing:
        raise FileNotFoundError(
            f"{folder} has no folder {missing[0]}; pairs are images/NAME.tif and targets/NAME.tif. Without targets, "
            "--targets noise2void learns from the noisy images alone, and better --targets recorrupted where the noise "
            "is known"
        )
    pairs, problems = pair_by_name(folder, partners="targets")
    if problems:
        more = f" (and {len(problems) - 1} more files)" if len(problems) > 1 else ""
        raise FileNotFoundError(f"{problems[0]}{more}; each image needs its target: images/a.tif and targets/a.tif")
    if not pairs:
        raise FileNotFoundError(f"{folder}/images holds no images")
    return [{**pair, "pages": pages} for pair in pairs]


def scored_targets(dataset_dir: str | Path, targets: str) -> str:
    """What an evaluation compares with: pairs where the folder has any, else what was trained on."""
    return "pairs" if Path(dataset_dir, "targets").is_dir() else targets
