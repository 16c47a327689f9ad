import numpy as np
import pytest

from monai_unet.handlers.find_values import candidates, num_candidates, scores_of
from monai_unet.handlers.work import Costs, Run, as_predicted, halves
from monai_unet.transforms.decoding import Decoding

COSTS = Costs(iteration=2.0, validation=0.5, scoring=0.25, preparing=0.1, start=8.0)


def test_a_run_takes_its_start_its_iterations_its_looks_and_the_preparation():
    run = Run(epochs=10, training=8, validation=3, batch_size=4, interval=5)
    assert (run.iterations, run.looks) == (20, 2)
    assert run.seconds(COSTS) == pytest.approx(8 + 40 + 2 * 3 * 0.5 + 11 * 0.1)


def test_the_search_for_values_predicts_once_and_scores_every_candidate_on_20_sections_at_most():
    without, with_search = (
        Run(epochs=1, training=1, validation=30, batch_size=1, interval=1, candidates=number) for number in (0, 18)
    )
    assert with_search.seconds(COSTS) - without.seconds(COSTS) == pytest.approx(20 * 0.5 + 18 * 20 * 0.25)


def test_the_candidates_are_counted_as_they_are_tried():
    decoding = Decoding(("background", "cell"), objects=True, separation="distance", min_size=100)
    assert num_candidates(decoding) == sum(len(values) for _, values in candidates(decoding)) == 9 + 6 + 3


@pytest.mark.parametrize("separation", ["gap", "distance"])
def test_the_truth_as_a_prediction_gives_the_truths_objects(separation):
    truth = np.zeros((40, 50), np.int32)
    truth[2:18, 3:20], truth[2:18, 22:40], truth[25:38, 5:45] = 1, 2, 3
    decoding = Decoding(("background", "cell"), objects=True, separation=separation)
    probability = as_predicted(truth, decoding)
    assert probability.shape[0] == decoding.channels
    assert np.allclose(probability.sum(0), 1)
    assert scores_of([(probability, truth)], decoding) == pytest.approx(1, abs=0.02)


def test_an_epoch_that_does_not_fill_its_last_batch_counts_by_its_tiles():
    assert Run(1, 6, 1, 4, 1).iterations == 1.5
    assert Run(5, 2, 1, 4, 1).iterations == 5  # never more than one, of two tiles


def test_the_last_epoch_is_validated_though_the_interval_does_not_end_there():
    assert Run(11, 1, 1, 1, 5).looks == 3


@pytest.mark.parametrize(
    ("features", "expected"), [((64, 128), [(32, 64), (16, 32), (8, 16)]), ((15, 30), []), ((8, 8), [])]
)
def test_widths_are_halved_as_long_as_something_is_learned(features, expected):
    assert halves(features) == expected
