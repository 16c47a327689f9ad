"""What a bundle does first when MONAI runs it: find its folder, and refuse names and values that would do nothing.

MONAI adds any `--name value` to the config, whether something reads it or not, and hands the expressions of a config
nothing but the values that they name. So the workflow that runs is looked for among the callers.
"""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from monai.bundle import ConfigComponent, ConfigWorkflow, ReferenceResolver

from monai_unet.command import command_line  # noqa: F401 - a page of a bundle names it
from monai_unet.errors import OF_THE_USER, cause_under_monai, end_with_the_cause, in_one_line
from monai_unet.knobs import Knob, knobs, nearest
from monai_unet.shipped import check_copies

_RUNS = ("training", "evaluating", "inference", "predicting", "run")
_OF_MONAI = ("_meta_", "_target_", "_disabled_", "_requires_", "_desc_", "_mode_")


def bundle_root() -> str:
    """The folder of the bundle whose config runs, by the place of its (first) config file.

    A config file lies in `configs/` of its bundle or beside it, or is a link to such a file.

    Raises:
        ValueError: when no `ConfigWorkflow` of MONAI's runs the config, as with a bare `ConfigParser`.
    """
    workflow = _running_workflow()
    if workflow is None:
        raise ValueError("where the bundle lies is not known here: set `bundle_root` to its folder")
    return str(_root_of(workflow.config_root_path))


def begin() -> None:
    """Say which bundle and which weights are used, after all that was given has been checked.

    Without a workflow of MONAI's, nothing is known and nothing is said.

    Raises:
        ValueError: for a name that the config does not have, a name or place that nothing of this run reads, an
            argument that its class does not take, a knob with a wrong value, a run that the config does not have, a
            `bundle_root` that is another bundle, or a config that the bundle has in two versions.
    """
    end_with_the_cause()
    workflow = _running_workflow()
    if workflow is None:
        return
    parser, run = workflow.parser, str(workflow.run_id)
    config: dict[str, Any] = parser.get()
    here = _root_of(workflow.config_root_path)
    check_copies(here)
    if run not in config:
        runs = [name for name in _RUNS if name in config]
        raise ValueError(f"{run} is nothing that the config can run: there are {', '.join(runs)}{nearest(run, runs)}")
    check_config(
        config, bundle_configs(here), (workflow.init_id, run, workflow.final_id), run, parser.get_parsed_content
    )
    root = Path(parser.get_parsed_content("bundle_root"))
    if (root / "configs").is_dir() and root.resolve() != here.resolve():
        raise ValueError(
            f"bundle_root {root} is another bundle than the one of the config, {here}: run the configs in {root}, or "
            "leave bundle_root out"
        )
    if int(os.environ.get("RANK", 0)) == 0:  # of torchrun's processes the first
        place = "ckpt_path" if "ckpt_path" in config else "ckpt_dir"
        print(f"bundle {root}, weights {'' if place == 'ckpt_path' else 'in '}{parser.get_parsed_content(place)}")


def bundle_configs(root: Path) -> list[dict[str, Any]]:
    """The JSON configs of a bundle but its metadata, as they are on disk."""
    files = sorted((root / "configs" if (root / "configs").is_dir() else root).glob("*.json"))
    return [json.loads(file.read_text(encoding="utf-8")) for file in files if file.stem != "metadata"]


def check_config(
    config: Mapping[str, Any],
    written: Sequence[Mapping[str, Any]],
    starts: Sequence[str],
    command: str,
    resolve: Callable[[str], Any] | None = None,
) -> None:
    """Refuse what was given to a config and would do nothing, and knobs with values that they may not have.

    Args:
        config: as it is run.
        written: the bundle's configs as they are on disk; what differs from all of them was given.
        starts: names of the expressions that are run; what these do not lead to does nothing.
        command: what is run, for the messages.
        resolve: the value at a place of the config; without it, what expressions give is not checked.

    Raises:
        ValueError: see `begin`.
    """
    reached = _reached(config, starts)
    checked = {name: knob for name, knob in knobs().items() if name in config}  # by the place of a value
    for name, knob in checked.items():
        _check_written(knob, config[name], name)
    known = sorted({name for each in written for name in each if "::" not in name})
    nested = [_nested(each) for each in written]
    for place in _given(config, nested):
        if place == "bundle_root":  # `begin` looks at it
            continue
        if not any(each == place or each.startswith(f"{place}::") for each in reached):
            name = place.split("::")[0]
            if place in known or name != place:
                raise ValueError(f"{place} does nothing in {command}: leave it out")
            raise ValueError(
                f"{place} is not a name of the bundle's configs, and nothing reads it{nearest(name, known)}"
            )
        _check_argument(config, place)
        if (top := place.split("::")[0]) in knobs():  # of a list, the places of its items are given
            knobs()[top].check_acts(config)
        if place not in knobs() and (knob_there := _knob_at(place, nested)) is not None:
            checked[place] = knob_there
            _check_written(knob_there, _look_up(config, place)[1], place)
    if resolve is None:
        return
    for place, knob in checked.items():
        value = _look_up(config, place)[1]
        if _is_expression(value) and place in reached and not _is_known_later(place, value):
            knob.check(_resolved(place, value, resolve), place)


def _check_written(knob: Knob, value: Any, place: str) -> None:
    """Check a value that is no expression, as far as it can be written in a config: Python may give other ones."""
    if not _is_expression(value) and isinstance(value, str | int | float | list | tuple | dict | None):
        knob.check(value, place)


