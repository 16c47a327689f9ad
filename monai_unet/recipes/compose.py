"""Put a bundle's configs together: what all bundles share, what a kind of target adds, the values of one bundle.

`base/` has the wiring of each config, `kinds/` what masks, cells and maps of classes add to it, `values/` the shipped
bundles, and `knobs.yaml` the knobs with their defaults. In `base/` an entry that starts and ends with an underscore is
replaced:

- `_knobs_: CONFIG`: the knobs of that config with their values;
- `_model_: true`: the entries of `base/model.yaml`;
- `_fixed_knobs_: CONFIG`: a reference to each knob that a resumed run may not change;
- `_model_knobs_: CONFIG`: a reference to each knob that a prediction depends on;
- `_only_: [KIND, ...]`: the entry that has it is there for these kinds alone; `_value_` is the entry, if not a dict;
- `_each_class_: true`: the entry is there once for each class but the first, with its name for `{class}`.
"""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from monai_unet import __version__
from monai_unet.io import channel_names
from monai_unet.knobs import Knob, knobs
from monai_unet.transforms.restoration import channel_names as restored_names

CONFIGS = ("train", "evaluate", "inference", "multi_gpu_train", "paper", "metadata")
KINDS = ("masks", "cells", "classes", "restoration")
_HERE = Path(__file__).parent
_WIDTH = 120
_ABSENT = object()


@dataclass(frozen=True)
class Recipe:
    """What one bundle is made of, beside what all have in common.

    Attributes:
        kind: of its targets, one of `KINDS`.
        knobs: values of knobs, in every config that has them.
        changes: by config, values by their places, as "validate::handlers::SaveReport::title"; an entry of a list goes
            by its index or the last part of its `_target_`, and a place that ends with "::+" gets entries added.
    """

    kind: str
    knobs: Mapping[str, Any] = field(default_factory=dict)
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def with_changes(
        self, knobs: Mapping[str, Any], changes: Mapping[str, Mapping[str, Any]], kind: str | None = None
    ) -> Recipe:
        """The same with other values."""
        merged = {
            config: {**self.changes.get(config, {}), **changes.get(config, {})}
            for config in {**self.changes, **changes}
        }
        return Recipe(kind or self.kind, {**self.knobs, **knobs}, merged)


def names() -> list[str]:
    """The bundles that there are recipes of."""
    return sorted(path.stem for path in (_HERE / "values").glob("*.yaml"))


def shipped(name: str) -> Recipe:
    """The recipe of a bundle of the project.

    Raises:
        FileNotFoundError: when there is none of this name.
    """
    if name not in names():
        raise FileNotFoundError(f"there is no recipe {name}; there are {', '.join(names())}")
    values = dict(_read("values", name))
    changes = {config: values.pop(config) for config in CONFIGS if config in values}
    if "like" in values:
        return shipped(values["like"]).with_changes(values.get("knobs", {}), changes)
    return Recipe(values["kind"], values.get("knobs", {}), changes)


def compose(recipe: Recipe) -> dict[str, dict[str, Any]]:
    """The configs of a bundle by their names, as JSON has them.

    Raises:
        KeyError: when a change names a place that is not there.
        ValueError: when a knob has a value that it may not have, or there is no such knob.
    """
    kind = _read("kinds", recipe.kind)
    values = {**kind["knobs"], **recipe.knobs}
    check_values(values)
    configs = {}
    for name in CONFIGS:
        writer = _Writer(recipe.kind, values, kind.get("model", {}))
        config = writer.written(_read("base", name))
        for changes in (kind.get(name, {}), recipe.changes.get(name, {})):
            for place, value in changes.items():
                _set(config, place, writer.written(copy.deepcopy(value)))
        configs[name] = config
    _describe_tensors(configs)
    configs["metadata"]["required_packages_version"]["monai-unet"] = __version__
    configs["metadata"] = {name: value for name, value in configs["metadata"].items() if value is not None}
    train = configs["train"]
    configs["paper"] = {name: value for name, value in configs["paper"].items() if train.get(name, _ABSENT) != value}
    return configs


def check_values(values: Mapping[str, Any]) -> None:
    """Refuse what is no knob, and values that it may not have; expressions are checked when they are run.

    Raises:
        ValueError: naming the knob.
    """
    for name, value in values.items():
        if name not in knobs():
            raise ValueError(f"there is no knob {name}")
        if not (isinstance(value, str) and value.startswith(("$", "@"))):
            knobs()[name].check(value)


def dumps(config: Mapping[str, Any]) -> str:
    """A config as JSON for people: an entry on one line where it fits, and space around those that do not."""
    entries = [f"  {json.dumps(name)}: {_written(value, 2, len(name) + 6)}" for name, value in config.items()]
    text = "{\n" + entries[0]
    for above, entry in itertools.pairwise(entries):
        text += ",\n\n" if "\n" in above or "\n" in entry else ",\n"
        text += entry
    return text + "\n}\n"


