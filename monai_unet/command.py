"""The command that this process was started with, for pages that are read long after."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path


def quoted(word: str) -> str:
    """A word as a shell takes it; with double quotes around single ones, as lists of configs have them.

    Example:
        >>> print(quoted("['a.json','b.json']"))
        "['a.json','b.json']"
    """
    return f'"{word}"' if "'" in word and not set(word) & set('"$`\\!') else shlex.quote(word)


def command_line() -> str:
    """What was typed, as far as it was one of MONAI's or of this project's commands; else nothing.

    Example:
        >>> sys.argv = ["/usr/lib/python3/monai/bundle/__main__.py", "run", "evaluating"]
        >>> command_line()
        'python -m monai.bundle run evaluating'
    """
    program = Path(sys.argv[0] or "-")
    if program.stem == "monai-unet":
        return " ".join(["monai-unet", *map(quoted, sys.argv[1:])])
    for package in ("monai.bundle", "monai_unet.cli"):
        if program.parts[-3:] == (*package.split("."), "__main__.py"):
            return " ".join(["python", "-m", package, *map(quoted, sys.argv[1:])])
    return ""
