"""End a command that fails with the reason."""

from __future__ import annotations

import logging
import os
import sys
import threading
from types import TracebackType

DEBUG = "MONAI_UNET_DEBUG"
"""Environment variable: when it is set, MONAI's commands show the traceback of every error."""

FAILED, INTERRUPTED = 2, 130
"""Exit codes: of what the user can put right, and of Ctrl-C, as shells have it."""

OF_THE_USER = (ValueError, OSError, ImportError, OverflowError)
"""Errors that say what the user can put right; all others are bugs, of ours or of others."""


_LOGGERS = (
    *("ignite.engine.engine.SupervisedTrainer", "ignite.engine.engine.SupervisedEvaluator"),
    *("validate", "evaluate"),  # of MONAI's StatsHandler in the bundles
)


def cause_under_monai(error: BaseException) -> BaseException:
    """What went wrong, under the `RuntimeError`s that MONAI wraps around it.

    It stops at the first other error: what that one was raised from is a detail, and no longer names the file.
    """
    while isinstance(error, RuntimeError) and error.__cause__ is not None:
        error = error.__cause__
    return error


def in_one_line(error: BaseException) -> str:
    """The message of an error in one line; its type when it has none."""
    return " ".join(str(error).split()) or type(error).__name__


def end_with_the_cause() -> None:
    """From now on, let the process end with one line that says why, when nothing catches an error.

    MONAI wraps whatever goes wrong in a config; the last line of its traceback names an expression, and the message
    that says which file is at fault stands far above it. What the user can put right ends with that message alone and
    the exit code 2, Ctrl-C with 130; everything else shows its traceback first, as all does with `MONAI_UNET_DEBUG=1`.
    What Ignite, MONAI and TensorBoard say of such an error while it passes them is left out.
    """
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_is_news)
    previous, in_threads = sys.excepthook, threading.excepthook

    def hook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        cause = cause_under_monai(error)
        expected = isinstance(cause, (*OF_THE_USER, KeyboardInterrupt))
        if not expected or os.environ.get(DEBUG):
            previous(kind, error, traceback)
        if isinstance(cause, KeyboardInterrupt) and not os.environ.get("RANK", "0").strip("0"):
            print(f"monai-unet: {str(cause) or 'interrupted'}", file=sys.stderr)
        elif not isinstance(cause, KeyboardInterrupt) and (expected or cause is not error):
            print(f"monai-unet: error: {in_one_line(cause)}", file=sys.stderr)
        if expected:
            raise SystemExit(INTERRUPTED if isinstance(cause, KeyboardInterrupt) else FAILED)

    def in_thread(arguments: threading.ExceptHookArgs) -> None:
        # TensorBoard's thread keeps its error, and raises it where the next value is added
        if type(arguments.thread).__name__ != "_AsyncWriterThread" or os.environ.get(DEBUG):
            in_threads(arguments)

    sys.excepthook = hook
    threading.excepthook = in_thread


def _is_news(record: logging.LogRecord) -> bool:
    error = sys.exc_info()[1]
    said_last = error is not None and isinstance(cause_under_monai(error), (*OF_THE_USER, KeyboardInterrupt))
    message = record.getMessage()
    passes_by = "is terminating due to exception" in message or message.startswith("Exception: ")
    return not (said_last and passes_by) or bool(os.environ.get(DEBUG))
