"""Statistics of blocks against NumPy's on the whole."""

import numpy as np
import pytest

from monai_unet.io.streamed import moments, percentiles

WANTED = [0, 0.5, 50, 99.8, 100]


def in_blocks(pixels, size=37):
    return lambda: (pixels[:, start : start + size] for start in range(0, pixels.shape[1], size))


def grey(dtype, count=1000):
    rng = np.random.default_rng(0)
    values = rng.normal(0, 40, (2, count)) * np.array([[1], [3]])
    if np.dtype(dtype).kind == "u":
        values = np.abs(values) * (100 if np.dtype(dtype).itemsize > 1 else 1)
    return values.astype(dtype)


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float16", "float32", "float64"]
)
def test_percentiles_are_those_of_the_whole(dtype):
    pixels = np.clip(grey("float64"), *((-128, 127) if dtype == "int8" else (-1e9, 1e9))).astype(dtype)
    pixels = grey(dtype) if np.dtype(dtype).kind == "u" else pixels
    expected = np.percentile(pixels.astype(np.float32).astype(np.float64), WANTED, axis=1).T
    np.testing.assert_allclose(percentiles(in_blocks(pixels), WANTED), expected, rtol=1e-12)


def test_percentiles_of_numbers_far_apart_are_exact():
    pixels = np.array([[-1e30, -1e-30, -0.0, 1e-40, 1.0, np.float32(1) + np.finfo(np.float32).eps, 3e38]], np.float32)
    found = percentiles(in_blocks(pixels, 2), [0, 100 / 6 * 4, 100])
    assert found[0, 0] == np.float32(-1e30)
    assert found[0, 1] == pytest.approx(1.0, abs=1e-12)
    assert found[0, 2] == np.float32(3e38)


def test_percentiles_do_not_depend_on_the_blocks():
    pixels = grey("float32")
    one, other = (percentiles(in_blocks(pixels, size), WANTED) for size in (90, 1000))
    assert (one == other).all()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_moments_are_those_of_the_whole(dtype):
    pixels = grey(dtype)
    mean, std = moments(in_blocks(pixels))
    np.testing.assert_allclose(mean, pixels.mean(1, dtype=np.float64), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(std, pixels.std(1, dtype=np.float64), rtol=1e-12)


def test_moments_keep_a_small_deviation_on_a_large_offset():
    pixels = 60000 + np.random.default_rng(0).integers(0, 2, (1, 10_001)).astype(np.float32)
    assert moments(in_blocks(pixels))[1] == pytest.approx(pixels.astype(np.float64).std(), rel=1e-12)
