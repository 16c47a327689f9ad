import numpy as np
import pytest
from scipy import ndimage

from monai_unet.label.annotations import outlines, read_annotations, write_annotations


@pytest.fixture
def labels():
    """Blobs that touch each other and the border, of odd shape."""
    noise = ndimage.gaussian_filter(np.random.default_rng(0).random((40, 57)), 2)
    parts = ndimage.label(ndimage.binary_fill_holes(noise > np.median(noise)))[0]
    parts[:, 30:] = np.where(parts[:, 30:] > 0, parts[:, 30:] + 100, 0)  # cut in two, so that cells touch
    numbers = np.unique(parts)
    return np.searchsorted(numbers, parts).astype(np.uint16)


def test_polygons_drawn_again_are_the_objects(labels, tmp_path):
    found = outlines(labels)
    write_annotations(tmp_path / "a.xml", [("cell", corners) for _, corners in found])
    drawn = read_annotations(tmp_path / "a.xml", labels.shape)
    numbers = np.array([0] + [number for number, _ in found])
    assert np.array_equal(numbers[drawn], labels)


def test_x_is_the_column_and_a_pixel_reaches_from_its_corner_to_the_next():
    labels = np.zeros((5, 9), int)
    labels[1, 4:7] = 3
    [(number, corners)] = outlines(labels)
    assert number == 3
    assert corners.min(0).tolist() == [4, 1]
    assert corners.max(0).tolist() == [7, 2]


def test_small_objects_are_left_out():
    assert [number for number, _ in outlines(np.array([[1, 0, 2, 2]]), min_area=2)] == [2]


def test_classes_are_told_by_name_whatever_its_case(tmp_path):
    square = np.array([[0, 0], [2, 0], [2, 2], [0, 2]])
    write_annotations(tmp_path / "a.xml", [("Inside", square)])
    assert read_annotations(tmp_path / "a.xml", (3, 4), {"inside": 5}).tolist() == [[5, 5, 0, 0]] * 2 + [[0] * 4]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no xml", "is not an XML file of annotations"),
        ("<A></A>", "has no polygons"),
        ('<A><Annotation Name="dog">' + '<Coordinate X="1" Y="2"/>' * 3 + "</Annotation></A>", "'dog'; expected cell"),
    ],
)
def test_other_files_are_refused(tmp_path, text, message):
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_annotations(tmp_path / "a.xml", (3, 3), {"cell": 1})
