"""Floor 4: the command `monai-unet`; it reads its arguments, calls the package, and says what came of it."""

from __future__ import annotations

import argparse
import shlex
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from monai_unet import __version__

# What a subcommand needs is imported in its function: `monai-unet --help` has to answer at once.

_ISBI2012_OUT = Path("datasets/isbi2012/data")
_SYNTHETIC_OUT = Path("datasets/synthetic/data")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: arguments without the program's name; those of this process when None.

    Returns:
        Exit code: 0 when all went well, 2 for what the user can put right (one line on stderr; with `--debug` the
        traceback too), 130 when interrupted.
    """
    args, others = _parser().parse_known_args(argv)
    if others and not hasattr(args, "overrides"):
        _parser().error(f"unrecognized arguments: {' '.join(others)}")
    args.others = others
    try:
        args.run(args)
    except (ValueError, OSError, ImportError) as error:
        if getattr(args, "debug", False):
            traceback.print_exc()
        print(f"monai-unet: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("monai-unet: interrupted", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    # SUPPRESS: a subcommand's default would overwrite a --debug that stood before it
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--debug", action="store_true", default=argparse.SUPPRESS, help="show the traceback of an error"
    )

    parser = argparse.ArgumentParser(
        "monai-unet", description="The original U-Net as a MONAI pipeline.", parents=[common]
    )
    parser.add_argument("--version", action="version", version=f"monai-unet {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_data(commands, common)
    _add_predict(commands, common)
    return parser


def _add_data(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
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

    synthetic = sets.add_parser(
        "synthetic",
        help="generate EM-like sections with labels",
        description="Generate EM-like sections with labels, in the file format of ISBI 2012.",
        parents=[common],
    )
    _add_out(synthetic, _SYNTHETIC_OUT)
    for option, default, meaning in (
        ("--sections", 30, "labelled sections"),
        ("--size", 512, "height and width, pixels"),
        ("--seed", 0, "the same seed gives the same bytes"),
        ("--test-sections", 6, "sections without labels"),
    ):
        synthetic.add_argument(option, type=int, default=default, metavar="N", help=f"{meaning} (default {default})")
    synthetic.set_defaults(run=_data_synthetic)


def _add_predict(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    predict = commands.add_parser(
        "predict",
        help="predict an image of any size",
        description="Predict an image of any size, tile by tile. The same command goes on where a run was stopped. "
        "Names of the bundle's inference.json may be given too, as --features '[16,32,64,128,256]'.",
        parents=[common],
    )
    predict.add_argument("image", metavar="INPUT", help="TIFF, OME-Zarr, Zarr, NIfTI or PNG")
    predict.add_argument("--bundle", required=True, metavar="DIR", help="folder of the bundle")
    predict.add_argument("--out", required=True, help=".ome.zarr, .ome.tif, .nii or .nii.gz")
    predict.add_argument("--output", choices=("probability", "label", "instances"), default="probability")
    predict.add_argument("--dtype", choices=("float32", "float16", "uint8"), help="of probabilities (default float32)")
    predict.add_argument("--threshold", type=float, default=0.5, help="of labels and instances (default 0.5)")
    predict.add_argument("--min-size", type=int, default=0, metavar="N", help="drop instances of fewer pixels")
    predict.add_argument("--memory", default="2GB", help="that a worker process may take (default 2GB)")
    predict.add_argument("--roi", metavar="[Z0:Z1,]Y0:Y1,X0:X1", help="predict this part only")
    predict.add_argument("--device", help="where the network computes (default: a GPU where there is one)")
    where = predict.add_mutually_exclusive_group()
    where.add_argument("--workers", type=int, default=1, metavar="N", help="processes on this machine (default 1)")
    where.add_argument("--scheduler", metavar="ADDRESS", help="of a running Dask scheduler, as tcp://10.0.0.1:8786")
    predict.set_defaults(run=_predict, overrides=True)


def _predict(args: argparse.Namespace) -> None:
    from monai_unet.prediction.out_of_core import predict

    out = predict(
        args.image,
        args.out,
        args.bundle,
        overrides=_overrides(args.others),
        output=args.output,
        dtype=args.dtype,
        threshold=args.threshold,
        min_size=args.min_size,
        memory=args.memory,
        roi=_roi(args.roi) if args.roi else None,
        workers=args.workers,
        scheduler=args.scheduler,
        device=args.device,
    )
    print(f"{args.output} of {args.image}: {out}")


def _overrides(others: Sequence[str]) -> dict[str, object]:
    """`--name value` pairs for the bundle's config; a value is read as Python where it can be, as MONAI does."""
    import ast

    found: dict[str, object] = {}
    names = iter(others)
    for name in names:
        value = next(names, None)
        if not name.startswith("--") or value is None:
            raise ValueError(f"{name}: expected --NAME VALUE, a name of the bundle's inference.json")
        try:
            found[name[2:]] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            found[name[2:]] = value
    return found


def _roi(text: str) -> list[tuple[int, int]]:
    try:
        parts = [tuple(int(number) for number in part.split(":")) for part in text.split(",")]
    except ValueError:
        parts = []
    if len(parts) not in (2, 3) or any(len(part) != 2 for part in parts):
        raise ValueError(f"--roi {text}: expected Y0:Y1,X0:X1 or Z0:Z1,Y0:Y1,X0:X1, in pixels")
    return [(start, stop) for start, stop in parts]


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
    _print_next(args.out, _ISBI2012_OUT)


def _data_synthetic(args: argparse.Namespace) -> None:
    from monai_unet.data.isbi2012 import check_isbi2012
    from monai_unet.data.synthetic import write_synthetic

    write_synthetic(args.out, args.sections, args.size, args.seed, args.test_sections, args.force)
    print(f"synthetic sections in {args.out}: {check_isbi2012(args.out)}")
    _print_next(args.out, _SYNTHETIC_OUT)


def _print_next(out: Path, default: Path) -> None:
    """The command that comes next; a folder that training would not find by itself has to be named to it."""
    found = out == default and (out == _ISBI2012_OUT or not _ISBI2012_OUT.exists())
    dataset = "" if found else f" --dataset_dir {shlex.quote(str(out))}"
    print(f"next: python -m monai.bundle run training --config_file bundles/isbi/train.json{dataset}")


if __name__ == "__main__":
    sys.exit(main())
