import numpy as np
import pytest
from scipy import ndimage, stats

from monai_unet.metrics.foreground_restricted import components, pair_counts, thinned


@pytest.fixture
def cells_and_segments():
    rng = np.random.default_rng(3)
    return rng.integers(0, 4, (6, 9)), rng.integers(0, 6, (6, 9))


@pytest.fixture(params=[0, 1, 2])
def foreground(request):
    smooth = ndimage.gaussian_filter(np.random.default_rng(request.param).random((40, 57)), 2)
    return np.abs(smooth - 0.5) > 0.03  # pieces with a broad, branching background between them


def on_cells_with_singletons(cells, segments):
    """Ids of the pixels that count, each background pixel of the segments with an id of its own."""
    cell, segment = cells[cells > 0], segments[cells > 0].copy()
    segment[segment == 0] = 1000 + np.arange((segment == 0).sum())
    return cell, segment


def test_rand_sums_are_the_numbers_of_pairs_of_pixels(cells_and_segments):
    cell, segment = on_cells_with_singletons(*cells_and_segments)
    same_cell, same_segment = cell[:, None] == cell, segment[:, None] == segment
    oracle = (same_cell & same_segment).sum(), same_cell.sum(), same_segment.sum()
    assert pair_counts(*cells_and_segments).rand_sums() == oracle


def test_information_is_that_of_the_table_of_cells_and_segments(cells_and_segments):
    cell, segment = on_cells_with_singletons(*cells_and_segments)
    table = stats.contingency.crosstab(cell, segment).count
    in_cells, in_segments = stats.entropy(table.sum(1)), stats.entropy(table.sum(0))
    shared = in_cells + in_segments - stats.entropy(table.ravel())
    assert pair_counts(*cells_and_segments).information() == pytest.approx((shared, in_cells, in_segments), abs=1e-12)


def test_a_split_cell_costs_recall_only():
    together, in_cells, in_segments = pair_counts(np.array([[1, 1, 1, 1]]), np.array([[7, 7, 3, 3]])).rand_sums()
    assert (together / in_segments, together / in_cells) == (1.0, 0.5)


def test_a_merger_costs_precision_only():
    together, in_cells, in_segments = pair_counts(np.array([[7, 7, 3, 3]]), np.array([[1, 1, 1, 1]])).rand_sums()
    assert (together / in_segments, together / in_cells) == (0.5, 1.0)


def test_a_segment_outside_cells_does_not_count():
    counts = pair_counts(np.array([[1, 1, 0, 0, 0]]), np.array([[1, 0, 0, 2, 2]]))
    assert (counts.in_segments.tolist(), counts.num_singletons) == ([1], 1)


def test_pixels_that_touch_by_a_corner_are_two_components():
    assert components(np.array([[1, 0], [0, 1]], bool)).max() == 2


def test_an_even_gap_leaves_one_line():
    assert thinned(np.array([[1, 1, 0, 0, 0, 0, 1]], bool)).tolist() in (
        [[1, 1, 1, 0, 2, 2, 2]],
        [[1, 1, 1, 1, 0, 2, 2]],
    )


def test_a_background_within_one_component_vanishes():
    ring = np.pad(np.zeros((3, 2), bool), 1, constant_values=True)
    assert (thinned(ring) == 1).all()


def test_thinning_leaves_the_components_as_they_were(foreground):
    assert np.array_equal(np.where(foreground, thinned(foreground), 0), components(foreground))


def test_segments_that_differ_never_share_an_edge(foreground):
    segments = thinned(foreground)
    for a, b in ((segments[1:], segments[:-1]), (segments[:, 1:], segments[:, :-1])):
        assert (a == b)[(a > 0) & (b > 0)].all()


def test_the_line_between_two_squares_is_one_pixel_wide():
    squares = np.zeros((4, 9), bool)
    squares[:, :2] = squares[:, 7:] = True
    assert thinned(squares).tolist() == [[1, 1, 1, 1, 0, 2, 2, 2, 2]] * 4


def test_ties_go_column_by_column():
    pieces = np.zeros((3, 6), bool)
    pieces[0, 0] = pieces[2, 5] = True
    lines = [[1, 1, 1, 1, 0, 2], [1, 1, 1, 0, 2, 2], [1, 1, 0, 2, 2, 2]]
    assert thinned(pieces).tolist() == lines
    assert thinned(pieces[:, ::-1]).tolist() != np.fliplr(lines).tolist()


@pytest.mark.parametrize("value", [False, True])
def test_thinning_keeps_a_section_of_one_value(value):
    assert (thinned(np.full((3, 4), value)) == value).all()


def test_thinning_leaves_its_input_alone(foreground):
    before = foreground.copy()
    thinned(foreground)
    assert np.array_equal(foreground, before)
