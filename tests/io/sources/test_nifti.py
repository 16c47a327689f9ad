"""What is NIfTI's own; what every reader promises is in test_source.py."""

import gzip
import shutil
import tempfile
from collections import namedtuple

import nibabel
import numpy as np
import pytest
import SimpleITK
from image_arrays import stack, whole

from monai_unet.io import open_source


def test_a_packed_nifti_is_unpacked_once_and_not_when_it_is_opened(tmp_path, monkeypatch):
    nibabel.save(nibabel.Nifti1Image(stack((30, 20, 4), np.uint8), np.eye(4)), tmp_path / "a.nii.gz")
    opened = []
    real = gzip.open
    monkeypatch.setattr("monai_unet.io.sources.nifti.gzip.open", lambda path: opened.append(path) or real(path))
    source = open_source(tmp_path / "a.nii.gz")
    assert opened == []
    for _ in range(3):
        source.read(whole(source))
    assert len(opened) == 1


def test_a_nifti_has_affine_spacing_and_unit(tmp_path):
    affine = np.array([[0.0, -4, 0, 10], [4, 0, 0, 20], [0, 0, 50, 30], [0, 0, 0, 1]])
    image = nibabel.Nifti1Image(stack((9, 8, 3), np.uint8), affine)
    image.header.set_xyzt_units("micron")
    nibabel.save(image, tmp_path / "a.nii.gz")
    info = open_source(tmp_path / "a.nii.gz").info
    assert np.array_equal(info.affine, affine)
    assert (info.shape, info.spacing, info.unit) == ((3, 8, 9), (50.0, 4.0, 4.0), "micrometer")


def test_a_nifti_with_a_slope_is_read_in_its_units(tmp_path):
    image = nibabel.Nifti1Image(stack((9, 8, 3), np.int16), np.eye(4))
    image.header.set_slope_inter(0.5, 3)
    nibabel.save(image, tmp_path / "a.nii")
    source = open_source(tmp_path / "a.nii")
    assert source.info.dtype.kind == "f"
    assert np.array_equal(source.read(whole(source))[0].T, nibabel.load(tmp_path / "a.nii").get_fdata())


def packed(path, array, change=lambda content: content, **fields):
    """A .nii.gz whose unpacked bytes were changed, or fields of its header."""
    image = nibabel.Nifti1Image(array.T, np.eye(4))
    nibabel.save(image, path)
    content = bytearray(gzip.decompress(path.read_bytes()))
    header = np.frombuffer(content[:348], image.header.template_dtype).copy()
    for name, value in fields.items():
        header[name] = value
    content[:348] = header.tobytes()
    path.write_bytes(gzip.compress(change(bytes(content))))
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content + bytes(1), r"goes on behind the 41824 bytes that its header describes"),
        (lambda content: content[:-1], r"cut off: 41823 bytes of 41824 when unpacked"),
    ],
)
def test_a_packed_nifti_has_the_size_that_its_header_gives(tmp_path, change, message):
    source = open_source(packed(tmp_path / "a.nii.gz", stack((9, 64, 72), np.uint8), change))
    with pytest.raises(ValueError, match=rf"a.nii.gz cannot be read at .*{message}"):
        source.read(whole(source))


def test_no_more_is_unpacked_than_the_header_describes(tmp_path, monkeypatch):
    source = open_source(packed(tmp_path / "a.nii.gz", stack((3, 8, 9), np.uint8), lambda it: it + bytes(50_000_000)))
    files, real = [], tempfile.TemporaryFile
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: files.append(real()) or files[-1])
    with pytest.raises(ValueError, match="goes on behind"):
        source.read(whole(source))
    assert [file.tell() for file in files] == [352 + 3 * 8 * 9]


def test_room_for_the_unpacked_image_is_looked_for_first(tmp_path, monkeypatch):
    source = open_source(packed(tmp_path / "a.nii.gz", stack((3, 8, 9), np.uint8)))
    disk = namedtuple("disk", "total used free")(10**9, 10**9, 500)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: disk)
    with pytest.raises(ValueError, match=r"takes 568 bytes, and the folder .* has 500 free; set TMPDIR"):
        source.read(whole(source))


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_header_that_describes_more_than_the_file_can_hold_is_refused_when_it_is_opened(tmp_path, name):
    path = packed(tmp_path / "a.nii.gz", stack((3, 8, 9), np.uint8), dim=[3, 30000, 30000, 30000, 1, 1, 1, 1])
    if name == "a.nii":
        (tmp_path / name).write_bytes(gzip.decompress(path.read_bytes()))
    with pytest.raises(ValueError, match=rf"{name} .*(describes|of) 27000000000352"):
        open_source(tmp_path / name)


