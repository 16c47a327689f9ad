import doctest
import sys

import numpy as np
import pytest
from scipy import ndimage

from monai_unet.transforms import ObjectDistancesd, object_distances


def by_definition(cells):
    """Every pixel of a cell against every pixel that is not of it."""
    distances = np.zeros(cells.shape)
    places = np.argwhere(np.ones(cells.shape, bool))
    for place in places[cells[tuple(places.T)] > 0]:
        others = places[cells[tuple(places.T)] != cells[tuple(place)]]
        distances[tuple(place)] = np.sqrt(((others - place) ** 2).sum(1)).min()
    for number in np.unique(cells[cells > 0]):
        distances[cells == number] /= distances[cells == number].max()
    return distances


def cells_of(shape, seed):
    return ndimage.label(ndimage.gaussian_filter(np.random.default_rng(seed).random(shape), 1.5) > 0.5)[0]


@pytest.mark.parametrize("shape", [(23, 31), (7, 11, 12)])
def test_a_distance_is_that_to_anything_that_is_not_of_the_cell_as_a_share_of_the_cells_largest(shape):
    cells = cells_of(shape, 1)
    assert np.allclose(object_distances(cells), by_definition(cells), atol=1e-6)


def test_cells_that_touch_fall_towards_each_other():
    assert object_distances(np.array([[1, 1, 2, 2]])).tolist() == [[1, 0.5, 0.5, 1]]


def test_the_edge_of_the_image_is_not_a_border():
    assert object_distances(np.ones((4, 5), int)).tolist() == np.ones((4, 5)).tolist()
    assert object_distances(np.array([[3, 3, 0]])).tolist() == [[1, 0.5, 0]]


def test_the_transform_puts_the_distances_into_the_map_of_classes_and_leaves_the_cells():
    cells = cells_of((20, 21), 2)[None].astype(np.int32)
    sample = {"cells": cells, "label": (cells > 0).astype(np.float32)}
    result = ObjectDistancesd("cells")(sample)
    assert result["label"].dtype == np.float32
    assert np.allclose(result["label"][0], np.where(cells[0] > 0, 2 - object_distances(cells[0]), 0))
    assert result["cells"] is cells
    assert sample["label"].max() == 1


def test_the_example_in_the_docstring_runs():
    results = doctest.testmod(sys.modules[object_distances.__module__])
    assert results.attempted >= 1
    assert results.failed == 0
