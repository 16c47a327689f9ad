import pytest

from monai_unet.recipes.timing import NOT_MEASURED, Pace, lines_of, proposal, seconds_of_a_start, widths


def test_a_start_is_that_of_a_process_which_has_to_import():
    assert seconds_of_a_start() > 0.5


def test_a_network_that_cannot_be_narrower_has_two_widths():
    assert widths([1, 1]) == [(1, 1), (2, 2)]


def test_what_was_not_measured_lies_between_the_width_and_its_square():
    own = Pace((4, 8), 100, 1.0, 7200.0)
    table = lines_of([own, Pace((2, 4), 50, why_not=NOT_MEASURED), Pace((8, 16), 400, why_not=NOT_MEASURED)])
    assert [line[3] for line in table[1:]] == [
        "not measured; 30 min to 1 h",
        "about 2 h, as it is set",
        "not measured; 4 h to 8 h",
    ]


HOUR = 3600.0


@pytest.mark.parametrize(
    ("hours", "said"),
    [
        ((3.9, 2, 15), ""),
        ((7.7, 2, 30), '--features "[2,4]", in all commands, takes about 2 h; a GPU takes a small part of that'),
        ((9, 5, 30), 'even --features "[2,4]", in all commands, takes about 5 h; a GPU takes a small part of that'),
    ],
)
def test_where_a_training_is_longer_than_an_evening_the_widest_that_fits_is_proposed(hours, said):
    features = (4, 8), (2, 4), (8, 16)
    paces = [Pace(each, 1, 1.0, h * HOUR) for each, h in zip(features, hours, strict=True)]
    assert proposal(paces) == (said and f"longer than an evening (4 h): {said}")
