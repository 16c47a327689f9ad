"""What is HDF5's own; what every reader promises is in test_base.py."""

import os
import sys

import numpy as np
import pytest
from image_arrays import stack, whole

from monai_unet.io import open_source, read_stack

h5py = pytest.importorskip("h5py", reason="needs the extra `formats`")
STACK = stack((3, 20, 33), np.uint16)


def write(path, name="raw", array=STACK, **attributes):
    with h5py.File(path, "a") as file:
        dataset = file.create_dataset(name, data=array)
        dataset.attrs.update(attributes)
    return path


@pytest.mark.parametrize("shape", [(20, 33), (3, 20, 33), (2, 3, 20, 33)])
def test_without_names_the_axes_are_channels_sections_rows_and_columns(tmp_path, shape):
    array = stack(shape, np.uint16)
    source = open_source(write(tmp_path / "a.h5", array=array))
    assert np.array_equal(source.read(whole(source)), array.reshape((1, 1, *shape)[-4:]))
    assert source.info.ndim == (2 if len(shape) == 2 else 3)


TAGS = '{"axes": [%s]}'


def tags(names, resolution=0):
    return TAGS % ", ".join(f'{{"key": "{name}", "typeFlags": 2, "resolution": {resolution}}}' for name in names)


@pytest.mark.parametrize(
    "named",
    [
        lambda names: {"axistags": tags(names)},
        lambda names: {"axes": names},
        lambda names: {"axes": list(names)},
        lambda names: {"DIMENSION_LABELS": np.array(list(names), h5py.string_dtype())},
    ],
)
@pytest.mark.parametrize("names", ["zyxc", "tzyxc", "cyx", "yxz", "zcyx"])
def test_names_of_axes_decide(tmp_path, named, names):
    sizes = {"t": 1, "c": 2, "z": 3, "y": 20, "x": 33}
    array = stack([sizes[name] for name in names], np.uint16)
    source = open_source(write(tmp_path / "a.h5", array=array, **named(names)))
    present = [axis for axis in "tczyx" if axis in names]
    expected = array.transpose([names.index(axis) for axis in present])
    expected = expected.reshape([sizes[axis] if axis in names else 1 for axis in "czyx"])
    assert np.array_equal(source.read(whole(source)), expected)
    box = (slice(0, 1), slice(3, 9), slice(30, 33))
    assert np.array_equal(source.read(box), expected[(slice(None), *box)])


@pytest.mark.parametrize(
    ("attributes", "spacing", "unit"),
    [
        ({"element_size_um": [0.5, 0.2, 0.1]}, (0.5, 0.2, 0.1), "micrometer"),
        ({"resolution": [40.0, 4.0, 3.0]}, (40.0, 4.0, 3.0), None),
        ({"resolution": [40, 4, 3], "unit": "nm"}, (40.0, 4.0, 3.0), "nanometer"),
        ({"resolution": [40, 4, 3], "units": ["nm", "nm", "nm"]}, (40.0, 4.0, 3.0), "nanometer"),
        ({"axistags": tags("zyx", 2)}, (2.0, 2.0, 2.0), None),
        ({"axistags": tags("zyx")}, None, None),
        ({}, None, None),
    ],
)
def test_the_size_of_a_pixel_is_read_as_programs_write_it(tmp_path, attributes, spacing, unit):
    info = open_source(write(tmp_path / "a.h5", **attributes)).info
    assert (info.spacing, info.unit) == (spacing, unit)


def test_an_offset_is_the_place_of_the_first_pixel(tmp_path):
    info = open_source(write(tmp_path / "a.h5", resolution=[40.0, 4.0, 4.0], offset=[1480.0, 3644.0, 3644.0])).info
    assert info.origin == (1480.0, 3644.0, 3644.0)


