"""The command `monai-unet`; it reads its arguments, calls the package, and says what came of it."""

from __future__ import annotations

import argparse
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from monai_unet import __version__
from monai_unet.errors import FAILED, INTERRUPTED, OF_THE_USER

# What a subcommand needs is imported in its function: `monai-unet --help` has to answer at once.

_LIKE = "dic_hela_compact"
_ISBI2012_OUT = Path("datasets/isbi2012/data")
_SYNTHETIC_OUT = Path("datasets/synthetic/data")
_TRAIN = "python -m monai.bundle run training --config_file"


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
    except OF_THE_USER as error:
        if getattr(args, "debug", False):
            traceback.print_exc()
        print(f"monai-unet: error: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("monai-unet: interrupted", file=sys.stderr)
        return INTERRUPTED
    return 0


class _Parser(argparse.ArgumentParser):
    """Takes an option with "-" or "_", as MONAI's commands do, and no abbreviations: they would hide a wrong name."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "allow_abbrev": False})

    def _parse_optional(self, arg_string: str) -> Any:
        name, equals, value = arg_string.partition("=")
        known = name.replace("_", "-")
        return super()._parse_optional(
            f"{known}{equals}{value}" if known in self._option_string_actions else arg_string
        )

    def error(self, message: str) -> NoReturn:
        """End with one line, as every other error does."""
        more = "" if message.startswith("argument --") else f"; {self.prog} --help shows what there is"
        self.exit(FAILED, f"monai-unet: error: {message.removeprefix('argument ')}{more}\n")


def _parser() -> argparse.ArgumentParser:
    # SUPPRESS: a subcommand's default would overwrite a --debug that stood before it
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--debug",
        action="store_true",
        default=argparse.SUPPRESS,
        help="show the traceback of an error (of the commands of monai.bundle, with MONAI_UNET_DEBUG=1)",
    )

    parser = _Parser("monai-unet", description="The original U-Net as a MONAI pipeline.", parents=[common])
    parser.add_argument("--version", action="version", version=f"monai-unet {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_data(commands, common)
    _add_predict(commands, common)
    _add_score(commands, common)
    _add_export(commands, common)
    _add_label(commands, common)
    _add_new(commands, common)
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
            option, type=_whole_number(least), default=default, metavar="N", help=f"{meaning} (default {default})"
        )
    synthetic.set_defaults(run=_data_synthetic)


def _add_predict(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    predict = commands.add_parser(
        "predict",
        help="predict an image of any size",
        description="Predict an image of any size, tile by tile. The same command goes on where a run was stopped. "
        "Names of the bundle's inference.json may be given too, as --features '[16,32,64,128,256]'.",
        parents=[common],
    )
    predict.add_argument(
        "image", metavar="INPUT", help="an image: TIFF, OME-Zarr, NIfTI, PNG, DICOM ... (docs/formats.md)"
    )
    predict.add_argument(
        "--bundle", required=True, metavar="DIR", help="folder of the bundle, or a file of `export`: .ts, .pt or .onnx"
    )
    predict.add_argument("--out", required=True, help=".ome.zarr, .ome.tif, .nii or .nii.gz")
    predict.add_argument(
        "--output",
        choices=("probability", "label", "instances", "image"),
        help="image, restored, is the only one of a network that restores images (default: that, or probability)",
    )
    predict.add_argument("--dtype", choices=("float32", "float16", "uint8"), help="of probabilities (default float32)")
    predict.add_argument("--threshold", type=_knob("threshold"), help="of labels and instances (default: the bundle's)")
    predict.add_argument(
        "--min-size", type=_knob("min_size"), metavar="N", help="drop smaller instances (default: the bundle's)"
    )
    predict.add_argument(
        "--memory", type=_knob("memory"), help="that a worker process may take, as 2GB (default: the bundle's)"
    )
    predict.add_argument("--roi", metavar="[Z0:Z1,]Y0:Y1,X0:X1", help="predict this part only")
    predict.add_argument(
        "--device", type=_knob("device"), help="where the network computes (default: a GPU where there is one)"
    )
    where = predict.add_mutually_exclusive_group()
    where.add_argument(
        "--workers", type=_knob("workers"), default=1, metavar="N", help="processes on this machine (default 1)"
    )
    where.add_argument("--scheduler", metavar="ADDRESS", help="of a running Dask scheduler, as tcp://10.0.0.1:8786")
    predict.set_defaults(run=_predict, overrides=True)


def _predict(args: argparse.Namespace) -> None:
    from monai_unet.prediction.out_of_core import predict

    _end_at_once("interrupted; what was predicted is kept, and the same command goes on")
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
    print(f"{args.output or 'prediction'} of {args.image}: {out}")


def _end_at_once(line: str) -> None:
    """At Ctrl-C, say a line, and end within a second, though a tile is being computed that cannot be stopped."""
    import os
    import signal
    import threading

    def stop(*args: object) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print(f"\nmonai-unet: {line}", file=sys.stderr, flush=True)
        timer = threading.Timer(1.0, os._exit, [INTERRUPTED])
        timer.daemon = True
        timer.start()
        sys.exit(INTERRUPTED)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, stop)
        # of worker processes, whose semaphores are then not freed one by one
        os.environ.setdefault("PYTHONWARNINGS", "ignore:resource_tracker:UserWarning")


def _add_score(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    score = commands.add_parser(
        "score",
        help="compare a proposal with labels",
        description="Score a proposal against labels by the metrics of the ISBI 2012 challenge (isbi: labels not 0 "
        "inside cells, probabilities), by the Cell Tracking Challenge's SEG (seg: one integer per cell and per "
        "object, or probabilities, whose parts above a threshold are the objects), or by Dice and IoU of each class "
        "(classes: a number or a colour per class, or probabilities, a channel per class).",
        parents=[common],
    )
    score.add_argument(
        "labels", metavar="LABELS", help="image file; for seg also a folder of man_segNNN.tif, for classes of any"
    )
    score.add_argument(
        "proposal",
        metavar="PROPOSAL",
        help="image file; for seg also a folder of maskNNN.tif, for classes of NAME or NAME_label for each NAME",
    )
    score.add_argument("--metric", choices=("isbi", "seg", "classes"), required=True)
    score.add_argument(
        "--colours",
        type=_knob("colours"),
        metavar="NAME=R,G,B ...",
        help='of labels in colour, as "background=0,0,0 tumour=255,0,0"; ignore=R,G,B is of unknown pixels',
    )
    score.add_argument("--out", metavar="JSON", help="write the scores of every section, or cell, here too")
    isbi = score.add_argument_group("isbi")
    isbi.add_argument(
        "--thresholds", type=_knob("threshold"), nargs="+", metavar="T", help="to try (default 0.0 0.1 ... 0.9)"
    )
    isbi.add_argument(
        "--no-warping", action="store_true", default=None, help="leave out the warping scores, which need numba"
    )
    seg = score.add_argument_group("seg, for probabilities")
    seg.add_argument("--threshold", type=_knob("threshold"), help="foreground is above it (default 0.5)")
    seg.add_argument("--min-size", type=_knob("min_size"), metavar="N", help="drop objects of fewer pixels")
    classes = score.add_argument_group("classes")
    classes.add_argument("--classes", metavar="A,B,...", help="names, background first (default: those of --colours)")
    classes.add_argument("--ignore-label", type=_knob("ignore_label"), metavar="N", help="value of unknown pixels")
    score.set_defaults(run=_score)


_OF_METRICS = {
    "isbi": ("thresholds", "no_warping"),
    "seg": ("threshold", "min_size"),
    "classes": ("classes", "ignore_label"),
}


def _score(args: argparse.Namespace) -> None:
    from monai_unet.score import class_report, isbi_report, report_text, seg_report, write_report

    for metric, options in _OF_METRICS.items():
        for option in options:
            if getattr(args, option) is not None and metric != args.metric:
                raise ValueError(f"--{option.replace('_', '-')} is for --metric {metric}, not for {args.metric}")
    files = args.labels, args.proposal
    if args.metric == "isbi":
        report = isbi_report(*files, args.thresholds, warping=not args.no_warping, colours=args.colours)
    elif args.metric == "seg":
        report = seg_report(*files, args.threshold, args.min_size, args.colours)
    else:
        classes = args.classes.split(",") if args.classes else None
        report = class_report(*files, classes, args.colours, args.ignore_label)
    print(report_text(report))
    if args.out:
        write_report(report, args.out)
        print(f"\nin full: {args.out}")


def _add_new(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
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
    new.add_argument("--ignore-label", type=_knob("ignore_label"), metavar="N", help="value of unknown pixels")
    new.add_argument(
        "--colours",
        type=_knob("colours"),
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
        type=_knob("noise_level"),
        metavar="X",
        help="of recorrupted targets: deviation of Gaussian noise, or grey values of a particle of Poisson noise",
    )
    new.set_defaults(run=_new)


def _new(args: argparse.Namespace) -> None:
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
    _say_commands(made.folder)
    if not args.no_trial:
        print(flush=True)
        _try(args, made.folder, [any(pixels[1:]) for pixels in made.survey.class_pixels])


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
    _say_commands(made.folder)
    if not args.no_trial:
        print(flush=True)
        _try(args, made.folder, ())


def _say_commands(bundle: Path) -> None:
    from monai_unet.recipes.card import commands

    print(f"\nbundle: {bundle}; every value above is a line of its configs, and an option of the commands")
    for what, command in commands(bundle).items():
        print(f"\n{what}:\n{command}")


def _add_label(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    label = commands.add_parser(
        "label",
        help="serve bundles to annotation tools by MONAI Label",
        description="Make an app for MONAI Label from bundles and start its server, for QuPath, 3D Slicer and REST: "
        "docs/monai-label.md. Names of the bundles' configs may be given too, as --features '[16,32,64,128,256]'.",
        parents=[common],
    )
    label.add_argument("--studies", type=Path, required=True, metavar="DIR", help="the images; labels go to DIR/labels")
    label.add_argument(
        "--bundle", type=Path, nargs="+", default=[Path("bundles/isbi")], metavar="DIR", help="(default bundles/isbi)"
    )
    label.add_argument("--app", type=Path, metavar="DIR", help="for copies of the bundles (default STUDIES-app)")
    label.add_argument("--host", default="127.0.0.1", help="to listen on (default 127.0.0.1, this machine alone)")
    label.add_argument("--port", type=_whole_number(1, 65535), default=8000, help="to listen on (default 8000)")
    label.set_defaults(run=_label, overrides=True)


def _label(args: argparse.Namespace) -> None:
    from monai_unet.label.app_folder import make_app
    from monai_unet.label.server import check_server, start_server

    check_server(args.studies)
    app = args.app or args.studies.resolve().with_name(args.studies.resolve().name + "-app")
    for line in make_app(app, args.bundle, _overrides(args.others)):
        print(line)
    start_server(app, args.studies, [bundle.resolve().name for bundle in args.bundle], args.host, args.port)


def _add_export(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    export = commands.add_parser(
        "export",
        help="write the network for other programs",
        description="Write a bundle's network as TorchScript, ONNX or a BioImage.IO package. The file is compared with "
        "the network on random and on real input, and appears only when no probability differs by more than 1e-4. "
        "Names of the bundle's inference.json may be given too, as --features '[16,32,64,128,256]'.",
        parents=[common],
    )
    export.add_argument("--bundle", required=True, metavar="DIR", help="folder of the bundle")
    export.add_argument("--format", required=True, choices=("torchscript", "onnx", "bioimageio"))
    export.add_argument("--out", required=True, metavar="PATH", help=".ts or .pt, .onnx, or .zip")
    export.add_argument(
        "--image", metavar="FILE", help="real image to compare on; a BioImage.IO package shows its middle as example"
    )
    export.set_defaults(run=_export, overrides=True)


def _export(args: argparse.Namespace) -> None:
    from monai_unet.export.compare import table
    from monai_unet.export.export import export

    differences = export(args.bundle, args.format, args.out, args.image, _overrides(args.others))
    print(table(differences))
    if args.image is None:
        print("compared on random input only; --image FILE compares on a real one")
    print(f"{args.format} of {args.bundle}: {args.out}")


def _overrides(others: Sequence[str]) -> dict[str, object]:
    """`--name value` pairs for the bundle's config; a value is read as Python where it can be, as MONAI does."""
    given: dict[str, object] = {}
    words = iter(others)
    for word in words:
        option, equals, text = word.partition("=")
        value = text if equals else next(words, None)
        if not option.startswith("--") or value is None:
            raise ValueError(f"{word}: expected --NAME VALUE, a name of the bundle's inference.json")
        name = option[2:].replace("-", "_")
        given[name] = _as_python(value)
    return given


def _as_python(text: str) -> object:
    import ast

    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _knob(name: str) -> Callable[[str], object]:
    """The type of an option whose values are those of a knob."""

    def read(text: str) -> object:
        from monai_unet.knobs import knobs

        return _checked(text, knobs()[name])

    return read


def _whole_number(least: int, most: int | None = None) -> Callable[[str], object]:
    """The type of an option that no knob stands for."""

    def read(text: str) -> object:
        from monai_unet.knobs import Knob

        limits: dict[str, float] = {"least": least} if most is None else {"least": least, "most": most}
        return _checked(text, Knob("", (), None, "", "integer", "free", "", limits=limits))

    return read


def _checked(text: str, knob: Any) -> object:
    value = _as_python(text)
    try:
        knob.check(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix(f"{knob.name} ").strip()) from None
    return value


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


def _data_cell_tracking(args: argparse.Namespace) -> None:
    from monai_unet.data.cell_tracking import ARCHIVES, prepare_cell_tracking

    found = prepare_cell_tracking(args.source or ARCHIVES[args.dataset], args.out, args.force)
    print(f"{args.dataset} in {args.out}: {found}")
    default = args.out == Path("datasets", args.dataset, "data")
    dataset = "" if default else f" --dataset_dir {shlex.quote(str(args.out))}"
    print(f"next: {_TRAIN} bundles/{args.dataset}/train.json{dataset}")


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
    print(f"next: {_TRAIN} bundles/isbi/train.json{dataset}")


if __name__ == "__main__":
    sys.exit(main())
