"""What is Zarr's own; what every reader promises is in test_source.py."""

import sys

import numpy as np
import pytest
from image_arrays import stack, whole

from monai_unet.io import open_source

try:
    import zarr
except ImportError:
    zarr = None

needs_zarr = pytest.mark.skipif(zarr is None, reason="zarr is not installed (extra `large`)")


@needs_zarr
@pytest.mark.parametrize(
    ("shape", "names", "expected", "channels", "ndim"),
    [
        ((8, 9), None, (1, 8, 9), 1, 2),
        ((2, 3, 8, 9), None, (3, 8, 9), 2, 3),
        ((3, 8, 9), ("c", "y", "x"), (1, 8, 9), 3, 2),
        ((8, 9, 3), ("y", "x", "c"), (1, 8, 9), 3, 2),
    ],
)
def test_the_axes_of_a_zarr_array_are_its_names_or_its_last_letters(tmp_path, shape, names, expected, channels, ndim):
    array = zarr.create_array(tmp_path / "a.zarr", shape=shape, dtype=np.uint8, dimension_names=names)
    array[...] = pixels = stack(shape, np.uint8)
    source = open_source(tmp_path / "a.zarr")
    assert (source.info.shape, source.info.channels, source.info.ndim) == (expected, channels, ndim)
    if names == ("y", "x", "c"):
        pixels = pixels.transpose(2, 0, 1)
    assert np.array_equal(source.read(whole(source)).ravel(), pixels.ravel())


@needs_zarr
def test_a_folder_named_zarr_and_a_group_without_image_are_refused(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    with pytest.raises(ValueError, match=r"a.zarr cannot be read"):
        open_source(tmp_path / "a.zarr")
    zarr.create_group(tmp_path / "b.zarr").create_array("raw", shape=(4, 4), dtype=np.uint8)
    with pytest.raises(ValueError, match=r"b.zarr .* it holds raw: name one of them"):
        open_source(tmp_path / "b.zarr")
    assert open_source(tmp_path / "b.zarr" / "raw").info.shape == (1, 4, 4)


def test_without_zarr_the_extra_is_named(tmp_path, monkeypatch):
    (tmp_path / "a.zarr").mkdir()
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(ImportError, match=r"a.zarr: needs the package zarr.*monai-unet\[large\]"):
        open_source(tmp_path / "a.zarr")