def _resolved(place: str, value: Any, resolve: Callable[[str], Any]) -> Any:
    try:
        return resolve(place)
    except Exception as error:  # an expression may fail by anything
        cause = cause_under_monai(error)
        if isinstance(cause, OF_THE_USER):
            raise
        raise ValueError(f"{place} {value!r}: {type(cause).__name__}: {in_one_line(cause)}") from error


def _knob_at(place: str, written: Sequence[Any]) -> Knob | None:
    """The knob whose value stands at a place in the configs on disk, where another one was given."""
    for each in written:
        value = _look_up(each, place)[1]
        if isinstance(value, str) and value.startswith("@") and value[1:] in knobs():
            return knobs()[value[1:]]
    return None


def _is_known_later(place: str, value: Any) -> bool:
    """Whether a value is only there when the processes of a training have found each other."""
    return place == "device" and "idist" in str(value)


def _running_workflow() -> ConfigWorkflow | None:
    frame = inspect.currentframe()
    while frame is not None:
        if isinstance(owner := frame.f_locals.get("self"), ConfigWorkflow):
            return owner
        frame = frame.f_back
    return None


def _root_of(folder: Path) -> Path:
    """The bundle's folder from the folder of its config file, which may lead there by links."""
    if folder.name == "configs":
        return folder.parent
    if (folder / "configs").is_dir():
        return folder
    linked = {file.resolve().parent for file in folder.glob("*.json") if file.is_symlink()}
    bundles = {place.parent for place in [folder.resolve(), *linked] if place.name == "configs"}
    if len(bundles) > 1:
        raise ValueError(f"{folder} has links to the configs of several bundles, {_listed(bundles)}: run one of those")
    return bundles.pop() if bundles else folder


def names_read(config: Mapping[str, Any], starts: Sequence[str], names: Iterable[str]) -> list[str]:
    """Those of the names, or places as "train::trainer", that the expressions at `starts` lead to."""
    reached = _reached(config, starts)
    places = {name: name.replace("#", "::") for name in names}
    return [
        name
        for name, place in places.items()
        if any(each == place or each.startswith(f"{place}::") for each in reached)
    ]


def _reached(config: Mapping[str, Any], starts: Sequence[str]) -> set[str]:
    """Every place that the expressions at `starts` lead to by references, with all that lies below it."""
    reached: set[str] = set()
    waiting = ["imports", *starts]
    while waiting:
        place = waiting.pop()
        found, node = _look_up(config, place)
        if place in reached or not found:
            continue
        reached.add(place)
        if isinstance(node, str):
            waiting += ReferenceResolver.match_refs_pattern(node)
        elif isinstance(node, Mapping):
            waiting += [f"{place}::{name}" for name in node]
        elif isinstance(node, list | tuple):
            waiting += [f"{place}::{index}" for index in range(len(node))]
    return reached


def _given(node: Any, written: Sequence[Any], place: str = "") -> Iterator[str]:
    """The places whose values no config on disk has."""
    if any(_same(node, each) for each in written):
        return
    if isinstance(node, Mapping):
        children: dict[Any, Any] = dict(node)
        alike: list[Any] = [each for each in written if isinstance(each, Mapping)]
    elif isinstance(node, list):
        children = dict(enumerate(node))
        alike = [each for each in written if isinstance(each, list) and len(each) == len(node)]
    else:
        children, alike = {}, []
    if not children or not alike:
        yield place
        return
    for name, value in children.items():
        if name in _OF_MONAI and name != "_target_":
            continue
        there = [each[name] for each in alike if isinstance(each, list) or name in each]
        yield from _given(value, there, f"{place}::{name}" if place else str(name))


def _same(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except (RuntimeError, ValueError):  # arrays and tensors, which no file has
        return False


def _check_argument(config: Mapping[str, Any], place: str) -> None:
    """Refuse an argument that the class or function it goes to does not take."""
    outer, _, name = place.rpartition("::")
    found, component = _look_up(config, outer)
    if not (found and isinstance(component, dict) and ConfigComponent.is_instantiable(component)) or name in _OF_MONAI:
        return
    target = ConfigComponent(component).resolve_module_name()
    if isinstance(target, str):
        from pydoc import locate

        target = locate(target)
    try:
        parameters = inspect.signature(target).parameters
    except (TypeError, ValueError):
        return
    if name not in parameters and all(each.kind is not each.VAR_KEYWORD for each in parameters.values()):
        raise ValueError(f"{place}: {component['_target_']} takes no {name}{nearest(name, list(parameters))}")


def _look_up(config: Any, place: str) -> tuple[bool, Any]:
    for part in place.split("::") if place else ():
        if isinstance(config, Mapping) and part in config:
            config = config[part]
        elif isinstance(config, list | tuple) and part.isdecimal() and int(part) < len(config):
            config = config[int(part)]
        else:
            return False, None
    return True, config


def _nested(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config with names as "validate::handlers" as what they stand for."""
    nested: dict[str, Any] = {}
    for name, value in config.items():
        *outer, last = name.split("::")
        at = nested
        for part in outer:
            at = at.setdefault(part, {})
        at[last] = value
    return nested


def _is_expression(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_is_expression(each) for each in value)
    return isinstance(value, str) and value.startswith(("$", "@"))


def _listed(paths: set[Path]) -> str:
    return ", ".join(sorted(map(str, paths)))
