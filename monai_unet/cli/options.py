"""What the commands share: how options are read, and which values they may have."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from monai_unet.errors import FAILED


def say(line: str) -> None:
    """Say what a command does, before it is silent for seconds: at once, also where the output goes to a file."""
    print(line, flush=True)


class Parser(argparse.ArgumentParser):
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


def overrides_of(others: Sequence[str], configs: str = "inference.json") -> dict[str, object]:
    """`--name value` pairs for a bundle's configs; a value is read as Python where it can be, as MONAI does."""
    given: dict[str, object] = {}
    words = iter(others)
    for word in words:
        option, equals, text = word.partition("=")
        value = text if equals else next(words, None)
        if not option.startswith("--") or value is None:
            raise ValueError(f"{word}: expected --NAME VALUE, a name of the bundle's {configs}")
        name = option[2:].replace("-", "_")
        given[name] = _as_python(value)
    return given


def _as_python(text: str) -> object:
    import ast

    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


@contextmanager
def with_the_cause(args: argparse.Namespace) -> Iterator[None]:
    """What a config of MONAI's ends with: what the user can put right as it is, without the errors around it.

    `--debug`, and `MONAI_UNET_DEBUG=1`, show the traceback, as with MONAI's own commands.
    """
    import os

    from monai_unet.errors import DEBUG, OF_THE_USER, cause_under_monai, in_one_line

    if getattr(args, "debug", False):
        os.environ[DEBUG] = "1"
    args.debug = bool(os.environ.get(DEBUG))
    try:
        yield
    except Exception as error:
        cause = cause_under_monai(error)
        if isinstance(cause, OF_THE_USER):
            raise ValueError(in_one_line(cause)) from error
        raise


def knob_type(name: str) -> Callable[[str], object]:
    """The type of an option whose values are those of a knob."""

    def read(text: str) -> object:
        from monai_unet.knobs import knobs

        return _checked(text, knobs()[name])

    return read


def whole_number(least: int, most: int | None = None) -> Callable[[str], object]:
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
