import pytest

from monai_unet.data import check_processes, split_sections
from monai_unet.data.split import blocks


def test_a_share_validates_on_the_last_sections():
    assert split_sections(24, 1 / 6) == (list(range(20)), [20, 21, 22, 23])


def test_a_number_validates_on_that_many_of_the_last_sections():
    assert split_sections(5, 2) == ([0, 1, 2], [3, 4])


def test_what_is_no_number_is_refused_with_what_would_be():
    with pytest.raises(ValueError, match="'1/3': expected a share"):
        split_sections(5, "1/3")


def test_even_a_small_share_validates_on_one_section():
    assert split_sections(3, 0.1) == ([0, 1], [2])


def test_a_list_validates_on_those_and_trains_on_the_rest():
    assert split_sections(5, [3, 1]) == ([0, 2, 4], [1, 3])


def test_both_lists_may_be_given_and_leave_sections_out():
    assert split_sections(9, [8], [0, 1]) == ([0, 1], [8])


@pytest.mark.parametrize("validation", [0, 0.0, []])
def test_without_validation_all_sections_train(validation):
    assert split_sections(3, validation) == ([0, 1, 2], [])


@pytest.mark.parametrize(
    ("validation", "training"), [([1], [1, 2]), ([7], None), ([-1], None), ([0, 1, 2], None), ([], []), (1.0, None)]
)
def test_a_split_that_leaks_or_leaves_nothing_is_refused(validation, training):
    with pytest.raises(ValueError, match="do not split 3 sections"):
        split_sections(3, validation, training)


@pytest.mark.parametrize("validation", [-1, -0.25])
def test_a_negative_number_is_refused_with_what_is_meant(validation):
    with pytest.raises(ValueError, match=f"{-validation} takes the last ones"):
        split_sections(5, validation)


def test_more_processes_than_validation_sections_are_refused_with_what_would_work():
    check_processes(3, 3)
    with pytest.raises(ValueError, match=r"4 processes have 3 sections to validate on.*--validation 4"):
        check_processes(4, 3)


@pytest.mark.parametrize(
    ("sizes", "number", "expected"),
    [
        ([1] * 24, 4, [6, 6, 6, 6]),
        ([1] * 18, 4, [5, 4, 5, 4]),
        ([1, 1, 1], 3, [1, 1, 1]),
        ([5, 1, 1, 1, 4], 3, [1, 3, 1]),
        ([1, 1, 10], 2, [2, 1]),
        ([10, 1, 1], 3, [1, 1, 1]),  # none is empty
    ],
)
def test_blocks_are_of_about_the_same_size_and_none_is_empty(sizes, number, expected):
    cut = blocks(sizes, number)
    assert [len(block) for block in cut] == expected
    assert [index for block in cut for index in block] == list(range(len(sizes)))


def test_more_blocks_than_things_are_refused():
    with pytest.raises(ValueError, match="2 cannot be cut into 3 blocks"):
        blocks([1, 1], 3)
