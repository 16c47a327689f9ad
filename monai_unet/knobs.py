"""The knobs of the bundles: `knobs.yaml` defines each once; here its value is checked."""

from __future__ import annotations

import math
import numbers
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from monai_unet.colours import parse_colours
from monai_unet.memory import parse_memory

_LEAST_MEMORY = 10**6  # bytes; below it there is no unit, or a wrong one


def devices() -> list[str]:
    """What a network can compute on here, as PyTorch names it; "cuda" and "cuda:0" are the same."""
    import torch  # slow to import

    found = ["cpu"]
    if torch.cuda.is_available():
        found += [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    return [*found, *(name for name in ("mps", "xpu") if getattr(torch, name).is_available())]


def _is_device(value: Any) -> bool:
    name = str(value)
    return name in devices() or f"{name}:0" in devices()


def _is_memory(value: Any) -> bool:
    try:
        return value == "free" or parse_memory(value) >= _LEAST_MEMORY
    except ValueError:
        return False


def _is_colours(value: Any) -> bool:
    try:
        return bool(parse_colours(value))
    except ValueError:
        return False


def _is_share(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, numbers.Integral) and 0 <= float(value) < 1


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_path(value: Any) -> bool:
    return _is_text(os.fspath(value)) if isinstance(value, str | os.PathLike) else False


_IS: dict[str, Callable[[Any], bool]] = {
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, numbers.Integral) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value),
    "share": _is_share,
    "string": _is_text,
    "path": _is_path,
    "folder": lambda value: _is_path(value) and not any(each.is_file() for each in (Path(value), *Path(value).parents)),
    "file": lambda value: _is_path(value) and Path(value).is_file(),
    "device": _is_device,
    "memory": _is_memory,
    "colours": _is_colours,
    "null": lambda value: value is None,
}
_IN_WORDS = {
    "boolean": "True or False",
    "integer": "a whole number",
    "number": "a number",
    "share": "a share below 1",
    "string": "text",
    "path": "a path",
    "folder": "the path of a folder",
    "file": "a file that exists",
    "device": "a device of this machine, as cpu or cuda:1",
    "memory": "an amount of memory of 1 MB or more, as 2GB or 500MB",
    "colours": 'the colour of each class, background first, as "background=0,0,0 tumour=255,0,0"',
    "null": "None",
}
_ITEMS = {"integers": "whole numbers", "numbers": "numbers", "strings": "texts", "booleans": "True or False"}


