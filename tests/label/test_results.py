import nibabel
import numpy as np
import pytest
import torch

from monai_unet.io import read_stack
from monai_unet.label.results import label_image, result_type, write_result

AFFINE = np.array([[-3.9, 0.5, 0.1, 10], [0.4, 4.1, 0, -20], [0.2, 0, 50, 7], [0, 0, 0, 1.0]])
LABELS = np.arange(5 * 3 * 2, dtype=np.uint16).reshape(5, 3, 2) * 40  # (W, H, D)


@pytest.mark.parametrize("suffix", [".tif", ".tiff", ".nii", ".nii.gz"])
def test_labels_come_back_as_they_were(tmp_path, suffix):
    write_result(tmp_path / f"a{suffix}", LABELS, {"affine": AFFINE})
    assert np.array_equal(read_stack(tmp_path / f"a{suffix}"), LABELS.T)


@pytest.mark.parametrize("suffix", [".tif", ".png", ".nii.gz"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_picture_keeps_its_numbers_and_type(tmp_path, suffix, dtype):
    picture = (LABELS[..., 0] // 1000 if dtype == np.uint8 else LABELS[..., 0]).astype(dtype)
    write_result(tmp_path / f"a{suffix}", picture, {"affine": AFFINE})
    read = read_stack(tmp_path / f"a{suffix}")
    assert read.dtype == dtype
    assert np.array_equal(read[0], picture.T)


@pytest.mark.parametrize("shape", [(5, 3, 2), (5, 3, 1), (5, 3)])
def test_nifti_keeps_shape_and_affine(tmp_path, shape):
    write_result(tmp_path / "a.nii.gz", np.ones(shape, np.uint8), {"affine": AFFINE})
    image = nibabel.load(tmp_path / "a.nii.gz")
    assert image.shape == shape
    assert np.allclose(image.affine, AFFINE, atol=1e-6)


def test_a_png_of_several_sections_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"ask for .tif or .nii.gz"):
        write_result(tmp_path / "a.png", LABELS, {})


@pytest.mark.parametrize(
    ("suffix", "expected"), [(".v2.nii.gz", ".nii.gz"), (".TIF", ".tif"), (".gz", None), (".nrrd", None)]
)
def test_the_kind_is_the_last_ending(suffix, expected):
    assert result_type(suffix) == expected


def test_a_label_image_has_no_channel_and_whole_numbers_that_fit():
    labels = torch.tensor([[[0, 300], [7, 1]]], dtype=torch.int32)
    image = label_image(labels, np.uint16)
    assert image.dtype == torch.uint16
    assert image.tolist() == [[0, 300], [7, 1]]
    with pytest.raises(OverflowError, match="300"):
        label_image(labels, np.uint8)
