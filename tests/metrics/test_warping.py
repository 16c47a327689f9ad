import sys

import numpy as np
import pytest
from scipy import ndimage

from monai_unet.metrics import warping
from monai_unet.metrics.warping import num_splits_and_mergers, simple_points, warped_labels

BY_EDGE, BY_EDGE_OR_CORNER = ndimage.generate_binary_structure(2, 1), ndimage.generate_binary_structure(2, 2)
CLOCKWISE = [(0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0)]


def num_objects_and_gaps(image):
    edged = np.pad(image, 1)
    return ndimage.label(edged, BY_EDGE)[1], ndimage.label(~edged, BY_EDGE_OR_CORNER)[1]


@pytest.fixture(params=range(5))
def images(request):
    rng = np.random.default_rng(request.param)
    return [ndimage.gaussian_filter(rng.random((23, 31)), 1) > 0.5 for _ in range(2)]


def test_a_pixel_is_simple_where_flipping_it_keeps_objects_and_gaps_of_its_neighbourhood():
    for bits in range(256):
        ring = np.zeros((3, 3), bool)
        for place, (row, column) in enumerate(CLOCKWISE):
            ring[row, column] = bits >> place & 1
        objects = set(ndimage.label(ring, BY_EDGE)[0][BY_EDGE]) - {0}
        gaps_around = ~ring
        gaps_around[1, 1] = False
        num_gaps = ndimage.label(gaps_around, BY_EDGE_OR_CORNER)[1]
        assert simple_points()[bits] == (len(objects) == 1 and num_gaps == 1), bin(bits)


def test_a_simple_point_is_simple_from_both_sides():
    pytest.importorskip("numba")
    labels = np.array([[1, 1, 0], [1, 0, 0]], bool)
    grown = labels.copy()
    grown[1, 1] = True
    assert np.array_equal(warped_labels(labels, grown, np.ones((2, 3))), grown)
    assert np.array_equal(warped_labels(grown, labels, np.ones((2, 3))), labels)


def test_warping_keeps_the_numbers_of_objects_and_gaps(images):
    pytest.importorskip("numba")
    labels, target = images
    warped = warped_labels(labels, target, np.ones(labels.shape))
    assert num_objects_and_gaps(warped) == num_objects_and_gaps(labels)


def test_warping_flips_only_pixels_that_differ(images):
    pytest.importorskip("numba")
    labels, target = images
    warped = warped_labels(labels, target, np.ones(labels.shape))
    assert np.array_equal(warped[labels == target], target[labels == target])


def test_no_pixel_that_still_differs_is_simple(images):
    pytest.importorskip("numba")
    labels, target = images
    warped = warped_labels(labels, target, np.ones(labels.shape))
    for row, column in np.argwhere(warped != target):
        flipped = warped.copy()
        flipped[row, column] ^= True
        assert num_objects_and_gaps(flipped) != num_objects_and_gaps(warped)


def test_a_moved_border_warps_away():
    pytest.importorskip("numba")
    labels, target = np.zeros((2, 6, 9), bool)
    labels[1:4, 1:4], labels[1:4, 5:8] = True, True
    target[1:5, 1:3], target[1:5, 4:8] = True, True
    assert np.array_equal(warped_labels(labels, target, np.ones((6, 9))), target)


def test_the_most_certain_pixel_is_flipped_first():
    pytest.importorskip("numba")
    labels, target = np.ones((1, 4), bool), np.zeros((1, 4), bool)  # one pixel must stay, to keep the object
    assert warped_labels(labels, target, np.array([[0.4, 0.3, 0.1, 0.2]])).tolist() == [[False, False, True, False]]


def test_equally_certain_pixels_are_flipped_column_by_column():
    pytest.importorskip("numba")
    labels, target = np.ones((2, 2), bool), np.zeros((2, 2), bool)
    target[1, 0] = target[0, 1] = True  # the corner (0, 0) goes first; then (1, 1) would part the other two
    assert np.argwhere(warped_labels(labels, target, np.ones((2, 2))) != target).tolist() == [[1, 1]]
    labels = np.ones((2, 3), bool)
    target = np.array([[1, 0, 1], [1, 0, 1]], bool)
    assert np.argwhere(warped_labels(labels, target, np.ones((2, 3))) != target).tolist() == [[1, 1]]


def test_warping_leaves_its_inputs_alone(images):
    pytest.importorskip("numba")
    before = [image.copy() for image in images]
    warped_labels(*images, np.ones(images[0].shape))
    assert np.array_equal(images, before)


def test_splits_and_mergers_are_those_of_flipping_one_pixel_at_a_time(images):
    warped, target = images
    ids = ndimage.label(np.pad(warped, 1), BY_EDGE)[0]
    splits = mergers = 0
    for row, column in np.argwhere(warped != target):
        if warped[row, column]:
            flipped = warped.copy()
            flipped[row, column] = False
            splits += num_objects_and_gaps(flipped)[0] > num_objects_and_gaps(warped)[0]
        else:
            mergers += len(set(ids[row : row + 3, column : column + 3][BY_EDGE]) - {0}) > 1
    assert splits > 0
    assert mergers > 0
    assert num_splits_and_mergers(warped, target) == (splits, mergers)


def test_lone_pixels_holes_and_loops_are_no_splits_and_no_mergers():
    warped, target = np.zeros((2, 5, 9), bool)
    warped[:3, :3] = True
    warped[2, 8] = True  # an object that the target lacks
    target[:3, :3] = True
    target[1, 1] = False  # a hole
    target[4, 5] = True  # a new object
    assert num_splits_and_mergers(warped, target) == (0, 0)
    ring = np.pad(np.zeros((1, 2), bool), 1, constant_values=True)
    opened = ring.copy()
    opened[0, 1] = False
    assert num_splits_and_mergers(ring, opened) == (0, 0)
    assert num_splits_and_mergers(opened, ring) == (0, 0)


def test_the_compiled_loop_does_what_its_python_does(images, monkeypatch):
    pytest.importorskip("numba")
    compiled = warped_labels(*images, np.ones(images[0].shape))
    monkeypatch.setattr(warping, "_compiled_flips", lambda: warping._flip_simple_points)
    assert np.array_equal(warped_labels(*images, np.ones(images[0].shape)), compiled)


def test_without_numba_the_error_names_the_extra(images, monkeypatch):
    warping._compiled_flips.cache_clear()
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(ImportError, match="pip install numba"):
        warped_labels(*images, np.ones(images[0].shape))
