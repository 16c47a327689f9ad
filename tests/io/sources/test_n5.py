"""What is N5's own; what every reader promises is in test_base.py."""

import json
import sys

import numpy as np
import pytest
from image_arrays import stack, whole
from image_files import write_n5

from monai_unet.io import open_source, read_stack

STACK = stack((3, 20, 33), np.uint16)


@pytest.mark.parametrize("shape", [(20, 33), (3, 20, 33), (2, 3, 20, 33)])
def test_the_axes_of_n5_are_those_of_an_array_the_other_way_round(tmp_path, shape):
    array = stack(shape, np.uint16)
    source = open_source(write_n5(tmp_path / "a.n5", array))
    assert np.array_equal(source.read(whole(source)), array.reshape((1, 1, *shape)[-4:]))


def test_names_of_axes_decide(tmp_path):
    array = stack((3, 2, 20, 33), np.uint16)  # as Fiji has them: x, y, c, z
    source = open_source(write_n5(tmp_path / "a.n5", array, axes=["x", "y", "c", "z"]))
    assert np.array_equal(source.read(whole(source)), array.transpose(1, 0, 2, 3))


@pytest.mark.parametrize(
    ("attributes", "spacing", "unit"),
    [
        ({"resolution": [3.0, 4.0, 40.0], "units": ["nm", "nm", "nm"]}, (40.0, 4.0, 3.0), "nanometer"),
        ({"pixelResolution": {"unit": "um", "dimensions": [0.1, 0.2, 0.5]}}, (0.5, 0.2, 0.1), "micrometer"),
        ({}, None, None),
    ],
)
def test_the_size_of_a_pixel_is_in_array_order(tmp_path, attributes, spacing, unit):
    folder = write_n5(tmp_path / "a.n5", STACK)
    said = json.loads((folder / "attributes.json").read_text())
    (folder / "attributes.json").write_text(json.dumps({**said, **attributes}))
    info = open_source(folder).info
    assert (info.spacing, info.unit) == (spacing, unit)


def test_of_several_datasets_the_path_names_one(tmp_path):
    write_n5(tmp_path / "a.n5" / "volumes" / "raw", STACK)
    assert np.array_equal(read_stack(tmp_path / "a.n5"), STACK)
    write_n5(tmp_path / "a.n5" / "volumes" / "labels", STACK // 2)
    with pytest.raises(ValueError, match=r"2 datasets, volumes/labels, volumes/raw: name one, .*a\.n5/volumes/labels"):
        open_source(tmp_path / "a.n5")
    assert np.array_equal(read_stack(tmp_path / "a.n5" / "volumes" / "labels"), STACK // 2)


def test_of_a_pyramid_the_finest_level_is_read(tmp_path):
    for level, step in enumerate((1, 2)):
        write_n5(tmp_path / "a.n5" / "setup0" / f"s{level}", STACK[:, ::step, ::step])
    assert np.array_equal(read_stack(tmp_path / "a.n5"), STACK)


def test_a_folder_without_a_dataset_is_refused(tmp_path):
    pytest.importorskip("tensorstore")
    (tmp_path / "a.n5").mkdir()
    with pytest.raises(ValueError, match="there is no dataset in it"):
        open_source(tmp_path / "a.n5")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dimensions": [30000, 30000, 30000]}, "describes an image of"),
        ({"blockSize": [30000, 30000, 3]}, "its blocks have the size"),
        ({"blockSize": "x"}, "blockSize are 'x'; expected whole numbers"),
        ({"axes": ["x", "y"]}, "axes"),
    ],
)
def test_attributes_that_cannot_be_right_are_refused(tmp_path, change, message):
    folder = write_n5(tmp_path / "a.n5", STACK)
    said = json.loads((folder / "attributes.json").read_text())
    (folder / "attributes.json").write_text(json.dumps({**said, **change}))
    with pytest.raises(ValueError, match=rf"a\.n5 .*{message}"):
        open_source(folder)


def test_the_missing_package_is_named_with_what_else_works(tmp_path, monkeypatch):
    folder = write_n5(tmp_path / "a.n5", STACK)
    monkeypatch.setitem(sys.modules, "tensorstore", None)
    with pytest.raises(ImportError, match=r"a\.n5: N5 needs .*monai-unet\[formats\].* convert it to OME-Zarr"):
        open_source(folder)
