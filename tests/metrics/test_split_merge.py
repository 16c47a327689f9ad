import numpy as np
import pytest

from monai_unet.metrics.split_merge import HIT, MERGED, MISSED, SPLIT, split_merge


def of_row(labels, proposal, **kwargs):
    """Hits, splits, mergers, missed cells of a section of one row."""
    cells = split_merge(np.array([labels]), np.array([proposal]), **kwargs)
    return tuple(ids.tolist() for ids in (cells.hits, cells.splits, cells.mergers, cells.missed))


def test_a_cell_with_one_object_is_a_hit():
    assert of_row([0, 4, 4, 4, 0], [0, 0, 9, 9, 9]) == ([4], [], [], [])


def test_half_a_cell_is_missed():
    assert of_row([4, 4, 4, 4, 2], [9, 9, 0, 0, 0]) == ([], [], [], [2, 4])


def test_a_cell_of_two_objects_is_split_though_one_holds_most():
    assert of_row([4, 4, 4, 4, 0], [9, 9, 9, 5, 5]) == ([], [4], [], [])


def test_cells_under_one_object_are_merged():
    cells = split_merge(np.array([[3, 3, 0, 8, 8, 6]]), np.array([[9, 9, 9, 9, 9, 2]]))
    assert (cells.mergers.tolist(), cells.hits.tolist(), cells.merging_objects.tolist()) == ([3, 8], [6], [9])


def test_a_cell_may_be_split_and_merged():
    cells = split_merge(np.array([[3, 3, 8, 8]]), np.array([[9, 9, 9, 5]]))
    assert (cells.splits.tolist(), cells.mergers.tolist(), cells.hits.tolist()) == ([8], [3, 8], [])
    assert cells.code.tolist() == [[MERGED] * 4]


def test_below_the_share_neither_splits_nor_merges():
    labels, proposal = np.repeat([1, 2], 10), np.repeat([5, 6], [11, 9])
    assert of_row(labels, proposal, share=0.1) == ([], [2], [1, 2], [])
    assert of_row(labels, proposal, share=0.11) == ([1, 2], [], [], [])


def test_a_cell_that_a_merger_only_touches_is_a_hit():
    labels, proposal = np.repeat([1, 2, 3], [5, 5, 20]), np.repeat([7, 8], [11, 19])
    assert of_row(labels, proposal) == ([3], [], [1, 2], [])


def test_an_object_outside_all_cells_changes_nothing():
    assert of_row([1, 1, 0, 0, -1], [5, 5, 0, 7, 8]) == ([1], [], [], [])


def test_the_code_shows_each_cell_where_it_lies():
    labels = np.array([[0, 1, 1, 2, 2, 0], [3, 0, 4, 5, 0, -1]], np.int16)
    proposal = np.array([[7, 7, 7, 8, 9, 0], [0, 0, 6, 6, 0, 2]], np.uint8)
    code = split_merge(labels, proposal).code
    assert code.tolist() == [[0, HIT, HIT, SPLIT, SPLIT, 0], [MISSED, 0, MERGED, MERGED, 0, 0]]
    assert code.dtype == np.uint8


def test_every_cell_is_something_and_hits_and_missed_are_nothing_else():
    rng = np.random.default_rng(4)
    ids = rng.permutation(60).reshape(5, 12)
    labels = np.kron(ids, np.ones((4, 3), int))
    proposal = np.kron(np.where(rng.random((5, 12)) < 0.2, rng.integers(0, 60, (5, 12)), ids), np.ones((4, 3), int))
    proposal[:, ::3] += 100 * (proposal[:, ::3] % 5 == 1)  # some are cut
    proposal[proposal % 7 == 2] = 0  # some are not there
    cells = split_merge(labels, proposal, share=0.3)
    either = np.union1d(cells.splits, cells.mergers)
    assert sorted([*cells.hits, *cells.missed, *either]) == np.unique(labels[labels > 0]).tolist()
    assert min(map(len, (cells.hits, cells.missed, cells.splits, cells.mergers))) > 0


@pytest.mark.filterwarnings("error")
def test_a_section_without_cells():
    cells = split_merge(np.zeros((2, 3), int), np.ones((2, 3), int))
    assert cells.hits.size == cells.missed.size == cells.splits.size == cells.mergers.size == cells.code.max() == 0


def test_wrong_input_is_refused():
    section = np.ones((2, 3), int)
    with pytest.raises(ValueError, match=r"share is 0.6, expected above 0 and at most 0.5"):
        split_merge(section, section, share=0.6)
    with pytest.raises(ValueError, match="one section each"):
        split_merge(section[None], section[None])
    with pytest.raises(ValueError, match=r"\(2, 3\) and a proposal of shape \(2, 2\)"):
        split_merge(section, section[:, :2])
    with pytest.raises(TypeError, match="proposal of type float64"):
        split_merge(section, section / 1)


def test_objects_of_which_cells_hold_less_than_half_are_extra():
    labels, proposal = np.array([[1, 1, 0, 0, 0, 0, 2]]), np.array([[4, 4, 4, 0, 6, 6, 6]])
    assert split_merge(labels, proposal).extra_objects.tolist() == [6]
    assert split_merge(np.zeros((1, 7), int), proposal).extra_objects.tolist() == [4, 6]