@pytest.mark.parametrize("offset", [3e9, float("nan"), -352])
def test_pixels_that_begin_nowhere_are_refused(tmp_path, offset):
    with pytest.raises(ValueError, match="the pixels begin at byte"):
        open_source(packed(tmp_path / "a.nii.gz", stack((3, 8, 9), np.uint8), vox_offset=offset))


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "uint32", "float32", "float64"])
@pytest.mark.parametrize("scaling", [(1, 0), (2, 0), (0.5, 3), (1, -7)])
def test_the_type_is_known_before_a_pixel_is_read(tmp_path, dtype, scaling):
    image = nibabel.Nifti1Image(stack((9, 8, 3), dtype), np.eye(4))
    image.header.set_slope_inter(*scaling)
    nibabel.save(image, tmp_path / "a.nii")
    assert open_source(tmp_path / "a.nii").info.dtype == np.asarray(nibabel.load(tmp_path / "a.nii").dataobj).dtype


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("axes", [(2,), (1, 2), (2, 1), (1, 2, 1, 1)])
def test_the_fourth_or_the_fifth_axis_counts_the_channels(tmp_path, name, axes):
    array = stack((9, 8, 3, *axes), np.int16)
    nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), tmp_path / name)
    source = open_source(tmp_path / name)
    expected = array.reshape(9, 8, 3, 2).T
    assert (source.info.channels, source.info.shape) == (2, (3, 8, 9))
    assert np.array_equal(source.read(whole(source)), expected)
    box = (slice(1, 3), slice(2, 7), slice(3, 4))
    assert np.array_equal(source.read(box), expected[(slice(None), *box)])


def test_vector_pixels_that_itk_wrote_are_channels(tmp_path):
    array = stack((3, 8, 9, 2), np.int16)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(array, isVector=True), str(tmp_path / "a.nii"))
    source = open_source(tmp_path / "a.nii")
    assert np.array_equal(source.read(whole(source)), np.moveaxis(array, -1, 0))


@pytest.mark.parametrize("axes", [(2, 2), (1, 1, 2), (2, 1, 1, 2)])
def test_more_than_one_axis_beside_those_of_space_is_refused(tmp_path, axes):
    nibabel.save(nibabel.Nifti1Image(np.zeros((9, 8, 3, *axes), np.int16), np.eye(4)), tmp_path / "a.nii")
    with pytest.raises(ValueError, match=r"a\.nii .*expected .*save each volume in its own file"):
        open_source(tmp_path / "a.nii")


RGB24 = [("R", "u1"), ("G", "u1"), ("B", "u1")]


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_nifti_in_colour_has_three_channels(tmp_path, name):
    pixels = stack((9, 8, 3, 3), np.uint8)
    nibabel.save(nibabel.Nifti1Image(pixels.view(RGB24)[..., 0], np.eye(4)), tmp_path / name)
    source = open_source(tmp_path / name)
    assert (source.info.channels, source.info.dtype) == (3, np.uint8)
    assert np.array_equal(source.read(whole(source)), pixels.T)
    box = (slice(1, 3), slice(2, 7), slice(3, 4))
    assert np.array_equal(source.read(box), pixels.T[(slice(None), *box)])


def test_several_volumes_in_colour_and_transparency_are_refused(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.zeros((9, 8, 3, 2), RGB24), np.eye(4)), tmp_path / "a.nii")
    nibabel.save(nibabel.Nifti1Image(np.zeros((9, 8, 3), [*RGB24, ("A", "u1")]), np.eye(4)), tmp_path / "b.nii")
    with pytest.raises(ValueError, match="in colour; expected channels along one axis"):
        open_source(tmp_path / "a.nii")
    with pytest.raises(ValueError, match="expected whole or real numbers, or red, green and blue"):
        open_source(tmp_path / "b.nii")
