import numpy as np
import pytest
import tifffile

from monai_unet.label.sections import ValidationSections


def unchanged(section):
    return section


@pytest.fixture
def files(tmp_path):
    for name, value in (("image", 9), ("label", 1)):
        tifffile.imwrite(tmp_path / f"{name}.tif", np.full((4, 5), value, np.uint8))
    return {"image": str(tmp_path / "image.tif"), "label": str(tmp_path / "label.tif")}


def test_other_files_are_taken_where_there_are_none(files):
    assert len(ValidationSections([], [files, files], transform=unchanged)) == 2
    assert len(ValidationSections([files], [files, files], transform=unchanged)) == 1
