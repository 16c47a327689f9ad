"""`monai-unet evaluate`: scores and a report on the sections that validate."""

from __future__ import annotations

import argparse

from monai_unet.cli.options import overrides_of, say, with_the_cause


def add(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Describe the command to the parser."""
    evaluate = commands.add_parser(
        "evaluate",
        help="score a bundle on its validation sections, with a report",
        description="Evaluate a bundle, as `python -m monai.bundle run evaluating` does. Names of its train.json and "
        "evaluate.json may be given too, as --rotations 7 (docs/knobs.md).",
        parents=[common],
    )
    evaluate.add_argument("bundle", metavar="BUNDLE", help="folder of the bundle, or a name from `monai-unet bundles`")
    evaluate.set_defaults(run=_evaluate, overrides=True)


def _evaluate(args: argparse.Namespace) -> None:
    overrides = overrides_of(args.others, "train.json and evaluate.json")
    say(f"evaluating {args.bundle}")
    with with_the_cause(args):
        from monai_unet.runs.command import run

        run(args.bundle, "evaluate", overrides)
