"""Amounts of memory, as people say them."""

from __future__ import annotations

import re

_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def parse_memory(text: str | int) -> int:
    """Bytes of "2GB", "500MB" or a plain number; GB is 10**9, GiB is 2**30.

    Raises:
        ValueError: for what is no amount, and for less than a byte.

    Example:
        >>> parse_memory("1.5GB")
        1500000000
    """
    match = re.fullmatch(r"\s*(\d+\.?\d*|\.\d+)\s*([kMGT]?)(i?)B?\s*", str(text), re.IGNORECASE)
    power = "KMGT".find(match[2].upper()) + 1 if match and match[2] else 0
    number = int(float(match[1]) * (1024 if match[3] else 1000) ** power) if match else 0
    if not isinstance(text, str | int) or isinstance(text, bool) or number < 1:
        raise ValueError(f"memory {text!r}: expected an amount above 0, as 2GB or 500MB")
    return number


def memory_in_words(number: float) -> str:
    """Bytes with the unit that people would take, and rounded up, so that the amount is enough.

    Example:
        >>> memory_in_words(1_230_000)
        '1.3 MB'
    """
    power = 0
    while number >= 1000 and power < len(_UNITS) - 1:
        number /= 1000
        power += 1
    tenths = -(-number * 10 // 1)
    return f"{tenths / 10:g} {_UNITS[power]}" if power and tenths < 100 else f"{-(-number // 1):.0f} {_UNITS[power]}"
