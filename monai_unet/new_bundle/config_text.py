"""Change values of a JSON text and leave all else as it was written: order, lines and spaces."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

_WIDTH = 120
_DECODER = json.JSONDecoder()


def set_values(text: str, values: Mapping[str, Any]) -> str:
    """The text with other values.

    Args:
        text: a JSON object.
        values: by id, as MONAI writes it: "train::dataset::data"; an item of a list by its number or by the class that
            its "_target_" ends with, "train::handlers::SaveLast". A top-level name that is not there yet is put in
            front of the next one of `values` that is, or at the end; one below another at the end of that.

    Raises:
        KeyError: when the id lies below something that is not there.

    Example:
        >>> print(set_values('{ "a": 1, "b": [2, 3] }', {"b::0": {"c": None}}))
        { "a": 1, "b": [{ "c": null }, 3] }
    """
    for name, value in values.items():
        try:
            _, start, end = _find(text, name)
            text = text[:start] + _written(value, _indent(text, start), _column(text, start)) + text[end:]
        except KeyError:
            if "::" in name:
                parent, _, own = name.rpartition("::")
                _, start, end = _find(text, parent)
                text = set_values(text, {parent: {**json.loads(text[start:end]), own: value}})
            else:
                text = _insert(text, name, value, list(values)[list(values).index(name) + 1 :])
    return text


def remove(text: str, name: str) -> str:
    """The text without the value of an id, and without the line that it had for itself.

    Raises:
        KeyError: when it is not there.

    Example:
        >>> remove('{ "a": 1, "b": 2 }', "b")
        '{ "a": 1 }'
    """
    begin, _, end = _find(text, name)
    after = _skip(text, end)
    if text[after] == ",":
        return text[:begin] + text[_skip(text, after + 1) :]
    before = text[:begin].rstrip()
    return (before[:-1] if before.endswith(",") else before) + text[end:]


def has(text: str, name: str) -> bool:
    """Whether the id is there."""
    try:
        _find(text, name)
    except KeyError:
        return False
    return True


def _insert(text: str, name: str, value: Any, following: list[str]) -> str:
    for other in following:
        if has(text, other):
            at = _find(text, other)[0]
            indent = _indent(text, at)
            entry = f"{json.dumps(name)}: "
            return f"{text[:at]}{entry}{_written(value, indent, indent + len(entry))},\n{' ' * indent}{text[at:]}"
    *_, (_, _, _, end) = _items(text, _skip(text, 0))
    return f"{text[:end]},\n  {json.dumps(name)}: {_written(value, 2, len(name) + 6)}{text[end:]}"


def _find(text: str, name: str, start: int = 0) -> tuple[int, int, int]:
    """Where the entry of an id begins, where its value begins, and where both end."""
    for names, begin, value, end in _items(text, _skip(text, start)):
        if name in names:
            return begin, value, end
        for part in names:
            if name.startswith(f"{part}::") and text[value] in "[{":
                try:
                    return _find(text, name.removeprefix(f"{part}::"), value)
                except KeyError:
                    pass  # another name may begin alike: "validate" and "validate::handlers"
    raise KeyError(name)


def _items(text: str, start: int) -> Iterator[tuple[tuple[str, ...], int, int, int]]:
    """Of each entry of the object or list at `start`: its names, where it, its value and what follows begin."""
    at = _skip(text, start + 1)
    index = 0
    while text[at] not in "]}":
        begin = at
        names: tuple[str, ...] = (str(index),)
        if text[start] == "{":
            name, at = _DECODER.raw_decode(text, at)
            names, at = (name,), _skip(text, _skip(text, at) + 1)
        value, end = _DECODER.raw_decode(text, at)
        if text[start] == "[" and isinstance(value, dict) and "_target_" in value:
            names += (value["_target_"].rsplit(".", 1)[-1],)
        yield names, begin, at, end
        at = _skip(text, end)
        at = _skip(text, at + 1) if text[at] == "," else at
        index += 1


def _skip(text: str, at: int) -> int:
    while text[at].isspace():
        at += 1
    return at


def _column(text: str, at: int) -> int:
    return at - text.rfind("\n", 0, at) - 1


def _indent(text: str, at: int) -> int:
    """Spaces at the beginning of the line."""
    line = text[text.rfind("\n", 0, at) + 1 :]
    return len(line) - len(line.lstrip(" "))


def _written(value: Any, indent: int, column: int) -> str:
    """The value as the templates are written: on one line where it fits, else an entry a line."""
    line = _line(value)
    if column + len(line) < _WIDTH or not isinstance(value, list | dict) or not value:
        return line
    inner = indent + 2
    if isinstance(value, list):
        entries = [_written(item, inner, inner) for item in value]
    else:
        names = [f"{json.dumps(name)}: " for name in value]
        entries = [
            name + _written(item, inner, inner + len(name)) for name, item in zip(names, value.values(), strict=True)
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
