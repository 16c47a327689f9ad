"""Values that a training found for its weights: kept in a file beside them, and taken in place of the recipe's."""

from __future__ import annotations

import itertools
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from monai_unet.io.atomic import written_aside
from monai_unet.io.fingerprint import fingerprint


def found_file(weights: str | Path) -> Path:
    """`model.found.json` for `model.pt`."""
    return Path(weights).with_suffix(".found.json")


def put_aside(weights: str | Path, name: str) -> Path:
    """Give a file of weights, and what was found for them, another name beside it: `name_1.pt` or the next free one.

    Returns:
        Where the weights are now.
    """
    weights = Path(weights)
    aside = next(path for n in itertools.count(1) if not (path := weights.with_name(f"{name}_{n}.pt")).exists())
    weights.replace(aside)
    if found_file(weights).is_file():
        found_file(weights).replace(found_file(aside))
    return aside


def write_found(weights: str | Path, found: dict[str, Any]) -> None:
    """Write what was found for the weights in a file; it does not count for other weights of the same name.

    Args:
        weights: the file of the weights.
        found: `values` by name, `score` and `sections` in words, and `tried`: for each name the mean score by value.
    """
    with written_aside(found_file(weights)) as temporary:
        temporary.write_text(json.dumps({"weights": fingerprint(weights), **found}, indent=2) + "\n", encoding="utf-8")


def read_found(weights: str | Path) -> dict[str, Any] | None:
    """What was found for the weights in a file; None where nothing was, or for other weights.

    Raises:
        ValueError: when the file of the found values is damaged.
    """
    path = found_file(weights)
    if not (path.is_file() and Path(weights).is_file()):
        return None
    return _read(str(path), str(weights), path.stat().st_mtime_ns, Path(weights).stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _read(path: str, weights: str, *changed: int) -> dict[str, Any] | None:
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        of_these_weights = found["weights"] == fingerprint(weights)
        return found if of_these_weights and isinstance(found["values"], dict) else None
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is damaged ({error}): delete it, and the recipe's values count, or evaluate again"
        ) from error


def found_value(weights: str | Path, name: str, default: Any) -> Any:
    """A value that was found for the weights, or else the recipe's.

    Args:
        weights: the file of the weights, there or not.
        name: as "threshold".
        default: the recipe's value.
    """
    found = read_found(weights)
    return default if found is None else found["values"].get(name, default)


def found_in_words(weights: str | Path) -> str:
    """What was found for the weights, with the scores of what was tried, for the report."""
    found = read_found(weights)
    if found is None:
        return "the recipe's; none were found for these weights"
    parts = [
        f"{name} {found['values'][name]:g} ({', '.join(f'{value}: {score:.3f}' for value, score in tried.items())})"
        for name, tried in found["tried"].items()
    ]
    return f"{'; '.join(parts)}; {found['score']} on {found['sections']}"
