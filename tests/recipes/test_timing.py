import pytest

from monai_unet.recipes.timing import NOT_MEASURED, Pace, Run, duration, lines_of, widths


def test_a_run_takes_its_iterations_its_looks_and_the_preparation():
    run = Run(epochs=10, training=8, validation=3, batch_size=4, interval=5)
    assert run.iterations == 20
    assert run.looks == 3  # after 5 and 10 epochs, and to find the threshold
    assert run.seconds(iteration=2.0, validation=0.5, preparing=0.1) == pytest.approx(40 + 3 * 3 * 0.5 + 11 * 0.1)


def test_an_epoch_that_does_not_fill_its_last_batch_counts_by_its_tiles():
    assert Run(1, 6, 1, 4, 1).iterations == 1.5
    assert Run(5, 2, 1, 4, 1).iterations == 5  # never more than one, of two tiles


def test_the_last_epoch_is_validated_though_the_interval_does_not_end_there():
    assert Run(11, 1, 1, 1, 5).looks == 4


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "1 s"),
        (89, "89 s"),
        (91, "2 min"),
        (3599, "1 h"),
        (4810, "1 h 20 min"),
        (86399, "1 d"),
        (90000, "1 d 1 h"),
    ],
)
def test_times_are_said_as_people_say_them(seconds, text):
    assert duration(seconds) == text


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
