"""What the C library does with memory that was freed; where that is not glibc, these functions do nothing.

By default glibc maps each large block by itself and unmaps it when it is freed, but moves that size up as it sees such
blocks freed (`man mallopt`), so neither of the two below can be relied upon without asking. Figures:
`docs/decisions/0004-large-blocks.md`.
"""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -3, -4, -8  # of malloc.h


def keep_freed_blocks() -> None:
    """Keep freed memory until the process ends: for training, where each iteration allocates the same.

    Given back, it would come page by page and zeroed in every iteration. One arena for all threads, as glibc unmaps the
    heaps of the others as soon as they are empty.
    """
    _mallopt({_ARENA_MAX: 1, _MMAP_MAX: 0, _TRIM_THRESHOLD: 2**31 - 1})


def give_freed_blocks_back() -> None:
    """Give large blocks back as they are freed: for tiles of many sizes, by many threads, that must fit a budget.

    Kept, they would lie in a heap for each thread and leave gaps.
    """
    _mallopt({_ARENA_MAX: 2, _MMAP_MAX: 65536, _MMAP_THRESHOLD: 4 << 20, _TRIM_THRESHOLD: 128 << 10})


def _mallopt(values: dict[int, int]) -> None:
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    for name, value in values.items():
        mallopt(name, value)
