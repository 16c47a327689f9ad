import pytest

from monai_unet.colours import colours_of_classes, colours_text, parse_colours

TEXT = "background=0,0,0 tumour=255,0,0 ignore=255,255,255"


def test_colours_are_read_as_they_are_written():
    assert colours_text(parse_colours(TEXT)) == TEXT


def test_blanks_do_not_matter():
    assert parse_colours(" background = 0, 0, 0  tumour=255 ,0,0 ") == {"background": (0, 0, 0), "tumour": (255, 0, 0)}


def test_the_classes_say_the_order():
    found = colours_of_classes("b=1,1,1 ignore=9,9,9 a=0,0,0", ["a", "b"])
    assert list(found.items()) == [("a", (0, 0, 0)), ("b", (1, 1, 1)), ("ignore", (9, 9, 9))]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("red", "red is not understood; expected name=red,green,blue"),
        ("a=0,0 b=1,1,1", "a=0,0 is not understood"),
        ("a=0,0,0 b=1,1,70000", "b=1,1,70000 goes beyond 65535"),
        ("a=0,0,0 a=1,1,1", "a is there twice"),
        ("a=0,0,0 b=0,0,0", "a and b have one colour"),
        ("a=0,0,0 ignore=1,1,1", "fewer than two classes"),
        (["a"], "expected name=red,green,blue"),
    ],
)
def test_what_is_no_table_of_colours_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_colours(text)
