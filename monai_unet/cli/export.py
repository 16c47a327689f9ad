"""`monai-unet export`: the network for other programs."""

from __future__ import annotations

import argparse

from monai_unet.cli.options import overrides_of, say


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
    package = export.add_argument_group("of a BioImage.IO package")
    package.add_argument(
        "--blocks",
        action="store_true",
        help="for programs that predict in blocks; else for whole images of any size, and blocks are refused",
    )
    package.add_argument(
        "--pixel-size",
        metavar="SIZE",
        help='that the network is for, as "0.19 um" or "4 x 4 nm"; default: what the bundle\'s metadata says',
    )
    package.add_argument(
        "--maintainer", action="append", metavar="USER", help="user of GitHub who looks after it; may be repeated"
    )
    export.set_defaults(run=_export, overrides=True)


def _export(args: argparse.Namespace) -> None:
    say(f"exporting {args.bundle} as {args.format}")  # before the imports, which take seconds
    from monai_unet.export.bioimageio.options import PackageOptions
    from monai_unet.export.compare import table
    from monai_unet.export.export import export

    package = PackageOptions(args.blocks, args.pixel_size, tuple(args.maintainer or ()))
    differences = export(
        args.bundle,
        args.format,
        args.out,
        args.image,
        overrides_of(args.others),
        None if package == PackageOptions() else package,
        say,
    )
    print(table(differences))
    if args.image is None:
        print("compared on random input only; --image FILE compares on a real one")
    print(f"{args.format} of {args.bundle}: {args.out}")
