"""`monai-unet label`: bundles in MONAI Label."""

from __future__ import annotations

import argparse
from pathlib import Path

from monai_unet.cli.options import overrides_of, whole_number


def add(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Describe the command to the parser."""
    label = commands.add_parser(
        "label",
        help="serve bundles to annotation tools by MONAI Label",
        description="Make an app for MONAI Label from bundles and start its server, for QuPath, 3D Slicer and REST: "
        "docs/monai-label.md. Names of the bundles' configs may be given too, as --features '[16,32,64,128,256]'.",
        parents=[common],
    )
    label.add_argument("--studies", type=Path, required=True, metavar="DIR", help="the images; labels go to DIR/labels")
    label.add_argument(
        "--bundle",
        nargs="+",
        default=["isbi_compact"],
        metavar="BUNDLE",
        help="folders, or names of bundles that come with the package (default isbi_compact)",
    )
    label.add_argument("--app", type=Path, metavar="DIR", help="for copies of the bundles (default STUDIES-app)")
    label.add_argument("--host", default="127.0.0.1", help="to listen on (default 127.0.0.1, this machine alone)")
    label.add_argument("--port", type=whole_number(1, 65535), default=8000, help="to listen on (default 8000)")
    label.set_defaults(run=_label, overrides=True)


def _label(args: argparse.Namespace) -> None:
    from monai_unet.label.app_folder import make_app
    from monai_unet.label.server import check_server, start_server
    from monai_unet.shipped import bundle_folder

    check_server(args.studies)
    app = args.app or args.studies.resolve().with_name(args.studies.resolve().name + "-app")
    for line in make_app(app, args.bundle, overrides_of(args.others)):
        print(line)
    names = [bundle_folder(bundle).resolve().name for bundle in args.bundle]
    start_server(app, args.studies, names, args.host, args.port)
