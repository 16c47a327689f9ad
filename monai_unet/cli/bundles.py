"""`monai-unet bundles` and `monai-unet copy`: the bundles that come with the package."""

from __future__ import annotations

import argparse
import json
import textwrap
from pathlib import Path
from typing import Any

from monai_unet.cli.options import say


def add(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Describe the commands to the parser."""
    bundles = commands.add_parser(
        "bundles",
        help="list the bundles that come with the package",
        description="List the bundles that come with the package: what for, whether with weights, their terms and "
        "their scores.",
        parents=[common],
    )
    bundles.set_defaults(run=_bundles)

    copy = commands.add_parser(
        "copy",
        help="copy a bundle of the package, to train and change it",
        description="Copy a bundle: configs, weights, licence and card.",
        parents=[common],
    )
    copy.add_argument("bundle", metavar="BUNDLE", help="a name from `monai-unet bundles`, or a bundle's folder")
    copy.add_argument(
        "out", nargs="?", metavar="DIR", help="of the copy (default bundles/NAME, or NAME without bundles/)"
    )
    copy.set_defaults(run=_copy)


def _bundles(args: argparse.Namespace) -> None:
    from monai_unet.shipped import shipped_bundles

    for number, (name, folder) in enumerate(shipped_bundles().items()):
        metadata = json.loads((folder / "configs" / "metadata.json").read_text(encoding="utf-8"))
        print(("\n" if number else "") + name)
        for what, text in _facts(folder, metadata).items():
            print(textwrap.fill(text, 100, initial_indent=f"  {what:<8}", subsequent_indent=" " * 10))


def _facts(folder: Path, metadata: dict[str, Any]) -> dict[str, str]:
    weights = folder / "models" / "model.pt"
    licence = metadata.get("license") or (folder / "LICENSE").read_text(encoding="utf-8")
    facts = {
        "task": metadata["task"],
        "weights": f"{weights.stat().st_size / 1e6:.1f} MB" if weights.is_file() else "none: to be trained",
        "licence": " ".join(licence.split()),
    }
    if scores := metadata.get("eval_metrics"):
        listed = ", ".join(f"{name} {score:g}" for name, score in scores.items())
        facts["scores"] = f"{listed}. {metadata.get('eval_data', '')}"
    return facts


def _copy(args: argparse.Namespace) -> None:
    say(f"copying {args.bundle}")
    from monai_unet.command import quoted
    from monai_unet.recipes.folder import copy_bundle

    folder = copy_bundle(args.bundle, args.out)
    print(f"{args.bundle} in {folder}; to train it:\n  monai-unet train {quoted(str(folder))} --dataset-dir DIR")
