"""`monai-unet data`: fetch, check or generate a data set."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from monai_unet.cli.options import whole_number

_ISBI2012_OUT = Path("datasets/isbi2012/data")
_SYNTHETIC_OUT = Path("datasets/synthetic/data")


def add(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Describe the command to the parser."""
    data = commands.add_parser("data", help="fetch, check or generate a data set", parents=[common])
    sets = data.add_subparsers(title="data sets", required=True, metavar="DATASET")

    isbi = sets.add_parser(
        "isbi2012",
        help="check the challenge's files and put them in place",
        description="Check the files of the ISBI 2012 EM segmentation challenge and put them in place.",
        parents=[common],
    )
    isbi.add_argument(
        "--source",
        required=True,
        metavar="DIR_OR_URL",
        help="folder or archive (zip, tar) with train-volume.tif and train-labels.tif, or the URL of one",
    )
    _add_out(isbi, _ISBI2012_OUT)
    isbi.set_defaults(run=_data_isbi2012)

    for name, title in (("dic_hela", "DIC-C2DH-HeLa"), ("phc_u373", "PhC-C2DH-U373")):
        cells = sets.add_parser(
            name,
            help=f"fetch or find the Cell Tracking Challenge's {title} and put it in place",
            description=f"Fetch or find {title} of the Cell Tracking Challenge, check its labelled frames, and put it "
            "in place. To be used for research in the challenge's context, citing http://celltrackingchallenge.net; "
            "not for commercial purposes.",
            parents=[common],
        )
        cells.add_argument(
            "--source",
            metavar="DIR_OR_URL",
            help="folder or archive in the challenge's layout, or the URL of an archive (default: the challenge's own)",
        )
        _add_out(cells, Path("datasets", name, "data"))
        cells.set_defaults(run=_data_cell_tracking, dataset=name)

    synthetic = sets.add_parser(
        "synthetic",
        help="generate EM-like sections with labels",
        description="Generate EM-like sections with labels, in the file format of ISBI 2012.",
        parents=[common],
    )
    _add_out(synthetic, _SYNTHETIC_OUT)
    for option, default, least, meaning in (
        ("--sections", 30, 1, "labelled sections"),
        ("--size", 512, 1, "height and width, pixels"),
        ("--seed", 0, 0, "the same seed gives the same bytes"),
        ("--test-sections", 6, 0, "sections without labels"),
    ):
        synthetic.add_argument(
            option, type=whole_number(least), default=default, metavar="N", help=f"{meaning} (default {default})"
        )
    synthetic.set_defaults(run=_data_synthetic)


def _add_out(parser: argparse.ArgumentParser, default: Path) -> None:
    parser.add_argument(
        "--out", type=Path, default=default, metavar="DIR", help=f"folder to write to (default {default})"
    )
    parser.add_argument("--force", action="store_true", help="replace different data in --out")


def _data_isbi2012(args: argparse.Namespace) -> None:
    from monai_unet.data.isbi2012 import prepare_isbi2012

    summary = prepare_isbi2012(args.source, args.out, args.force)
    print(f"ISBI 2012 in {args.out}: {summary}")
    for note in summary.notes:
        print(note)
    _print_next("isbi", args.out, args.out == _ISBI2012_OUT)


def _data_cell_tracking(args: argparse.Namespace) -> None:
    from monai_unet.data.archives import ARCHIVES
    from monai_unet.data.cell_tracking import prepare_cell_tracking

    found = prepare_cell_tracking(args.source or ARCHIVES[args.dataset], args.out, args.force)
    print(f"{args.dataset} in {args.out}: {found}")
    _print_next(args.dataset, args.out, args.out == Path("datasets", args.dataset, "data"))


def _data_synthetic(args: argparse.Namespace) -> None:
    from monai_unet.data.isbi2012 import check_isbi2012
    from monai_unet.data.synthetic import write_synthetic

    write_synthetic(args.out, args.sections, args.size, args.seed, args.test_sections, args.force)
    print(f"synthetic sections in {args.out}: {check_isbi2012(args.out)}")
    _print_next("isbi", args.out, args.out == _SYNTHETIC_OUT and not _ISBI2012_OUT.exists())


def _print_next(bundle: str, out: Path, is_found: bool) -> None:
    """The commands that come next.

    Args:
        bundle: to train; by name, where there is no repository around.
        out: the data.
        is_found: whether a bundle of the repository finds it by itself.
    """
    folder = Path("bundles", bundle)
    is_here = (folder / "train.json").is_file()
    copy = "" if is_here else f"monai-unet copy {bundle} && "
    place = folder if is_here or Path("bundles").is_dir() else Path(bundle)
    dataset = "" if is_here and is_found else f" --dataset_dir {shlex.quote(str(out))}"
    print(f"next: {copy}monai-unet train {place}{dataset}")
