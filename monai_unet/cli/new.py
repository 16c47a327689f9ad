"""`monai-unet new`: a bundle for a folder of own images."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from monai_unet.cli.options import knob_type, say

_LIKE = "dic_hela_compact"


def add(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Describe the command to the parser."""
    new = commands.add_parser(
        "new",
        help="make a bundle for a folder of your own images",
        description="Look through a folder of images/ and labels/ (TIFF, PNG, NIfTI, paired by name), say what is "
        "wrong with it, or choose the settings for it and write a bundle to train on it.",
        parents=[common],
    )
    new.add_argument("name", metavar="NAME", help="of the bundle, as my_cells")
    new.add_argument("--dataset-dir", required=True, metavar="DIR", help="folder with images/ and labels/")
    new.add_argument(
        "--like",
        default=_LIKE,
        metavar="BUNDLE",
        help="start from dic_hela_compact (default), phc_u373_compact, isbi_compact, these at the full width without "
        "_compact, or a bundle's folder",
    )
    new.add_argument("--out", metavar="FOLDER", help="of the bundle (default bundles/NAME, or NAME without bundles/)")
    new.add_argument("--classes", metavar="A,B,...", help="names, background first (default background,cell)")
    new.add_argument(
        "--labels",
        choices=("instances", "classes"),
        help="what the numbers in the labels are (default: instances where there are more than two, and two classes)",
    )
    new.add_argument(
        "--channels",
        metavar="NAME,...",
        help="of the images, as DAPI,actin, DAPI=0 (a number in the file) or dapi=*_w1.tif,actin=*_w2.tif (a file "
        "each) (default: all that the files have)",
    )
    new.add_argument(
        "--pages", choices=("sections", "channels"), help="what the pages of a file are (default: as it says itself)"
    )
    new.add_argument(
        "--normalise",
        choices=("dataset", "image", "section"),
        help="grey values by the same numbers for all images, or by those of each image or each section (default: by "
        "how much the exposures differ)",
    )
    new.add_argument("--ignore-label", type=knob_type("ignore_label"), metavar="N", help="value of unknown pixels")
    new.add_argument(
        "--colours",
        type=knob_type("colours"),
        metavar="NAME=R,G,B ...",
        help='of labels in colour, as "background=0,0,0 tumour=255,0,0"; ignore=R,G,B is of unknown pixels',
    )
    new.add_argument("--partly-annotated", metavar="NAME,...", help="images of which only some cells are labelled")
    new.add_argument(
        "--no-trial", action="store_true", help="do not draw a montage of the data and time a few iterations"
    )
    new.add_argument(
        "--targets",
        choices=("pairs", "noise2void", "noise2noise", "recorrupted"),
        help="restore images: from images/ and targets/ (pairs, the default where there are both and no labels/), from "
        "hidden pixels of images alone, from neighbouring sections of stacks, or from noisy images split in two",
    )
    new.add_argument("--noise-model", choices=("gaussian", "poisson"), help="of recorrupted targets: the kind of noise")
    new.add_argument(
        "--noise-level",
        type=knob_type("noise_level"),
        metavar="X",
        help="of recorrupted targets: deviation of Gaussian noise, or grey values of a particle of Poisson noise",
    )
    new.set_defaults(run=_new)


def _new(args: argparse.Namespace) -> None:
    say(f"looking through {args.dataset_dir}")
    from monai_unet.recipes.card import settings_text
    from monai_unet.recipes.create import new_bundle

    folder = Path(args.dataset_dir)
    if args.targets or ((folder / "targets").is_dir() and not (folder / "labels").is_dir()):
        _new_restoration(args)
        return
    if args.noise_model or args.noise_level:
        raise ValueError("--noise-model and --noise-level are of --targets recorrupted: leave them out")
    made = new_bundle(
        args.name,
        args.dataset_dir,
        like=args.like,
        out=args.out,
        classes=args.classes.split(",") if args.classes else None,
        labels=args.labels,
        channels=args.channels,
        pages=args.pages,
        normalise=args.normalise,
        ignore_label=args.ignore_label,
        partly_annotated=args.partly_annotated.split(",") if args.partly_annotated else (),
        colours=args.colours,
    )
    print(settings_text(made.survey, made.settings))
    _say_commands(made.folder, "label" if made.survey.kind == "classes" else "instances")
    if not args.no_trial:
        print(flush=True)
        _try(args, made.folder, made.survey.labelled)


def _new_restoration(args: argparse.Namespace) -> None:
    from monai_unet.recipes.create_restoration import new_restoration

    of_labels = ("classes", "labels", "ignore_label", "partly_annotated", "colours")
    given = [f"--{name.replace('_', '-')}" for name in (*of_labels, "normalise") if getattr(args, name) is not None]
    if args.like != _LIKE:
        given.append("--like")
    if given:
        raise ValueError(f"{', '.join(given)} does nothing for images that are restored: leave it out")
    made = new_restoration(
        args.name,
        args.dataset_dir,
        args.targets or "pairs",
        args.out,
        channels=args.channels,
        pages=args.pages,
        noise_model=args.noise_model,
        noise_level=args.noise_level,
    )
    print(made.text)
    _say_commands(made.folder, "image")
    if not args.no_trial:
        print(flush=True)
        _try(args, made.folder, ())


def _try(args: argparse.Namespace, bundle: Path, labelled: Sequence[bool]) -> None:
    """Try a bundle that is already written: what goes wrong is said, and does not make `new` fail."""
    from monai_unet.errors import cause_under_monai, in_one_line
    from monai_unet.recipes.trial import try_bundle

    try:
        try_bundle(bundle, labelled)
    except Exception as error:
        if getattr(args, "debug", False):
            traceback.print_exc()
        reason = in_one_line(cause_under_monai(error))
        print(f"monai-unet: the bundle {bundle} is complete, but its trial failed: {reason}", file=sys.stderr)


def _say_commands(bundle: Path, output: str) -> None:
    from monai_unet.recipes.card import commands

    print(f"\nbundle: {bundle}; every value above is a line of its configs, and an option of the commands")
    for what, command in commands(bundle, output).items():
        print(f"\n{what}:\n{command}")
