"""End a command that fails with the reason."""

from __future__ import annotations

import sys
from types import TracebackType


def cause_under_monai(error: BaseException) -> BaseException:
    """What went wrong, under the `RuntimeError`s that MONAI wraps around it.

    It stops at the first other error: what that one was raised from is a detail, and no longer names the file.
    """
    while isinstance(error, RuntimeError) and error.__cause__ is not None:
        error = error.__cause__
    return error


def end_with_the_cause() -> None:
    """Print the cause of an uncaught error once more, as the last line.

    MONAI wraps whatever goes wrong in a config; the last line of its traceback names an expression, and the message
    that says which file is at fault stands far above it.
    """
    previous = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        previous(kind, error, traceback)
        cause = cause_under_monai(error)
        if cause is not error:
            print(f"\nmonai-unet: error: {cause}", file=sys.stderr)

    sys.excepthook = hook
