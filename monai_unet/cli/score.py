"""`monai-unet score`: a proposal against labels."""

from __future__ import annotations

import argparse

from monai_unet.cli.options import knob_type


def add(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Describe the command to the parser."""
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
        type=knob_type("colours"),
        metavar="NAME=R,G,B ...",
        help='of labels in colour, as "background=0,0,0 tumour=255,0,0"; ignore=R,G,B is of unknown pixels',
    )
    score.add_argument("--out", metavar="JSON", help="write the scores of every section, or cell, here too")
    isbi = score.add_argument_group("isbi")
    isbi.add_argument(
        "--thresholds", type=knob_type("threshold"), nargs="+", metavar="T", help="to try (default 0.0 0.1 ... 0.9)"
    )
    isbi.add_argument(
        "--no-warping", action="store_true", default=None, help="leave out the warping scores, which need numba"
    )
    seg = score.add_argument_group("seg, for probabilities")
    seg.add_argument("--threshold", type=knob_type("threshold"), help="foreground is above it (default 0.5)")
    seg.add_argument("--min-size", type=knob_type("min_size"), metavar="N", help="drop objects of fewer pixels")
    classes = score.add_argument_group("classes")
    classes.add_argument("--classes", metavar="A,B,...", help="names, background first (default: those of --colours)")
    classes.add_argument("--ignore-label", type=knob_type("ignore_label"), metavar="N", help="value of unknown pixels")
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
