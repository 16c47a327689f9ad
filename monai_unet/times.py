"""Durations, as people say them."""

from __future__ import annotations

EVENING = 4 * 3600.0
"""Seconds that a training may take before a narrower network is proposed: from after supper until bed."""


def duration(seconds: float) -> str:
    """A time as people say it, with two digits or so.

    Example:
        >>> duration(44.6), duration(600), duration(4810), duration(2 * 86400 + 7300)
        ('45 s', '10 min', '1 h 20 min', '2 d 2 h')
    """
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    minutes = 5 * round(minutes / 5)
    if minutes < 24 * 60:
        return f"{minutes // 60} h" + (f" {minutes % 60} min" if minutes % 60 else "")
    hours = round(seconds / 3600)
    return f"{hours // 24} d" + (f" {hours % 24} h" if hours % 24 else "")
