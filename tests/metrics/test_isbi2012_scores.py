import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from monai_unet.metrics import IsbiScores, isbi2012_scores, section_statistics
from monai_unet.metrics.section_statistics import SCORES

REFERENCE = Path(__file__).parents[2].parent / "shared" / "reference" / "isbi_metrics"


@pytest.fixture
def stack():
    """Labels and probabilities of three sections that differ: cells in a net of membranes, blurred and with noise."""
    rng = np.random.default_rng(7)
    labels = np.abs(ndimage.gaussian_filter(rng.random((3, 33, 46)), (0, 3, 3)) - 0.5) > 0.02
    proposal = ndimage.gaussian_filter(labels.astype(np.float32), (0, 1, 1)) + 0.1 * rng.random(labels.shape)
    return (labels * 255).astype(np.uint8), np.clip(proposal, 0, 1).astype(np.float32)


def scores_of_row(labels, foreground, **kwargs):
    """Scores of a section of one row at one threshold."""
    return isbi2012_scores(np.array([labels]), np.array([foreground], float), [0.5], warping=False, **kwargs)


def values_of(scores):
    return {name: getattr(scores, name) for name in SCORES}


# by hand


def test_a_split_cell():
    scores = scores_of_row([1, 1, 1, 1, 1, 1], [1, 1, 0, 1, 1, 1])  # pairs: 4 + 9 and the singleton, of 36
    assert scores.rand_error == pytest.approx(1 - 2 * 14 / (36 + 14))
    assert scores.v_rand_macro == scores.v_rand_micro == pytest.approx(2 * 14 / (36 + 14))
    assert scores.v_info == 0  # one cell holds no information


def test_two_merged_cells():
    scores = scores_of_row([1, 1, 0, 1, 1, 1], [1, 1, 1, 1, 1, 1])
    assert scores.rand_error == pytest.approx(1 - 2 * 13 / (13 + 25))
    assert scores.v_info == 0  # one segment holds none either


def test_a_broad_membrane_costs_the_rand_error_but_not_the_thinned_scores():
    scores = scores_of_row([1, 1, 1, 0, 1, 1, 1], [1, 1, 0, 0, 0, 1, 1])
    assert scores.rand_error == pytest.approx(1 - 2 * 10 / (18 + 10))
    assert (scores.v_rand_micro, scores.v_info) == (1, 1)


def test_information_of_a_cell_cut_in_halves():
    scores = scores_of_row([1, 1, 1, 1, 0, 1, 1, 1, 1], [1, 1, 1, 1, 0, 1, 1, 1, 0])
    assert scores.v_info == 1  # the last pixel is flooded
    labels = np.array([[1, 1, 1, 1], [0, 0, 0, 0], [1, 1, 1, 1]])
    proposal = np.array([[1, 1, 1, 1], [0, 0, 0, 0], [1, 0, 1, 1]])
    shares = np.array([4, 1, 2]) / 8
    in_segments = -(shares * np.log(shares)).sum() + np.log(8) / 8
    shared = np.log(2)  # the segments tell the cells apart
    assert isbi2012_scores(labels, proposal.astype(float), [0.5], warping=False).v_info == pytest.approx(
        2 * shared / (np.log(2) + in_segments)
    )


def test_pixel_errors():
    scores = scores_of_row([1, 1, 1, 1, 0], [1, 0, 0, 0, 1])
    assert scores.pixel_error == pytest.approx(1 - 2 / 6)
    assert scores.pixel_error_min_mse == pytest.approx(4 / 5)


def test_a_bridge_of_one_pixel_is_one_merger():
    pytest.importorskip("numba")
    labels, proposal = np.ones((2, 3, 7))
    labels[:, 3] = 0
    proposal[[0, 2], 3] = 0
    scores = isbi2012_scores(labels, proposal, [0.5])
    assert (scores.warping_error, scores.warping_mismatch_fraction_at_0_5) == (1 / 21, 1 / 21)


