"""Mean, deviation and percentiles of an image that is read block by block, in bounded memory.

The result depends on the pixels and the blocks alone: percentiles are exact, and sums are taken in the order of the
blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

import numpy as np

Blocks = Callable[[], Iterable[np.ndarray]]
"""Gives the pixels, (C, n) a block, anew at each call."""

Part = Callable[[np.ndarray], np.ndarray]

_BINS = 1 << 16
_PIECE = 1 << 20  # pixels that are in double precision at once


def moments(blocks: Blocks) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel.

    Args:
        blocks: read once; taken in single precision, as a network takes them, and added up in double precision.

    Returns:
        (C,) each, float64.

    Source: Chan, Golub, LeVeque: Updating formulae and a pairwise algorithm for computing sample variances, 1979.
    """
    count, mean, squares = 0, np.zeros(1), np.zeros(1)
    for block in blocks():
        for start in range(0, block.shape[1], _PIECE):
            piece = block[:, start : start + _PIECE].astype(np.float32).astype(np.float64)
            number, own = piece.shape[1], piece.mean(1)
            apart = own - mean
            squares = squares + ((piece - own[:, None]) ** 2).sum(1) + apart**2 * count * number / (count + number)
            mean = mean + apart * number / (count + number)
            count += number
    return mean, np.sqrt(squares / count)


def percentiles(blocks: Blocks, wanted: Sequence[float]) -> np.ndarray:
    """Percentiles of each channel, exact and with linear interpolation, as `numpy.percentile` has them.

    Args:
        blocks: read once where they are of 16 bits or fewer, else twice; taken in single precision.
        wanted: 0 to 100 each.

    Returns:
        (C, number of percentiles), float64.
    """
    (coarse,), dtype = _histograms(blocks, [_upper_half])
    count = int(coarse[0].sum())
    places = [(count - 1) * each / 100 for each in wanted]
    ranks = sorted({rank for place in places for rank in (int(place), min(int(place) + 1, count - 1))})
    values = _values_of_ranks(blocks, dtype, coarse, ranks)
    at = {rank: values[:, index] for index, rank in enumerate(ranks)}
    result = []
    for place in places:
        low, high = at[int(place)], at[min(int(place) + 1, count - 1)]
        result.append(low + (high - low) * (place - int(place)))
    return np.stack(result, axis=1)


def _values_of_ranks(blocks: Blocks, dtype: np.dtype, coarse: np.ndarray, ranks: Sequence[int]) -> np.ndarray:
    """The values at places of the sorted pixels, (C, number of ranks): a radix selection by halves of their keys."""
    sums = coarse.cumsum(1)
    upper = np.stack([np.searchsorted(each, ranks, side="right") for each in sums])  # (C, ranks)
    before = np.take_along_axis(np.pad(sums, ((0, 0), (1, 0))), upper, axis=1)
    keys = upper.astype(np.uint32) << 16
    if not _is_small(dtype):
        halves = np.unique(upper)  # few: two for each percentile and channel at most
        found, _ = _histograms(blocks, [partial(_lower_half, of=half) for half in halves])
        for half, fine in zip(halves, found, strict=True):
            for channel, index in np.argwhere(upper == half):
                wanted = ranks[index] - before[channel, index]
                keys[channel, index] += np.searchsorted(fine[channel].cumsum(), wanted, side="right").astype(np.uint32)
    return _of_keys(keys, dtype)


def _histograms(blocks: Blocks, parts: Sequence[Part]) -> tuple[list[np.ndarray], np.dtype]:
    """How often each number below 65,536 occurs in each of the parts of the keys, (C, 65536); and the pixels' type."""
    totals: list[np.ndarray] = []
    for block in blocks():
        totals = totals or [np.zeros((len(block), _BINS), np.int64) for _ in parts]
        for start in range(0, block.shape[1], _PIECE):
            for channel, values in enumerate(block[:, start : start + _PIECE]):
                keys = _keys(values)
                for total, part in zip(totals, parts, strict=True):
                    total[channel] += np.bincount(part(keys), minlength=_BINS)
    return totals, block.dtype


def _upper_half(keys: np.ndarray) -> np.ndarray:
    return keys >> 16


def _lower_half(keys: np.ndarray, of: int) -> np.ndarray:
    """The lower 16 bits of the keys with that upper half."""
    return keys[keys >> 16 == of] & 0xFFFF


def _is_small(dtype: np.dtype) -> bool:
    return dtype.kind in "ui" and dtype.itemsize <= 2


def _keys(values: np.ndarray) -> np.ndarray:
    """Whole numbers, uint32, that have the order of the values; of 16 bits and fewer the lower half is 0."""
    if _is_small(values.dtype):
        return (values.astype(np.int64) - np.iinfo(values.dtype).min).astype(np.uint32) << 16
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return np.where(bits >> 31 == 1, ~bits, bits | np.uint32(1 << 31))


def _of_keys(keys: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if _is_small(dtype):
        return (keys >> 16).astype(np.float64) + np.iinfo(dtype).min
    bits = np.where(keys >> 31 == 1, keys & np.uint32((1 << 31) - 1), ~keys).astype(np.uint32)
    return bits.view(np.float32).astype(np.float64)
