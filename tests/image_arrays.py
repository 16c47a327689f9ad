"""Arrays that the tests of readers write and read again."""

import numpy as np

RGB = np.random.default_rng(1).integers(0, 255, (2, 20, 33, 3), np.uint8)


def whole(source):
    return tuple(slice(0, size) for size in source.info.shape)


def stack(shape, dtype, seed=0):
    random = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return random.random(shape).astype(dtype)
    return random.integers(0, np.iinfo(dtype).max, shape, dtype)