def test_a_cut_across_a_cell_is_one_split_however_long():
    pytest.importorskip("numba")
    labels, proposal = np.ones((2, 3, 7))
    proposal[:, 3] = 0
    scores = isbi2012_scores(labels, proposal, [0.5])
    assert (scores.warping_error, scores.warping_mismatch_fraction_at_0_5) == (1 / 21, 1 / 21)


def test_the_pixel_nearest_to_the_threshold_is_flipped_last():
    pytest.importorskip("numba")
    inside = np.ones((1, 2), bool)
    comparison = section_statistics.Comparison(inside, inside.astype(int), np.array([[0.8, 0.3]]), threshold=0.9)
    assert comparison.warped.tolist() == [[True, False]]


# thresholds and sections


def test_a_pixel_at_the_threshold_is_background():
    assert scores_of_row([0, 1], [0.5, 0.6]).pixel_error == 0


def test_the_best_threshold_counts_and_is_told():
    scores = isbi2012_scores(np.array([[1, 0, 1]]), np.array([[0.9, 0.35, 0.9]]), [0.1, 0.3, 0.6, 0.8], warping=False)
    assert (scores.v_rand_macro, scores.best_threshold["v_rand_macro"]) == (1, 0.6)


def test_micro_pools_pairs_and_macro_averages_scores():
    labels = np.array([[[1, 1, 1, 1, 1]], [[1, 0, 0, 0, 0]]])
    proposal = np.array([[[1, 1, 0, 1, 1]], [[1, 1, 1, 1, 1]]], float)
    scores = isbi2012_scores(labels, proposal, [0.5], warping=False)
    assert scores.per_section["v_rand_macro"] == pytest.approx((18 / 34, 1))
    assert scores.v_rand_macro == pytest.approx((18 / 34 + 1) / 2)
    assert scores.v_rand_micro == pytest.approx(2 * (9 + 1) / (25 + 9 + 1 + 1))


def test_macro_takes_one_threshold_for_all_sections():
    labels = np.array([[[1, 0, 1]], [[1, 1, 1]]])
    proposal = np.array([[[0.9, 0.7, 0.9]], [[0.9, 0.2, 0.9]]])  # the first wants 0.8, the second 0.1
    scores = isbi2012_scores(labels, proposal, [0.1, 0.8], warping=False)
    assert scores.v_rand_macro == pytest.approx((1 + 2 / 3) / 2) == np.mean(scores.per_section["v_rand_macro"])


def test_a_section_is_a_stack_of_one(stack):
    labels, proposal = stack
    assert isbi2012_scores(labels[1], proposal[1], warping=False) == isbi2012_scores(
        labels[1:2], proposal[1:2], warping=False
    )


@pytest.mark.parametrize("dtype", [bool, np.int64, np.float32])
def test_labels_are_inside_where_not_zero(stack, dtype):
    labels, proposal = stack
    expected = isbi2012_scores(labels, proposal, warping=False)
    assert isbi2012_scores((labels > 0).astype(dtype), proposal, warping=False) == expected


def test_paths_of_tiff_stacks_are_read(stack, tmp_path):
    for name, array in zip(("labels.tif", "proposal.tif"), stack, strict=True):
        tifffile.imwrite(tmp_path / name, array, photometric="minisblack")
    scores = isbi2012_scores(tmp_path / "labels.tif", str(tmp_path / "proposal.tif"), warping=False)
    assert scores == isbi2012_scores(*stack, warping=False)


def test_inputs_are_left_alone(stack):
    pytest.importorskip("numba")
    before = [array.copy() for array in stack]
    isbi2012_scores(*stack, [0.5])
    assert all(np.array_equal(*pair) for pair in zip(before, stack, strict=True))


