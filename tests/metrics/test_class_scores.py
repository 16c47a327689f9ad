import numpy as np
import pytest
import torch
from monai.metrics import DiceMetric, MeanIoU
from monai.networks.utils import one_hot

from monai_unet.metrics import ClassScoreMetric
from monai_unet.metrics.classes import confusion_matrix, scores_of_classes

RNG = np.random.default_rng(0)
TRUTH, FOUND = RNG.integers(0, 4, (2, 3, 9, 11))


def encoded(labels, known=None):
    found = one_hot(torch.as_tensor(labels)[:, None], 4)
    return found if known is None else found * torch.as_tensor(known)[:, None]


def score(metric, truth, found, known=None):
    metric(encoded(found, known), encoded(truth, known))
    return metric.aggregate().item()


def test_the_matrix_counts_pixel_by_pixel():
    known = RNG.random(TRUTH.shape) < 0.7
    expected = np.zeros((4, 4), int)
    for one, other, counts in zip(TRUTH.flat, FOUND.flat, known.flat, strict=True):
        expected[one, other] += counts
    assert np.array_equal(confusion_matrix(TRUTH, FOUND, 4, known), expected)


@pytest.mark.parametrize(("name", "oracle"), [("dice", DiceMetric), ("iou", MeanIoU)])
def test_where_every_section_has_every_class_it_is_monais(name, oracle):
    theirs = oracle(include_background=False)
    assert score(ClassScoreMetric(name), TRUTH, FOUND) == pytest.approx(score(theirs, TRUTH, FOUND), abs=1e-6)


@pytest.mark.parametrize("name", ["dice", "iou"])
def test_the_matrix_gives_the_same_scores_of_known_pixels(name):
    known = RNG.random(TRUTH.shape) < 0.7
    each = [confusion_matrix(*section) for section in zip(TRUTH, FOUND, [4] * 3, known, strict=True)]
    expected = scores_of_classes(np.stack(each), name)[:, 1:].mean()
    assert score(ClassScoreMetric(name), TRUTH, FOUND, known) == pytest.approx(expected, abs=1e-12)


def test_a_class_that_is_neither_there_nor_predicted_costs_nothing():
    truth = np.array([[[0, 1, 1, 0]], [[0, 0, 2, 2]]])
    assert score(ClassScoreMetric(), truth, truth) == 1
    assert np.isnan(score(ClassScoreMetric(classes=[3]), truth, truth))


def test_a_class_that_is_predicted_and_not_there_scores_0():
    truth, found = np.array([[[0, 0, 1, 1]], [[0, 0, 0, 2]]]), np.array([[[0, 2, 1, 1]], [[0, 0, 0, 2]]])
    assert score(ClassScoreMetric(classes=[2]), truth, found) == 0.5  # 0 in the first section, 1 in the second
    assert score(ClassScoreMetric(), truth, found) == 0.75  # (1 + 0) / 2 and 1


def test_another_score_is_refused():
    with pytest.raises(ValueError, match="score 'f1': expected one of dice, iou"):
        ClassScoreMetric("f1")
