import doctest
import sys

import numpy as np
import pytest
from scipy import ndimage

from monai_unet.transforms import ObjectBordersd, object_borders


def by_definition(cells, width):
    """Every pixel of a cell against every pixel that is not of it."""
    classes = np.zeros(cells.shape, np.uint8)
    places = np.argwhere(np.ones(cells.shape, bool))
    for place in places[cells[tuple(places.T)] > 0]:
        others = places[cells[tuple(places.T)] != cells[tuple(place)]]
        distance = np.sqrt(((others - place) ** 2).sum(1)).min(initial=np.inf)
        classes[tuple(place)] = 2 if distance <= width else 1
    return classes


def cells_of(shape, seed):
    return ndimage.label(ndimage.gaussian_filter(np.random.default_rng(seed).random(shape), 1.5) > 0.5)[0]


@pytest.mark.parametrize("shape", [(23, 31), (7, 11, 12)])
@pytest.mark.parametrize("width", [1, 2, 3])
def test_the_border_is_what_lies_near_anything_that_is_not_of_the_cell(shape, width):
    cells = cells_of(shape, 1)
    assert np.array_equal(object_borders(cells, width), by_definition(cells, width))


def test_cells_that_touch_have_a_border_between_them():
    assert object_borders(np.array([[1, 1, 1, 2, 2, 2]]), 1).tolist() == [[1, 1, 2, 2, 1, 1]]


def test_the_edge_of_the_image_is_not_a_border():
    assert object_borders(np.ones((4, 5), int), 2).tolist() == np.ones((4, 5)).tolist()
    assert object_borders(np.array([[3, 3, 3, 0]]), 1).tolist() == [[1, 1, 2, 0]]


def test_a_width_below_a_pixel_is_refused():
    with pytest.raises(ValueError, match="border 0: expected a width of 1 pixel or more"):
        object_borders(np.ones((4, 5), int), 0)


def test_the_transform_puts_the_borders_into_the_map_of_classes_and_leaves_the_cells():
    cells = cells_of((20, 21), 2)[None].astype(np.int32)
    sample = {"cells": cells, "label": (cells > 0).astype(np.float32)}
    result = ObjectBordersd("cells", width=2)(sample)
    assert result["label"].dtype == np.float32
    assert np.array_equal(result["label"][0], object_borders(cells[0], 2))
    assert result["cells"] is cells
    assert sample["label"].max() == 1


def test_the_example_in_the_docstring_runs():
    results = doctest.testmod(sys.modules[object_borders.__module__])
    assert results.attempted >= 1
    assert results.failed == 0