def test_the_warping_scores_can_be_left_out(stack, monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.setattr(section_statistics, "warped_labels", None)
    scores = isbi2012_scores(*stack, warping=False)
    assert scores.warping_error is scores.warping_mismatch_fraction_at_0_5 is None
    assert "warping_error" not in scores.per_section


# scores that would be 0 / 0


def section_of(kind):
    section = np.zeros((5, 8))
    if kind == "full":
        section[:] = 1
    elif kind == "pixel":
        section[2, 3] = 1
    elif kind == "cells":
        section[1:4, :3] = section[:, 4:] = 1
    return section


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("proposal", ["empty", "full", "pixel", "cells"])
@pytest.mark.parametrize("labels", ["empty", "full", "pixel", "cells"])
def test_every_score_is_a_number_from_0_to_1_without_a_warning(labels, proposal):
    pytest.importorskip("numba")
    scores = isbi2012_scores(section_of(labels), section_of(proposal))
    assert all(0 <= value <= 1 for value in values_of(scores).values())
    assert all(0 <= value <= 1 for values in scores.per_section.values() for value in values)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", ["empty", "full", "pixel", "cells"])
def test_a_proposal_equal_to_the_labels_is_perfect(kind):
    pytest.importorskip("numba")
    values = values_of(isbi2012_scores(section_of(kind), section_of(kind)))
    assert values == {name: float(SCORES[name].higher_is_better) for name in SCORES}


def test_without_cells_the_scores_inside_cells_are_perfect_and_the_pixels_are_not():
    scores = scores_of_row([0, 0, 0, 0], [0, 1, 0, 0])
    assert (scores.rand_error, scores.v_rand_macro, scores.v_info) == (0, 1, 1)
    assert (scores.pixel_error, scores.pixel_error_min_mse) == (1, 0.25)


def test_a_proposal_of_membrane_only_has_the_score_of_singletons():
    scores = scores_of_row([1, 1, 0, 1, 1, 1], [0, 0, 0, 0, 0, 0])
    assert scores.v_rand_macro == pytest.approx(2 * 5 / (13 + 5))


# errors


@pytest.mark.parametrize(
    ("labels", "proposal", "error", "message"),
    [
        (np.zeros((3, 4), int), np.zeros((4, 3)), ValueError, r"\(3, 4\).*\(4, 3\).*same shape"),
        (np.zeros((1, 3, 4), int), np.zeros((3, 4)), ValueError, "same shape"),
        (np.zeros((1, 1, 3, 4), int), np.zeros((1, 1, 3, 4)), ValueError, r"\(H, W\) or \(D, H, W\)"),
        (np.zeros((0, 4), int), np.zeros((0, 4)), ValueError, "a pixel at least"),
        (np.zeros((3, 4), int), np.full((3, 4), np.nan), ValueError, "from nan to nan"),
        (np.zeros((3, 4), int), np.full((3, 4), 255.0), ValueError, "from 255.0 to 255.0"),
        (np.zeros((3, 4), int), np.full((3, 4), -np.inf), ValueError, "from -inf"),
        (np.zeros((3, 4), int), np.zeros((3, 4), np.uint8), TypeError, "uint8.*divide"),
        (np.full((3, 4), np.nan), np.zeros((3, 4)), ValueError, "12 of the labels are NaN"),
        (np.full((3, 4), "a"), np.zeros((3, 4)), TypeError, "labels of type <U1"),
    ],
)
def test_wrong_input_is_refused(labels, proposal, error, message):
    with pytest.raises(error, match=message):
        isbi2012_scores(labels, proposal)


@pytest.mark.parametrize("thresholds", [[], [1.2], [0.5, -0.1], [np.nan]])
def test_wrong_thresholds_are_refused(stack, thresholds):
    with pytest.raises(ValueError, match=r"one or more, each in \[0, 1\]"):
        isbi2012_scores(*stack, thresholds)


# the organisers' own numbers


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the organisers' values are not in ../shared/reference/isbi_metrics")
@pytest.mark.parametrize("pair", ["clean", "merge", "split"])
def test_the_scores_agree_with_those_of_the_organisers(pair):
    pytest.importorskip("numba")
    scores = isbi2012_scores(REFERENCE / f"{pair}_labels.tif", REFERENCE / f"{pair}_proposal.tif")
    expected = json.loads((REFERENCE / "expected.json").read_text())[pair]
    values = {name: getattr(scores, name.replace(".", "_")) for name in expected}
    assert values == pytest.approx(expected, rel=0, abs=1e-10)  # they are given with ten decimals


def test_the_scores_have_a_field_for_each_score():
    assert [field.name for field in dataclasses.fields(IsbiScores)][: len(SCORES)] == list(SCORES)
