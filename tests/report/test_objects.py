import doctest

import numpy as np

from monai_unet.report import CELL_COLOUR, OBJECT_COLOUR, Cell, by_size, objects, outlined, worst


def cells(*pairs):
    return [Cell("a", number, area, jaccard, "hit") for number, (area, jaccard) in enumerate(pairs, start=1)]


def test_scores_are_those_of_the_thirds_of_the_cells_by_area():
    parts = by_size(cells((10, 0.0), (500, 1.0), (30, 0.6), (20, 0.8), (400, 0.7), (600, 0.4)))
    assert [(part.smallest, part.largest, part.number, part.matched) for part in parts] == [
        (10, 20, 2, 1),
        (30, 400, 2, 2),
        (500, 600, 2, 2),
    ]
    assert np.allclose([part.seg for part in parts], [0.4, 0.65, 0.7])


def test_one_cell_is_one_part_and_no_cell_is_none():
    assert len(by_size(cells((10, 0.5)))) == 1
    assert by_size([]) == []


def test_the_worst_cells_have_the_lowest_jaccard_index_and_of_equal_ones_the_larger_comes_first():
    assert [cell.number for cell in worst(cells((10, 0.0), (50, 0.0), (30, 0.9), (20, 0.4)))] == [2, 1, 4]


def test_a_cell_is_shown_with_its_outline_and_those_of_objects_large_enough_to_see():
    truth, proposal = np.zeros((2, 60, 60), int)
    truth[20:40, 20:40] = 7
    proposal[25:45, 25:45] = 3
    picture = outlined(np.zeros((1, 60, 60)), truth, proposal, 7)
    assert min(picture.shape[:2]) >= 192
    assert (picture == CELL_COLOUR).all(2).any()
    assert (picture == OBJECT_COLOUR).all(2).any()


def test_a_cell_at_the_edge_is_shown_as_far_as_the_image_goes():
    truth = np.zeros((30, 40), int)
    truth[:5, :6] = 1
    assert outlined(np.zeros((1, 30, 40)), truth, truth, 1).shape[2] == 3


def test_the_example_in_the_docstring_runs():
    results = doctest.testmod(objects)
    assert results.attempted >= 2
    assert results.failed == 0
