import pytest

from monai_unet.report import number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.92059, "0.9206"),
        (0.17598, "0.1760"),
        (1.0, "1.000"),
        (0.0, "0.000"),
        (0.00035349, "0.0003535"),
        (0.000005, "0.000005000"),
        (123.456, "123.5"),
        (12345.6, "12346"),
        (-0.5, "\N{MINUS SIGN}0.5000"),
        (float("inf"), "\N{INFINITY}"),
    ],
)
def test_a_number_has_four_significant_digits_in_full(value, text):
    assert number(value) == text


@pytest.mark.parametrize(("value", "text"), [(0.0382, "0.0382"), (0.000005, "0.000005"), (1.0, "1"), (120.0, "120")])
def test_a_number_from_elsewhere_gets_no_digits_that_it_does_not_have(value, text):
    assert number(value, padded=False) == text


@pytest.mark.parametrize("value", [None, float("nan")])
def test_what_is_missing_is_an_en_dash(value):
    assert number(value) == "\N{EN DASH}"
