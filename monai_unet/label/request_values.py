"""What a request to the server may say: values are data, never code, and never the way to another file."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

_FORBIDDEN = re.compile(r"[$@%/\\:*?\"<>|\x00-\x1f\x7f]")
_CODE = re.compile(r"[$@%\x00-\x1f\x7f]")  # what begins an expression, a reference or a macro of MONAI's configs

Check = Callable[[Any], bool]


def check_name(what: str, value: str) -> str:
    """The value, when it can be the name of an image, a label, a tag or a file, and of nothing in another folder.

    Raises:
        ValueError: else.
    """
    if not 0 < len(value) <= 200 or value.startswith(".") or ".." in value or _FORBIDDEN.search(value):
        raise ValueError(
            f"{what} {value[:200]!r}: expected a name without separators, '..', a point at its beginning, control "
            'characters or any of $ @ % : * ? " < > |'
        )
    return value


def check_params(params: Any, models: Collection[str] = ()) -> None:
    """Refuse parameters of a prediction or training that are not known, or have values of another type or range.

    Args:
        params: name to value; of a training of several models, the name of each model to such a dictionary.
        models: that are served.

    Raises:
        ValueError: with the name, what was found and what is allowed.
    """
    if not isinstance(params, Mapping):
        raise ValueError(f"parameters {str(params)[:200]!r}: expected an object of names and values")
    for name, value in params.items():
        if name in models:
            check_params(value)
        elif name not in _RULES:
            raise ValueError(f"parameter {str(name)[:200]!r} is not known; expected {', '.join(_RULES)}")
        else:
            check, allowed = _RULES[name]
            if not check(value):
                raise ValueError(f"parameter {name} {str(value)[:200]!r}: expected {allowed}")


def _whole(least: int, most: int) -> tuple[Check, str]:
    return (
        lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= most,
        f"a whole number of {least} to {most}",
    )


def _number(least: float, below: float) -> tuple[Check, str]:
    return (
        lambda value: (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and math.isfinite(value)
            and least <= value < below
        ),
        f"a number from {least:g} to less than {below:g}",
    )


def _text(pattern: str, allowed: str) -> tuple[Check, str]:
    matches = re.compile(pattern).fullmatch
    return lambda value: isinstance(value, str) and bool(matches(value)), allowed


def _first_or_only(rule: tuple[Check, str]) -> tuple[Check, str]:
    """Of a text, or of a list of texts: clients send the whole list of choices back, of which the first one counts."""
    check, allowed = rule
    return lambda value: bool(value) and all(map(check, value)) if isinstance(value, list) else check(value), allowed


_BOOLEAN: tuple[Check, str] = (lambda value: isinstance(value, bool), "true or false")
_WORDS: tuple[Check, str] = (
    lambda value: isinstance(value, str) and len(value) <= 500 and not _CODE.search(value),
    "text without $, @, % and control characters",
)
_PIXELS: tuple[Check, str] = (
    lambda value: isinstance(value, list) and len(value) <= 3 and all(map(_whole(0, 10**9)[0], value)),
    "a list of up to three whole numbers, 0 or more",
)
_RULES: dict[str, tuple[Check, str]] = {
    "max_epochs": _whole(1, 100_000),
    "val_split": _number(-1, 1),
    "pretrained": _BOOLEAN,
    "train_batch_size": _whole(1, 1024),
    "val_batch_size": _whole(1, 1024),
    "dataset": _first_or_only(_text(r"[A-Za-z]{0,40}", "the name of a class")),
    "model_filename": _first_or_only(_text(r"[\w-][\w.-]{0,99}\.(pt|ts)", "a file in models/, as model.pt")),
    "device": _first_or_only(_text(r"[\w .:()\[\]-]{0,100}", "a device, as cpu or cuda:0")),
    "multi_gpu": _BOOLEAN,
    "gpus": _text(r"all|\d{1,3}(,\d{1,3})*", "all, or numbers as 0,1"),
    "run_id": _text(r"run|training", "run"),
    "tracking": (
        lambda value: (value[0] if isinstance(value, list) and value else value) in ("", "None", "none", None),
        "None: MLflow is not installed here",
    ),
    "tracking_uri": _WORDS,
    "tracking_experiment_name": _WORDS,
    "tracking_run_name": _WORDS,
    "result_extension": _text(r"\.(nii|nii\.gz|nrrd|tiff?|png)", ".nii, .nii.gz, .nrrd, .tif or .png"),
    "result_dtype": _text(r"u?int(8|16|32|64)|float32", "an integer type, as uint16"),
    "result_compress": _BOOLEAN,
    "restore_label_idx": _BOOLEAN,
    "largest_cc": _BOOLEAN,
    "save_label": _BOOLEAN,
    "label_tag": (lambda value: isinstance(value, str) and _is_name(value), "a name"),
    "output": _text(r"image|json|all|asap|dsa", "image, json, all, asap or dsa"),
    "level": _whole(0, 64),
    "location": _PIXELS,
    "size": _PIXELS,
    "tile_size": _PIXELS,
    "min_poly_area": _whole(0, 10**9),
    "max_workers": _whole(0, 64),
    "max_batch_size": _whole(0, 100_000),
    "timeout": _number(0, 86_401),
    "logging": _text(r"[A-Z]{1,10}", "a level, as INFO"),
    "name": _WORDS,
    "client_id": _WORDS,
}


def _is_name(value: str) -> bool:
    try:
        check_name("", value)
    except ValueError:
        return False
    return True
