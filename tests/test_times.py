import pytest

from monai_unet.times import duration


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
