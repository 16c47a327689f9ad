import nibabel
import nibabel.processing
import numpy as np
import pytest
import SimpleITK
import tifffile

from monai_unet.io import read_onto, read_stack

AFFINE = np.array([[0.4, 0.1, 0, 5], [-0.1, 0.4, 0, -7], [0, 0, 2, 3], [0, 0, 0, 1.0]])  # oblique
VOLUME = np.random.default_rng(0).integers(0, 99, (7, 9, 4)).astype(np.uint8)  # x, y, z


def write(path, array, affine, unit="mm"):
    image = nibabel.Nifti1Image(array, affine)
    image.header.set_xyzt_units(unit)
    nibabel.save(image, path)
    return path


@pytest.fixture
def image(tmp_path):
    return write(tmp_path / "image.nii.gz", VOLUME, AFFINE)


def test_the_same_affine_changes_nothing(tmp_path, image):
    label = write(tmp_path / "label.nii", VOLUME, AFFINE)
    assert np.array_equal(read_onto(label, image), VOLUME.T)


@pytest.mark.parametrize("codes", ["LPS", "RAI", "SAR", "PIR", "ILA"])
def test_turned_and_mirrored_axes_are_put_right(tmp_path, image, codes):
    to = nibabel.orientations.axcodes2ornt(codes)
    turned = nibabel.load(image).as_reoriented(nibabel.orientations.ornt_transform([[0, 1], [1, 1], [2, 1]], to))
    label = write(tmp_path / "label.nii", np.asarray(turned.dataobj), turned.affine)
    assert np.array_equal(read_onto(label, image), VOLUME.T)


def test_of_a_larger_volume_the_part_of_the_image_is_taken(tmp_path, image):
    larger = np.pad(VOLUME, ((2, 1), (0, 3), (1, 0)))
    moved = AFFINE.copy()
    moved[:3, 3] -= AFFINE[:3, :3] @ [2, 0, 1]
    label = write(tmp_path / "label.nii", larger, moved)
    assert np.array_equal(read_onto(label, image), VOLUME.T)


def test_the_part_is_that_of_nibabels_resampling(tmp_path, image):
    larger = np.random.default_rng(1).integers(0, 99, (12, 14, 9)).astype(np.uint8)
    turned = AFFINE @ np.array([[0, 1, 0, -2], [-1, 0, 0, 10], [0, 0, -1, 6], [0, 0, 0, 1.0]])
    label = write(tmp_path / "label.nii", larger, turned)
    expected = nibabel.processing.resample_from_to(nibabel.load(label), nibabel.load(image), order=0)
    assert np.array_equal(read_onto(label, image), np.asarray(expected.dataobj).T)


def test_rounding_is_no_difference(tmp_path, image):
    label = write(tmp_path / "label.nii", VOLUME, AFFINE.astype(np.float32) + np.float32(1e-5))
    assert np.array_equal(read_onto(label, image), VOLUME.T)


@pytest.mark.parametrize(
    "change",
    [
        np.array([[1, 0, 0, 20], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]),  # shifted beyond the image
        np.array([[1, 0, 0, 0.5], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]),  # by half a pixel
        np.diag([2.0, 2, 1, 1]),  # another pixel size
        np.array([[0.9, 0.1, 0, 0], [-0.1, 0.9, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]),  # another angle
    ],
)
def test_what_would_have_to_be_interpolated_is_refused(tmp_path, image, change):
    label = write(tmp_path / "label.nii", VOLUME, AFFINE @ change)
    with pytest.raises(ValueError, match=r"label.nii does not lie where .*image.nii.gz does: its affine is .* and the"):
        read_onto(label, image)


def test_the_refusal_has_both_affines(tmp_path, image):
    label = write(tmp_path / "label.nii", VOLUME, np.eye(4))
    with pytest.raises(ValueError, match=r"\[\[1.0, 0.0, 0.0, 0.0\], .*\[\[0.4, 0.1, 0.0, 5.0\]"):
        read_onto(label, image)


def test_a_label_in_another_unit_lies_where_it_does(tmp_path, image):
    label = write(tmp_path / "label.nii", VOLUME, np.diag([1000, 1000, 1000, 1]) @ AFFINE, "micron")
    assert np.array_equal(read_onto(label, image), VOLUME.T)


def test_a_metaimage_beside_a_nifti(tmp_path):
    picture = SimpleITK.GetImageFromArray(VOLUME.T)
    picture.SetSpacing((0.5, 0.5, 2))
    picture.SetOrigin((3, 4, 5))
    SimpleITK.WriteImage(picture, tmp_path / "image.mha")
    SimpleITK.WriteImage(SimpleITK.Flip(picture, (True, False, False), False), tmp_path / "label.nii.gz")
    assert np.array_equal(read_onto(tmp_path / "label.nii.gz", tmp_path / "image.mha"), VOLUME.T)


@pytest.mark.parametrize("shape", [(7, 9), (7, 9, 1)])
def test_a_single_section_is_as_thick_as_one_likes(tmp_path, shape):
    image = write(tmp_path / "image.nii", VOLUME[..., 0].reshape(shape), np.diag([0.5, 0.5, 1, 1]))
    label = write(tmp_path / "label.nii", VOLUME[..., 0].reshape(shape), np.diag([0.5, 0.5, 3, 1]))
    assert np.array_equal(read_onto(label, image), read_stack(image))


def test_of_files_without_a_place_the_shape_decides(tmp_path, image):
    tifffile.imwrite(tmp_path / "label.tif", VOLUME.T, photometric="minisblack")
    assert np.array_equal(read_onto(tmp_path / "label.tif", image), VOLUME.T)
    tifffile.imwrite(tmp_path / "cut.tif", VOLUME.T[1:], photometric="minisblack")
    with pytest.raises(ValueError, match=r"cut.tif has the shape \(3, 9, 7\) and .*image.nii.gz, .* \(4, 9, 7\)"):
        read_onto(tmp_path / "cut.tif", image)
