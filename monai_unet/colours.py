"""Which colour of a label image is which class, as people write it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

UNKNOWN = "ignore"
"""The name that a colour has whose pixels are not known."""

Colour = tuple[int, int, int]

_HIGHEST = 65535  # of a picture with 16 bits a colour
_EXAMPLE = '"background=0,0,0 tumour=255,0,0"'


def parse_colours(text: str) -> dict[str, Colour]:
    """The colours by the names of their classes, in the order in which they stand.

    Args:
        text: `name=red,green,blue` for each class, background first, with blanks between them; red, green and blue as
            the pixels have them, 0 to 255 in a picture of 8 bits a colour. "ignore" names pixels that are not known.

    Raises:
        ValueError: for text of another form, a name or a colour that is there twice, and fewer than two classes.

    Example:
        >>> parse_colours("background=0,0,0 tumour=255,0,0 ignore=255,255,255")
        {'background': (0, 0, 0), 'tumour': (255, 0, 0), 'ignore': (255, 255, 255)}
    """
    expected = f"expected name=red,green,blue for each class, background first, as {_EXAMPLE}"
    if not isinstance(text, str):
        raise ValueError(f"colours {text!r}: {expected}")
    colours: dict[str, Colour] = {}
    for part in re.sub(r"\s*([=,])\s*", r"\1", text).split():
        match = re.fullmatch(r"([\w-]+)=(\d{1,5}),(\d{1,5}),(\d{1,5})", part, re.ASCII)
        if match is None:
            raise ValueError(f"colours {text!r}: {part} is not understood; {expected}")
        name, colour = match[1], (int(match[2]), int(match[3]), int(match[4]))
        if max(colour) > _HIGHEST:
            raise ValueError(f"colours {text!r}: {part} goes beyond {_HIGHEST}; {expected}")
        if name in colours:
            raise ValueError(f"colours {text!r}: {name} is there twice; give each class one colour")
        other = next((each for each, taken in colours.items() if taken == colour), None)
        if other is not None:
            raise ValueError(f"colours {text!r}: {other} and {name} have one colour; {expected}")
        colours[name] = colour
    if len(class_names(colours)) < 2:
        raise ValueError(f"colours {text!r}: fewer than two classes; {expected}")
    return colours


def colours_text(colours: Mapping[str, Sequence[int]]) -> str:
    """The colours as `parse_colours` takes them."""
    return " ".join(f"{name}={in_numbers(colour)}" for name, colour in colours.items())


def in_numbers(colour: Sequence[int]) -> str:
    """A colour as "255,0,0"."""
    return ",".join(str(int(value)) for value in colour)


def class_names(colours: Iterable[str]) -> list[str]:
    """The names of the classes, without that of unknown pixels."""
    return [name for name in colours if name != UNKNOWN]


def colours_of_classes(text: str | None, classes: Sequence[str]) -> dict[str, Colour] | None:
    """The colours in the order of the classes, that of unknown pixels last; None of None.

    Raises:
        ValueError: when the colours are of other classes; and as `parse_colours`.

    Example:
        >>> list(colours_of_classes("b=1,1,1 ignore=9,9,9 a=0,0,0", ["a", "b"]))
        ['a', 'b', 'ignore']
    """
    if text is None:
        return None
    colours = parse_colours(text)
    named = class_names(colours)
    if sorted(named) != sorted(classes):
        raise ValueError(
            f"colours {text!r} are of {', '.join(named)}, and the classes are {', '.join(classes)}: name the same in "
            "both"
        )
    return {name: colours[name] for name in (*classes, UNKNOWN) if name in colours}
