"""`monai-unet train`: a training, or one for each fold of a cross-validation."""

from __future__ import annotations

import argparse

from monai_unet.cli.options import overrides_of, say, whole_number, with_the_cause


def add(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Describe the command to the parser."""
    train = commands.add_parser(
        "train",
        help="train a bundle",
        description="Train a bundle, as `python -m monai.bundle run training` does. The same command goes on where a "
        "training was stopped. Names of the bundle's train.json may be given too, as --epochs 100 (docs/knobs.md).",
        parents=[common],
    )
    train.add_argument("bundle", metavar="BUNDLE", help="folder of the bundle, or a name from `monai-unet bundles`")
    train.add_argument(
        "--folds",
        type=whole_number(2),
        metavar="N",
        help="train N networks of which each leaves out other sections, score each on these, and put all together "
        "into models/model.pt, which predicts by their mean",
    )
    train.set_defaults(run=_train, overrides=True)


def _train(args: argparse.Namespace) -> None:
    overrides = overrides_of(args.others, "train.json")
    say(f"training {args.bundle}")
    with with_the_cause(args):
        if args.folds is None:
            from monai_unet.runs.command import run

            run(args.bundle, "train", overrides)
            return
        from monai_unet.runs.folds import cross_validate

        cross_validate(args.bundle, args.folds, overrides)
