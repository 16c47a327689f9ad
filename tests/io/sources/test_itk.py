import numpy as np
import pytest
import SimpleITK
from image_arrays import stack, whole

from monai_unet.io import open_source, read_stack

STACK = np.arange(3 * 4 * 5, dtype=np.int16).reshape(3, 4, 5)


def oblique(array):
    image = SimpleITK.GetImageFromArray(array)
    image.SetSpacing((0.5, 0.7, 2.0))
    image.SetOrigin((10.0, -20.0, 30.0))
    image.SetDirection((0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1))
    return image


@pytest.mark.parametrize("suffix", ["mha", "nrrd"])
def test_spacing_is_in_array_order_and_millimetres(tmp_path, suffix):
    SimpleITK.WriteImage(oblique(STACK), str(tmp_path / f"a.{suffix}"))
    info = open_source(tmp_path / f"a.{suffix}").info
    assert info.spacing == (2.0, 0.7, 0.5)
    assert info.unit == "millimeter"


@pytest.mark.parametrize("suffix", ["mha", "nrrd"])
def test_the_affine_is_that_of_the_same_image_as_nifti(tmp_path, suffix):
    for name in (f"a.{suffix}", "a.nii"):
        SimpleITK.WriteImage(oblique(STACK), str(tmp_path / name))
    affines = [open_source(tmp_path / name).info.affine for name in (f"a.{suffix}", "a.nii")]
    assert np.allclose(*affines, atol=1e-5)


def test_a_picture_has_one_section(tmp_path):
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(STACK[0]), str(tmp_path / "a.mha"))
    assert open_source(tmp_path / "a.mha").info.ndim == 2
    assert np.array_equal(read_stack(tmp_path / "a.mha"), STACK[:1])


@pytest.mark.parametrize("suffix", ["mha", "mhd", "nrrd"])
@pytest.mark.parametrize("shape", [(3, 4, 5, 2), (3, 4, 5, 6), (4, 5, 3)])
def test_the_numbers_of_a_vector_pixel_are_channels(tmp_path, suffix, shape):
    array = stack(shape, np.int16)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(array, isVector=True), str(tmp_path / f"a.{suffix}"))
    source = open_source(tmp_path / f"a.{suffix}")
    expected = np.moveaxis(array.reshape(-1, *shape[-3:]), -1, 0)
    assert (source.info.channels, source.info.shape, source.info.dtype) == (shape[-1], expected.shape[1:], np.int16)
    assert np.array_equal(source.read(whole(source)), expected)
    box = (slice(0, 1), slice(1, 4), slice(2, 5))
    assert np.array_equal(source.read(box), expected[(slice(None), *box)])
    assert source.read((slice(0, 1), slice(1, 1), slice(2, 5))).shape == (shape[-1], 1, 0, 3)


def test_several_volumes_are_refused(tmp_path):
    image = SimpleITK.JoinSeries([SimpleITK.GetImageFromArray(STACK)] * 2)
    SimpleITK.WriteImage(image, str(tmp_path / "a.nrrd"))
    with pytest.raises(ValueError, match=r"a\.nrrd .* the shape \(2, 3, 4, 5\); expected one picture or volume"):
        open_source(tmp_path / "a.nrrd")
