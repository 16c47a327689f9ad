"""What is Zarr's own; what every reader promises is in test_source.py."""

import json
import re
import shutil
import sys

import numpy as np
import pytest
from image_arrays import stack, whole

from monai_unet.io import open_source

try:
    import zarr
except ImportError:
    zarr = None

needs_zarr = pytest.mark.skipif(zarr is None, reason="zarr is not installed; it is for Python 3.11 and later")


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


PICTURE = stack((8, 9), np.uint8)


def ome_zarr(path, multiscale, pixels=PICTURE, zarr_format=2, **beside):
    """An OME-Zarr of one level, "0"; `beside` stands beside the multiscales."""
    group = zarr.create_group(path, zarr_format=zarr_format)
    group.create_array("0", data=pixels)
    image = {"multiscales": [{"datasets": [{"path": "0"}], **multiscale}], **beside}
    group.attrs.update({"ome": image} if zarr_format == 3 else image)
    return path


@needs_zarr
@pytest.mark.parametrize(
    ("multiscale", "shape"),
    [
        ({"version": "0.1"}, (1, 2, 3, 8, 9)),
        ({"version": "0.2"}, (1, 2, 3, 8, 9)),
        ({}, (1, 2, 3, 8, 9)),
        ({"version": "0.3", "axes": ["c", "z", "y", "x"]}, (2, 3, 8, 9)),
        ({"version": "0.3", "axes": ["t", "c", "z", "y", "x"]}, (1, 2, 3, 8, 9)),
        ({"axes": ["c", "z", "y", "x"]}, (2, 3, 8, 9)),
    ],
)
def test_an_ome_zarr_from_before_0_4_is_read(tmp_path, multiscale, shape):
    pixels = stack(shape, np.uint16)
    source = open_source(ome_zarr(tmp_path / "a.ome.zarr", multiscale, pixels))
    assert (source.info.spacing, source.info.unit) == (None, None)
    assert np.array_equal(source.read(whole(source)), pixels.reshape(2, 3, 8, 9))


@needs_zarr
@pytest.mark.parametrize(
    ("multiscale", "message"),
    [
        ({"version": "0.6", "axes": ["y", "x"]}, "it is an OME-Zarr 0.6; versions 0.1, .* 0.5 can be read"),
        ({"version": "0.9", "axes": ["y", "x"]}, "it is an OME-Zarr 0.9;"),
        ({"version": "0.3"}, r"its `axes` are None; an OME-Zarr 0.3 names each axis of its array of shape \(8, 9\)"),
        ({"version": "0.4"}, "its `axes` are None; an OME-Zarr 0.4 names each axis"),
        ({}, "its `axes` are None; an OME-Zarr names each axis"),
        ({"version": "0.2"}, r"an OME-Zarr 0.2 has the axes t, c, z, y and x; its array has the shape \(8, 9\)"),
        ({"version": "0.4", "axes": [{"type": "space"}] * 2}, "its `axes` are .*names each axis"),
        ({"version": "0.4", "axes": 5}, "its `axes` are 5;"),
        ({"version": "0.3", "axes": ["z", "y", "x"]}, r"names the axes \('z', 'y', 'x'\), .* the shape \(8, 9\)"),
        ({"version": "0.3", "axes": ["y", "y"]}, "names an axis twice"),
        ({"version": "0.3", "axes": ["row", "column"]}, "expected y and x"),
        ({"version": "0.3", "axes": ["y", "x"], "datasets": []}, "its `multiscales` name no array"),
        ({"version": "0.3", "axes": ["y", "x"], "datasets": [{"path": "1"}]}, "its array '1' is missing; it holds 0"),
    ],
)
def test_an_ome_zarr_of_another_version_or_without_its_axes_is_refused(tmp_path, multiscale, message):
    with pytest.raises(ValueError, match=rf"a.ome.zarr cannot be read as an image: .*{message}"):
        open_source(ome_zarr(tmp_path / "a.ome.zarr", multiscale))


@needs_zarr
def test_from_0_5_the_version_stands_beside_the_multiscales(tmp_path):
    axes = [{"name": axis, "type": "space"} for axis in "yx"]
    good = ome_zarr(tmp_path / "good.ome.zarr", {"axes": axes}, zarr_format=3, version="0.5")
    assert np.array_equal(open_source(good).read((slice(0, 1), slice(0, 8), slice(0, 9)))[0, 0], PICTURE)
    with pytest.raises(ValueError, match=r"it is an OME-Zarr 0\.6"):
        open_source(ome_zarr(tmp_path / "a.ome.zarr", {"axes": axes}, zarr_format=3, version="0.6"))


def with_scale(path, scale):
    transformation = {"coordinateTransformations": [{"type": "scale", "scale": scale}]}
    axes = [{"name": axis, "type": "space", "unit": "nanometer"} for axis in "yx"]
    return ome_zarr(path, {"version": "0.4", "axes": axes, "datasets": [{"path": "0", **transformation}]})


@needs_zarr
@pytest.mark.parametrize(
    ("scale", "spacing"),
    [([4.0, -2.0], (1.0, 4.0, 2.0)), ([4.0, 0], None), ([float("nan"), 2.0], None), ([4.0, float("inf")], None)],
)
def test_no_scale_that_is_not_above_0_is_passed_on(tmp_path, scale, spacing):
    assert open_source(with_scale(tmp_path / "a.ome.zarr", scale)).info.spacing == spacing


@needs_zarr
@pytest.mark.parametrize("scale", [2.0, "2", ["4", "2"], [2.0], [1.0, 2.0, 2.0], [[2.0, 2.0]], None, [True, True]])
def test_a_scale_that_is_not_a_number_per_axis_is_refused(tmp_path, scale):
    with pytest.raises(ValueError, match=r"a.ome.zarr .* its scale is .*; expected a number for each of the axes y, x"):
        open_source(with_scale(tmp_path / "a.ome.zarr", scale))


@needs_zarr
@pytest.mark.parametrize("separator", [".", "/"])
@pytest.mark.parametrize("inside", ["", "0"])
def test_chunks_that_are_not_called_as_the_metadata_says_are_not_taken_for_blank(tmp_path, separator, inside):
    ome_zarr(tmp_path / "a.zarr", {"version": "0.3", "axes": ["y", "x"]})
    shutil.rmtree(tmp_path / "a.zarr" / "0")
    naming = {"name": "v2", "separator": separator}
    array = zarr.create_array(
        tmp_path / "a.zarr" / "0", shape=(8, 9), chunks=(4, 5), dtype=np.uint8, zarr_format=2, chunk_key_encoding=naming
    )
    array[:] = PICTURE
    path = tmp_path / "a.zarr" / "0" if inside else tmp_path / "a.zarr"
    assert np.array_equal(open_source(path).read((slice(0, 1), slice(0, 8), slice(0, 9)))[0, 0], PICTURE)
    described = json.loads((tmp_path / "a.zarr" / "0" / ".zarray").read_text())
    if separator == "/":
        del described["dimension_separator"]
    else:
        described["dimension_separator"] = "/"
    (tmp_path / "a.zarr" / "0" / ".zarray").write_text(json.dumps(described))
    with pytest.raises(ValueError, match=rf'a.zarr.* set "dimension_separator" to "{re.escape(separator)}" there'):
        open_source(path)


def test_without_zarr_the_package_is_named(tmp_path, monkeypatch):
    (tmp_path / "a.zarr").mkdir()
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(ImportError, match=r"a.zarr: needs the package zarr 3, which is for Python 3.11"):
        open_source(tmp_path / "a.zarr")
