"""What is NIfTI's own; what every reader promises is in test_source.py."""

import gzip

import nibabel
import numpy as np
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
