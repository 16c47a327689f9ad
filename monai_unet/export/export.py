"""Export a bundle, compare the result with the network, and put it in place only when they agree."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from monai_unet.export.bioimageio.options import PackageOptions
from monai_unet.export.compare import Difference, check, compare_networks, real_input
from monai_unet.io.atomic import written_aside
from monai_unet.networks import Ensemble, naming
from monai_unet.prediction.exported import load_exported
from monai_unet.prediction.load import OF_A_MODEL, check_overrides, load_model
from monai_unet.prediction.model_path import SUFFIXES, is_exported
from monai_unet.shipped import bundle_folder

FORMATS = ("torchscript", "onnx", "bioimageio")


def export(
    bundle: str | os.PathLike[str],
    kind: str,
    out: str | os.PathLike[str],
    image: str | os.PathLike[str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    package: PackageOptions | None = None,
    say: Callable[[str], object] = lambda step: None,
) -> list[Difference]:
    """Write a bundle's network for other programs.

    Args:
        bundle: see `monai_unet.shipped.bundle_folder`; with its weights.
        kind: "torchscript", "onnx" or "bioimageio".
        out: the file: .ts or .pt, .onnx, or .zip for the BioImage.IO package. It appears when it has been compared.
        image: a real image to compare on too; without one, random input alone. In a BioImage.IO package its middle is
            the test input and the cover: give one that may be published.
        overrides: names of the bundle's `inference.json` with other values.
        package: of a BioImage.IO package.
        say: called with each step, a few words, before it is taken.

    Returns:
        The differences between the file, loaded again, and the network.

    Raises:
        ValueError: when the name does not fit the format, the file differs from the network by more than 1e-4 in
            probability or in a normalised grey value, or the BioImage.IO package does not pass `bioimageio.core`'s
            test.
        FileExistsError: when there is something at `out`.
        FileNotFoundError: when the bundle, its weights or the image are missing.
        OSError: when the disk is full; nothing is left then.
        ImportError: without the packages that the format needs.
    """
    out = Path(out)
    if kind not in FORMATS:
        raise ValueError(f"format {kind!r}: one of {', '.join(FORMATS)}")
    suffixes = SUFFIXES.get(kind, (".zip",))
    if out.suffix.lower() not in suffixes:
        raise ValueError(f"{out}: a file of the format {kind} is called *{' or *'.join(suffixes)}")
    if os.path.lexists(out):
        raise FileExistsError(f"{out} exists; remove it, or give another --out")
    if is_exported(Path(bundle)):
        raise ValueError(f"{bundle} is exported already; give the bundle that it was made of")
    check_overrides(overrides or {}, bundle, "export", (*OF_A_MODEL, "rotations"))
    if package is None:
        package = PackageOptions()
    elif kind != "bioimageio":
        raise ValueError(f"blocks, pixel size and maintainers are of a BioImage.IO package, not of {kind}")
    bundle, changes = str(bundle_folder(bundle).resolve()), json.dumps(dict(overrides or {}), sort_keys=True)
    say(f"loading {bundle}")
    model = load_model(bundle, changes)
    if kind == "bioimageio" and isinstance(model.network, Ensemble):
        raise ValueError(
            f"{bundle} predicts by an ensemble of {len(model.network.members)} networks, and a BioImage.IO package "
            "holds one: export a member, by --ckpt_path, or all of them as torchscript or onnx"
        )
    real = None if image is None else real_input(image, model)
    with naming(out), written_aside(out) as temporary:
        if kind == "bioimageio":
            from monai_unet.export.bioimageio.check import check_package
            from monai_unet.export.bioimageio.write import write_bioimageio

            write_bioimageio(model, bundle, changes, temporary, real, package, say)
            differences = check_package(model, temporary, real, package.blocks, say)
        else:
            say(f"writing {kind}")
            if kind == "onnx":
                from monai_unet.export.onnx import write_onnx

                write_onnx(model, temporary)
            else:
                from monai_unet.export.torchscript import write_torchscript

                write_torchscript(model, temporary)
            say("comparing it with the network")
            differences = compare_networks(model, model.network, load_exported(temporary).network, real)
        check(differences)
    return differences
