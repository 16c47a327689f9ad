"""The knobs of the bundles: `knobs.yaml` defines each once; here its value is checked."""

from __future__ import annotations

import numbers
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

_IS = {
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, numbers.Integral) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, numbers.Real) and not isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
    "null": lambda value: value is None,
}
_IN_WORDS = {"boolean": "True or False", "integer": "a whole number", "number": "a number", "string": "text"}
_IN_WORDS |= {f"{name}s": f"a list of {name.replace('integer', 'whole number')}s" for name in _IS} | {"null": "None"}


@dataclass(frozen=True)
class Knob:
    """A top-level name of the bundles' configs; the fields are those of `knobs.yaml`.

    Attributes:
        name: as in a config, and as an option of the commands.
        configs: that have it.
        default: where a recipe sets no other.
        acts_on: "place", "run", "network", "meaning", "data", "training", "augmentation", "validation" or "prediction".
        type: of its value.
        resume: "fixed" when a run goes on only with the same value, else "free".
        why: one line.
        kinds: of targets that have it.
        defaults: of single configs, in place of `default`.
        limits: "least", "most", "above" and "below", of numbers and of each number in a list.
        choices: the values that are allowed; any when empty.
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
    kinds: tuple[str, ...] = ("masks", "cells", "classes")
    defaults: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=dict)
    choices: tuple[str, ...] = ()
    found: bool = False
    unit: str = ""
    source: str = ""

    def value_in(self, config: str) -> Any:
        """The default of a config, as "train"."""
        return self.defaults.get(config, self.default)

    @property
    def allowed(self) -> str:
        """The values that are allowed, in words."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        types = " or ".join(_IN_WORDS[name] for name in self.type.split(" or "))
        words = {"least": "at least", "most": "at most", "above": "above", "below": "below"}
        return ", ".join([types, *(f"{words[name]} {limit:g}" for name, limit in self.limits.items())])

    def check(self, value: Any) -> None:
        """Refuse a value of the wrong type or out of range.

        Raises:
            ValueError: with the name, the value and what is allowed.
        """
        if not self._fits(value):
            raise ValueError(f"{self.name} {value!r}: expected {self.allowed} ({self.why})")

    def _fits(self, value: Any) -> bool:
        for name in self.type.split(" or "):
            if name in _IS:
                if _IS[name](value):
                    return self._is_allowed(value)
            elif isinstance(value, list | tuple) and all(_IS[name[:-1]](item) for item in value):
                return all(self._is_allowed(item) for item in value)
        return False

    def _is_allowed(self, value: Any) -> bool:
        if self.choices:
            return value in self.choices
        if not isinstance(value, int | float):
            return True
        low, high = self.limits.get("least", -float("inf")), self.limits.get("most", float("inf"))
        above, below = self.limits.get("above", -float("inf")), self.limits.get("below", float("inf"))
        return low <= value <= high and above < value < below


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


def nearest(name: str, names: list[str] | tuple[str, ...]) -> str:
    """A hint at the name that was meant, to end an error; empty when none is near."""
    found = get_close_matches(name.replace("-", "_"), names, n=1, cutoff=0.6)
    return f"; did you mean {found[0]}?" if found else ""