def test_of_several_datasets_the_path_names_one(tmp_path):
    write(tmp_path / "a.h5", "volumes/raw")
    write(tmp_path / "a.h5", "volumes/labels/ids", STACK // 2)
    assert np.array_equal(read_stack(tmp_path / "a.h5" / "volumes" / "labels" / "ids"), STACK // 2)
    for path in ("a.h5", "a.h5/volumes", "a.h5/none"):
        with pytest.raises(ValueError, match=r"/volumes/labels/ids \(3, 20, 33\), /volumes/raw \(3, 20, 33\)"):
            open_source(tmp_path / path)


def test_what_cannot_be_an_image_is_not_asked_about(tmp_path):
    write(tmp_path / "a.h5", "volumes/raw")
    for name, array in (("scale", np.zeros(3)), ("names", np.array([b"a"])), ("five", np.zeros((1, 2, 3, 4, 5)))):
        write(tmp_path / "a.h5", name, array)
    assert np.array_equal(read_stack(tmp_path / "a.h5"), STACK)


def test_a_file_without_an_image_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"a\.h5 .*holds no dataset of numbers with 2 to 4 axes"):
        open_source(write(tmp_path / "a.h5", array=np.zeros(3)))


def test_points_in_time_are_refused(tmp_path):
    with pytest.raises(ValueError, match="3 points in time; save each in an image of its own"):
        open_source(write(tmp_path / "a.h5", axes="tyx"))


def test_links_in_the_file_are_followed(tmp_path):
    write(tmp_path / "a.h5", "volumes/raw")
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["here"] = h5py.SoftLink("/volumes")
        file["round"] = h5py.SoftLink("/round")
    assert np.array_equal(read_stack(tmp_path / "a.h5" / "here" / "raw"), STACK)
    with pytest.raises(ValueError, match="a link that leads to itself"):
        open_source(tmp_path / "a.h5" / "round")


def test_links_to_other_files_are_refused(tmp_path):
    write(tmp_path / "b.h5")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["raw"] = h5py.ExternalLink("b.h5", "/raw")
        file["soft"] = h5py.SoftLink("/raw")
    for name in ("raw", "soft"):
        with pytest.raises(ValueError, match=r"a link to another file, b\.h5, which is not followed"):
            open_source(tmp_path / "a.h5" / name)
    with pytest.raises(ValueError, match="holds no dataset"):
        open_source(tmp_path / "a.h5")


def test_pixels_in_other_files_are_refused(tmp_path):
    write(tmp_path / "b.h5")
    layout = h5py.VirtualLayout(STACK.shape, STACK.dtype)
    layout[:] = h5py.VirtualSource(tmp_path / "b.h5", "raw", STACK.shape)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_virtual_dataset("raw", layout)
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file.create_dataset("raw", STACK.shape, STACK.dtype, external=[("/etc/passwd", 0, STACK.nbytes)])
    for name in ("a.h5", "c.h5"):
        with pytest.raises(ValueError, match=rf"{name} .*its pixels lie in other files"):
            open_source(tmp_path / name)


def test_a_small_file_that_describes_a_large_image_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("raw", (30000, 30000, 30000), np.uint8, chunks=(10, 100, 100))
    with pytest.raises(ValueError, match=r"describes an image of .*27000000000000 bytes, and 0 bytes are there"):
        open_source(tmp_path / "a.h5")


def test_a_chunk_that_would_fill_the_memory_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        shape, chunk = (3, 20, 33), (1, 30000, 30000)
        file.create_dataset("raw", shape, np.uint8, chunks=chunk, maxshape=(None, None, None), compression="gzip")
    with pytest.raises(ValueError, match=r"its chunks have the shape \(1, 30000, 30000\), .* damaged"):
        open_source(tmp_path / "a.h5")


def test_a_file_that_is_no_hdf5_is_refused(tmp_path):
    (tmp_path / "a.h5").write_bytes(b"no picture" * 99)
    with pytest.raises(ValueError, match=r"a\.h5 cannot be read as an image"):
        open_source(tmp_path / "a.h5")


def test_a_named_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "a.h5")
    with pytest.raises(ValueError, match=r"a\.h5 is not an ordinary file but a named pipe"):
        open_source(tmp_path / "a.h5" / "raw")


def test_a_folder_called_like_a_file_is_a_folder(tmp_path):
    (tmp_path / "a.h5").mkdir()
    np.save(tmp_path / "a.h5" / "b.npy", STACK)
    with pytest.raises(ValueError, match=r"b\.npy: unknown type"):
        open_source(tmp_path / "a.h5" / "b.npy")


def test_the_missing_package_is_named_with_the_file(tmp_path, monkeypatch):
    write(tmp_path / "a.h5")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r"a\.h5: HDF5 needs the package h5py: pip install 'monai-unet\[formats\]'"):
        open_source(tmp_path / "a.h5")
