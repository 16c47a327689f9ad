"""A colour table is left aside in labels, and refused in images, wherever either is read."""

import numpy as np
import pytest
import tifffile

from monai_unet.data.sections import read_labelled_sections
from monai_unet.io.monai_files import StackReader
from monai_unet.recipes.survey import survey_folder

LABELS = np.zeros((40, 50), np.uint8)
LABELS[3:20, 4:30], LABELS[25:38, 20:45] = 1, 2
IMAGE = np.random.default_rng(0).integers(0, 255, (40, 50), np.uint8)
TABLE = np.random.default_rng(1).integers(0, 65535, (3, 256), np.uint16)
REFUSED = r"images.a\.tif is stored with a colour table"


def with_table(path, numbers):
    path.parent.mkdir(exist_ok=True)
    tifffile.imwrite(path, numbers, photometric="palette", colormap=TABLE)
    return path


@pytest.fixture
def image(tmp_path):
    (tmp_path / "images").mkdir()
    tifffile.imwrite(tmp_path / "images" / "a.tif", IMAGE)
    return tmp_path / "images" / "a.tif"


@pytest.fixture
def label(tmp_path):
    return with_table(tmp_path / "labels" / "a.tif", LABELS)


def test_training_reads_the_numbers_of_labels(image, label):
    (section,) = read_labelled_sections(image, label, instances=True)
    assert np.array_equal(section["cells"][0], LABELS)


def test_training_refuses_an_image(image, label):
    with_table(image, IMAGE)
    with pytest.raises(ValueError, match=REFUSED):
        read_labelled_sections(image, label, instances=True)


def test_a_survey_names_an_image_and_takes_labels(tmp_path, image, label):
    assert not any("colour table" in problem for problem in survey_folder(tmp_path).problems)
    with_table(image, IMAGE)
    assert "colour table" in "".join(survey_folder(tmp_path).problems)


def test_monais_loadimage_refuses_an_image(image):
    with_table(image, IMAGE)
    with pytest.raises(ValueError, match=REFUSED):
        StackReader().get_data(image)
