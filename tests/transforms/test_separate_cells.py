import numpy as np
import torch

from monai_unet.transforms import SeparateCellsd, label_instances, separate_cells


def test_two_pixels_lie_between_cells_that_touched():
    assert separate_cells(np.array([[0, 1, 1, 1, 2, 2, 0]])).tolist() == [[0, 1, 1, 0, 0, 2, 0]]


def test_cells_that_touch_at_a_corner_part():
    assert separate_cells(np.array([[1, 1, 0], [1, 1, 0], [0, 0, 2]])).tolist() == [[1, 1, 0], [1, 0, 0], [0, 0, 0]]


def test_a_gap_of_background_is_left_as_it_is():
    cells = np.array([[1, 1, 0, 2, 2]], np.uint16)
    assert np.array_equal(separate_cells(cells), cells)


def test_separated_cells_are_the_components_of_their_foreground():
    cells = np.kron(np.arange(1, 13).reshape(3, 4), np.ones((9, 7), int))
    assert label_instances(separate_cells(cells) > 0).max() == 12


def test_the_type_stays_and_the_input_is_not_changed():
    cells = np.array([[1, 2]], np.uint8)
    assert separate_cells(cells).dtype == np.uint8
    assert cells.tolist() == [[1, 2]]


def test_what_a_cell_loses_is_background_in_the_map_of_classes():
    sample = {"cells": torch.tensor([[[1, 1, 2, 2]]], dtype=torch.int32), "label": torch.tensor([[[1.0, 1, 1, 1]]])}
    apart = SeparateCellsd(keys="cells")(sample)
    assert apart["label"].tolist() == [[[1, 0, 0, 1]]]
    assert apart["cells"].tolist() == [[[1, 0, 0, 2]]]
    assert apart["cells"].dtype == torch.int32