@dataclass(frozen=True)
class _Writer:
    """Replaces the entries of `base/` that stand for others."""

    kind: str
    values: Mapping[str, Any]
    model: Mapping[str, Any]

    def written(self, node: Any) -> Any:
        if isinstance(node, list):
            return [each for item in node for each in self._entries(item)]
        if not isinstance(node, dict):
            return node
        if self.kind not in node.get("_only_", KINDS):
            return _ABSENT
        if "_value_" in node:
            return self.written(node["_value_"])
        config: dict[str, Any] = {}
        for name, value in node.items():
            if name == "_model_":
                model = self.written(_read("base", "model"))
                for place, change in self.model.items():
                    _set(model, place, change)
                config |= model
            elif name == "_knobs_":
                config |= {knob.name: self._value(knob, value) for knob in self._knobs(value)}
            elif name == "_fixed_knobs_":
                config |= {knob.name: f"@{knob.name}" for knob in self._knobs(value) if knob.resume == "fixed"}
            elif name == "_model_knobs_":
                of_model = (knob for knob in self._knobs(value) if knob.acts_on not in ("place", "run"))
                config |= {knob.name: f"@{knob.name}" for knob in of_model}
            elif name != "_only_" and (entry := self.written(value)) is not _ABSENT:
                config[name] = entry
        return config

    def _entries(self, item: Any) -> list[Any]:
        if isinstance(item, dict) and "_each_class_" in item:
            text = json.dumps({name: value for name, value in item.items() if name != "_each_class_"})
            return [
                json.loads(text.replace("{class}", name))
                for name in self.values.get("classes", knobs()["classes"].default)[1:]
            ]
        entry = self.written(item)
        return [] if entry is _ABSENT else [entry]

    def _knobs(self, config: str) -> Iterator[Knob]:
        return (knob for knob in knobs().values() if config in knob.configs and self.kind in knob.kinds)

    def _value(self, knob: Knob, config: str) -> Any:
        value = copy.deepcopy(self.values.get(knob.name, knob.value_in(config)))
        if knob.found and config != "train":
            return f"$io.found_value(@ckpt_path, {knob.name!r}, {value!r})"
        return value


@cache
def _read(folder: str, name: str) -> dict[str, Any]:
    import yaml

    return yaml.safe_load((_HERE / folder / f"{name}.yaml").read_text(encoding="utf-8"))


def _set(config: dict[str, Any], place: str, value: Any) -> None:
    if place in config:  # "validate::handlers" is a name of evaluate.json itself
        config[place] = value
        return
    outer, _, last = place.rpartition("::")
    at: Any = _find(config, outer) if outer else config
    if last == "+":
        at.extend(value)
    elif isinstance(at, list):
        at[_index(at, last)] = value
    else:
        at[last] = value


def _find(config: Any, place: str) -> Any:
    parts = place.split("::")
    for count in range(len(parts), 0, -1):  # the longest name first, for names with "::" in them
        name = "::".join(parts[:count])
        if isinstance(config, dict) and name in config:
            rest = "::".join(parts[count:])
            return _find(config[name], rest) if rest else config[name]
    if isinstance(config, list):
        inner, rest = config[_index(config, parts[0])], "::".join(parts[1:])
        return _find(inner, rest) if rest else inner
    raise KeyError(place)


def _index(entries: Sequence[Any], part: str) -> int:
    if part.isdecimal():
        return int(part)
    targets = [
        str(entry.get("_target_", "")).rpartition(".")[2] if isinstance(entry, dict) else "" for entry in entries
    ]
    if part not in targets:
        raise KeyError(part)
    return targets.index(part)


def _describe_tensors(configs: dict[str, dict[str, Any]]) -> None:
    """What follows from the knobs in the metadata's description of the network's input and output."""
    inference, tensors = configs["inference"], configs["metadata"]["network_data_format"]
    image, names = tensors["inputs"]["image"], channel_names(inference["channels"])
    image["value_range"] = _normalised_range(inference)
    image["num_channels"] = len(names)
    image["channel_def"] = {str(number): name for number, name in enumerate(names)}
    if "classes" in inference:
        channels = [*inference["classes"], *(["border"] if inference.get("separation") == "distance" else [])]
    else:
        channels = list(restored_names(inference["target_channels"]))
        mean, std = (
            inference[f"image_{each}" if "@" in str(inference[f"target_{each}"]) else f"target_{each}"]
            for each in ("mean", "std")
        )
        targets = inference["target_range"]
        limits = inference["value_range"] if targets == "@value_range" else targets
        means, stds = np.broadcast_arrays(np.atleast_1d(mean), std)
        low, high = ((limit - means) / stds for limit in limits)
        tensors["outputs"]["pred"]["value_range"] = [round(float(low.min()), 3), round(float(high.max()), 3)]
    tensors["outputs"]["pred"]["num_channels"] = len(channels)
    tensors["outputs"]["pred"]["channel_def"] = {str(n): name for n, name in enumerate(channels)}


def _normalised_range(inference: dict[str, Any]) -> list[float] | None:
    """Of the network's input; None where it depends on the image."""
    if inference.get("normalise", "dataset") != "dataset":
        return None
    low, high = inference["value_range"]
    means, stds = np.broadcast_arrays(np.atleast_1d(inference["image_mean"]), inference["image_std"])
    return [round(float(min((low - means) / stds)), 3), round(float(max((high - means) / stds)), 3)]


def _written(value: Any, indent: int, column: int) -> str:
    line = _line(value)
    if column + len(line) < _WIDTH or not isinstance(value, list | dict) or not value:
        return line
    inner = indent + 2
    if isinstance(value, list):
        entries = [_written(item, inner, inner) for item in value]
    else:
        entries = [
            f"{json.dumps(name)}: {_written(item, inner, inner + len(name) + 4)}" for name, item in value.items()
        ]
    opening, closing = "[]" if isinstance(value, list) else "{}"
    body = ",\n".join(" " * inner + entry for entry in entries)
    return f"{opening}\n{body}\n{' ' * indent}{closing}"


def _line(value: Any) -> str:
    if isinstance(value, dict) and value:
        return "{ " + ", ".join(f"{json.dumps(name)}: {_line(item)}" for name, item in value.items()) + " }"
    if isinstance(value, list):
        return f"[{', '.join(_line(item) for item in value)}]"
    return json.dumps(value, ensure_ascii=False)
