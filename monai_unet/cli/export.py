"""`monai-unet export`: the network for other programs."""

from __future__ import annotations

import argparse

from monai_unet.cli.options import overrides_of


def add(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Describe the command to the parser."""
    export = commands.add_parser(
        "export",
        help="write the network for other programs",
        description="Write a bundle's network as TorchScript, ONNX or a BioImage.IO package. The file is compared with "
        "the network on random and on real input, and appears only when no probability differs by more than 1e-4. "
        "Names of the bundle's inference.json may be given too, as --features '[16,32,64,128,256]'.",
        parents=[common],
    )
    export.add_argument("--bundle", required=True, metavar="BUNDLE", help="its folder, or name of one of the package")
    export.add_argument("--format", required=True, choices=("torchscript", "onnx", "bioimageio"))
    export.add_argument("--out", required=True, metavar="PATH", help=".ts or .pt, .onnx, or .zip")
    export.add_argument(
        "--image", metavar="FILE", help="real image to compare on; a BioImage.IO package shows its middle as example"
    )
    export.set_defaults(run=_export, overrides=True)


def _export(args: argparse.Namespace) -> None:
    from monai_unet.export.compare import table
    from monai_unet.export.export import export

    differences = export(args.bundle, args.format, args.out, args.image, overrides_of(args.others))
    print(table(differences))
    if args.image is None:
        print("compared on random input only; --image FILE compares on a real one")
    print(f"{args.format} of {args.bundle}: {args.out}")