@dataclass(frozen=True)
class Knob:
    """A top-level name of the bundles' configs; the fields are those of `knobs.yaml`.

    Attributes:
        name: as in a config, and as an option of the commands.
        configs: that have it.
        default: where a recipe sets no other.
        acts_on: "place", "run", "network", "meaning", "data", "training", "augmentation", "validation" or "prediction".
        type: of its value; an "s" at its end makes it a list.
        resume: "fixed" when a run goes on only with the same value, else "free".
        why: one line.
        kinds: of targets that have it.
        defaults: of single configs, in place of `default`.
        limits: "least", "most", "above" and "below", of numbers and of each number in a list.
        choices: the values that are allowed; any when empty.
        fewest, most_items: how long a list is.
        distinct: whether no item of a list may be there twice.
        rising: whether each item of a list has to be above the one before.
        only_with: values of other knobs without which it does nothing.
        found: whether a training finds a value for its weights, which evaluation and inference take.
        unit, source: for a reader.
    """

    name: str
    configs: tuple[str, ...]
    default: Any
    acts_on: str
    type: str
    resume: str
    why: str
    kinds: tuple[str, ...] = ("masks", "cells", "classes", "restoration")
    defaults: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=dict)
    choices: tuple[str, ...] = ()
    fewest: int = 0
    most_items: int | None = None
    distinct: bool = False
    rising: bool = False
    only_with: dict[str, list[str]] = field(default_factory=dict)
    found: bool = False
    unit: str = ""
    source: str = ""

    def value_in(self, config: str) -> Any:
        """The default of a config, as "train"."""
        return self.defaults.get(config, self.default)

    @property
    def allowed(self) -> str:
        """The values that are allowed, in words."""
        types = self.type.split(" or ")
        if self.choices:
            return f"one of {', '.join(self.choices)}" + (" or None" if "null" in types else "")
        words = {"least": "at least", "most": "at most", "above": "above", "below": "below"}
        said = [_joined([self._in_words(name) for name in types])]
        said += [f"{words[name]} {limit}" for name, limit in self.limits.items()]
        said += ["none twice"] if self.distinct else []
        said += ["each above the one before"] if self.rising else []
        return ", ".join(said)

    def _in_words(self, name: str) -> str:
        if name not in _ITEMS:
            return _IN_WORDS[name]
        more = "" if self.fewest == self.most_items else "or more "
        return f"a list of {f'{self.fewest} {more}' if self.fewest else ''}{_ITEMS[name]}"

    def check(self, value: Any, name: str = "") -> None:
        """Refuse a value of the wrong type or out of range.

        Args:
            value: that was given.
            name: that it was given by, if not the knob's own.

        Raises:
            ValueError: with the name, the value and what is allowed.
        """
        if not self.allows(value):
            name = name or self.name
            why = f" ({self.why})" if self.why else ""
            raise ValueError(f"{name} {value!r}: expected {self.allowed}{self._hint(value, name)}{why}")

    def allows(self, value: Any) -> bool:
        """Whether it may have a value."""
        return any(self._fits_type(name, value) for name in self.type.split(" or "))

    def check_acts(self, config: Mapping[str, Any]) -> None:
        """Refuse to be given where it does nothing.

        Args:
            config: names and values, those that were given among them.

        Raises:
            ValueError: with the value of another knob that keeps it from acting.
        """
        for name, values in self.only_with.items():
            if name in config and config[name] not in values:
                raise ValueError(
                    f"{self.name} does nothing with {name} {config[name]}: leave it out, or give "
                    f"--{name} {' or '.join(values)}"
                )

    def _hint(self, value: Any, name: str) -> str:
        """How to write what was meant, where that can be told."""
        types = self.type.split(" or ")
        if "boolean" in types and str(value).lower() in ("false", "no", "off", "0", "true", "yes", "on", "1"):
            meant = str(value).lower() in ("true", "yes", "on", "1")
            return f"; write --{name} {meant}"
        if "device" in types:
            return f"; here are {', '.join(devices())}" if len(devices()) > 1 else "; here is cpu alone"
        if isinstance(value, str) and (items := self._items_in(value)):
            return f'; write --{name} "[{",".join(items)}]"'
        return ""

    def _items_in(self, text: str) -> list[str]:
        """The items of a list that was written without its brackets; none where they are of another type."""
        items = text.replace(",", " ").split()
        try:
            numbers_in_it = [float(item) if "." in item else int(item) for item in items]
        except ValueError:
            numbers_in_it = []
        return items if self.allows(items) or self.allows(numbers_in_it) else []

    def _fits_type(self, name: str, value: Any) -> bool:
        if name == "null":
            return value is None
        if name in _IS:
            return _IS[name](value) and self._is_allowed(value)
        if not isinstance(value, Sequence) or isinstance(value, str):
            return False
        if not all(_IS[name[:-1]](item) and self._is_allowed(item) for item in value):
            return False
        too_many = self.most_items is not None and len(value) > self.most_items
        twice = self.distinct and len(set(value)) < len(value)
        falls = self.rising and any(one >= other for one, other in pairwise(value))
        return not (len(value) < self.fewest or too_many or twice or falls)

    def _is_allowed(self, value: Any) -> bool:
        if self.choices:
            return value in self.choices
        if not isinstance(value, numbers.Real):
            return True
        low, high = self.limits.get("least", -math.inf), self.limits.get("most", math.inf)
        above, below = self.limits.get("above", -math.inf), self.limits.get("below", math.inf)
        return low <= float(value) <= high and above < float(value) < below


@cache
def knobs() -> dict[str, Knob]:
    """All of them by name, in the order of `knobs.yaml`."""
    import yaml

    path = Path(__file__).with_name("knobs.yaml")
    defined: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {name: _knob(name, dict(fields)) for name, fields in defined.items()}


def _knob(name: str, fields: dict[str, Any]) -> Knob:
    configs = tuple(fields.pop("in").split())
    acts_on = fields.pop("for")
    defaults: dict[str, Any] = {
        config: fields.pop(config) for config in ("train", "evaluate", "inference") if config in fields
    }
    limits: dict[str, float] = {
        limit: fields.pop(limit) for limit in ("least", "most", "above", "below") if limit in fields
    }
    for words in ("kinds", "choices"):
        if words in fields:
            fields[words] = tuple(fields[words].split() if isinstance(fields[words], str) else fields[words])
    return Knob(name, configs, acts_on=acts_on, defaults=defaults, limits=limits, **fields)


def _joined(words: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def nearest(name: str, names: list[str] | tuple[str, ...]) -> str:
    """A hint at the name that was meant, to end an error; empty when none is near."""
    found = get_close_matches(name.replace("-", "_"), names, n=1, cutoff=0.6)
    return f"; did you mean {found[0]}?" if found else ""
