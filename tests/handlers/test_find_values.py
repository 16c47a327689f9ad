import numpy as np
import pytest
import torch
from ignite.engine import Engine

from monai_unet.handlers import FindValues
from monai_unet.handlers.find_values import find_values, scores_of
from monai_unet.io import found_value, read_found
from monai_unet.transforms import Decoding

CELLS = Decoding(("background", "cell"), objects=True)
MASKS = Decoding(("outside", "inside"))


def squares(inside, rim, number=12):
    """Cells of 6 x 6 pixels with a rim of 2 pixels, which is not of the cell, by their probabilities."""
    truth, probability = np.zeros((20, 20 * number), int), np.zeros((20, 20 * number))
    for index in range(number):
        column = 20 * index
        probability[5:15, column + 5 : column + 15] = rim
        probability[7:13, column + 7 : column + 13] = inside
        truth[7:13, column + 7 : column + 13] = index + 1
    return np.stack([1 - probability, probability]), truth


def test_a_threshold_by_which_all_cells_are_better_is_found():
    found, tried = find_values([squares(0.95, 0.65)], CELLS)
    assert found.threshold in (0.7, 0.8, 0.9)
    assert tried["threshold"]["0.5"] == pytest.approx(36 / 100)
    assert tried["threshold"]["0.8"] == 1


def test_where_no_value_is_better_the_recipes_stay():
    found, _ = find_values([squares(0.95, 0.05)], CELLS)
    assert found == CELLS


def test_a_few_cells_choose_nothing():
    found, tried = find_values([squares(0.95, 0.65, number=4)], CELLS)
    assert tried["threshold"]["0.8"] > tried["threshold"]["0.5"]
    assert found == CELLS


def test_a_gain_of_one_cell_among_many_is_no_reason():
    probability, truth = squares(0.95, 0.05)
    probability[:, 5:15, 5:15] = squares(0.95, 0.65, number=1)[0][:, 5:15, 5:15]
    found, _ = find_values([(probability, truth)], CELLS)
    assert found == CELLS


def test_depth_and_smallest_size_are_tried_where_they_count():
    decoding = Decoding(CELLS.classes, objects=True, separation="distance", min_size=10)
    probability, truth = squares(0.95, 0.05)
    three = np.stack([probability[0], probability[1] * 0.9, probability[1] * 0.1])
    assert list(find_values([(three, truth)], decoding)[1]) == ["threshold", "seed_depth", "min_size"]
    assert list(find_values([squares(0.95, 0.05)], CELLS)[1]) == ["threshold"]


def test_masks_are_scored_section_by_section():
    sections = [squares(0.95, 0.05), squares(0.95, 0.05)]
    assert scores_of(sections, MASKS).tolist() == [1, 1]


class Identity(torch.nn.Module):
    """Logits of the probability that the image is, times a weight."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, image):
        return torch.cat([torch.zeros_like(image), torch.logit(image.clamp(1e-3, 1 - 1e-3)) * self.weight], 1)


def test_it_keeps_what_it_finds_for_the_best_weights_and_leaves_the_network_as_it_was(tmp_path):
    probability, truth = squares(0.95, 0.65)
    sample = {"image": torch.tensor(probability[1:], dtype=torch.float32), "cells": truth[None]}
    network, path = Identity(), tmp_path / "model.pt"
    torch.save(network.state_dict(), path)
    network.weight.data.fill_(3.0)
    trainer = Engine(lambda engine, batch: None)
    inferer = lambda image, network: network(image)  # noqa: E731
    FindValues(path, network, inferer, [sample], CELLS, "frame 7").attach(trainer)
    trainer.run([0], max_epochs=1)
    assert found_value(path, "threshold", 0.5) in (0.7, 0.8, 0.9)
    assert read_found(path)["sections"] == "frame 7"
    assert network.weight.item() == 3
    assert network.training


def test_without_weights_there_is_nothing_to_find(tmp_path):
    trainer = Engine(lambda engine, batch: None)
    FindValues(tmp_path / "model.pt", Identity(), None, [], CELLS, "").attach(trainer)
    trainer.run([0], max_epochs=1)
    assert list(tmp_path.iterdir()) == []
