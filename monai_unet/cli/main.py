"""The command `monai-unet`; it reads its arguments, calls the package, and says what came of it."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence

from monai_unet import __version__
from monai_unet.cli import bundles, data, evaluate, export, label, new, predict, score, train
from monai_unet.cli.options import Parser
from monai_unet.errors import FAILED, INTERRUPTED, OF_THE_USER


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
    except KeyboardInterrupt as interrupt:
        print(f"monai-unet: {str(interrupt) or 'interrupted'}", file=sys.stderr)
        return INTERRUPTED
    return 0


def _parser() -> argparse.ArgumentParser:
    # SUPPRESS: a subcommand's default would overwrite a --debug that stood before it
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--debug",
        action="store_true",
        default=argparse.SUPPRESS,
        help="show the traceback of an error (of the commands of monai.bundle, with MONAI_UNET_DEBUG=1)",
    )

    parser = Parser("monai-unet", description="The original U-Net as a MONAI pipeline.", parents=[common])
    parser.add_argument("--version", action="version", version=f"monai-unet {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in (data, bundles, new, train, evaluate, predict, score, export, label):
        command.add(commands, common)
    return parser
