import pytest

from monai_unet.knobs import knobs, nearest


@pytest.mark.parametrize("name", list(knobs()))
def test_a_resumed_run_keeps_a_knob_or_may_change_it(name):
    assert knobs()[name].resume in ("fixed", "free")


@pytest.mark.parametrize("name", list(knobs()))
def test_a_knob_allows_its_own_defaults(name):
    knob = knobs()[name]
    for value in (knob.default, *knob.defaults.values()):
        if value is not None and not str(value).startswith(("$", "@")):
            knob.check(value)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("elastic_prob", 3, "elastic_prob 3: expected a number, at least 0, at most 1"),
        ("resume", "false", "resume 'false': expected True or False"),
        ("resume", 0, "expected True or False"),
        ("epochs", 0, "expected a whole number, at least 1"),
        ("epochs", 2.5, "expected a whole number"),
        ("epochs", True, "expected a whole number"),
        ("image_std", 0, "expected a number, above 0"),
        ("dropout", 1, "expected a number, at least 0, below 1"),
        ("features", [8, 0], "expected a list of whole numbers, at least 1"),
        ("features", 16, "expected a list of whole numbers"),
        ("variant", "mine", "expected one of paper, release"),
        ("ignore_label", "x", "expected a whole number or None"),
        ("learning_rate", float("nan"), "expected a number, at least 0"),
        ("rotations", 9, "at most 8"),
    ],
)
def test_a_value_of_the_wrong_type_or_range_is_refused_with_what_is_allowed(name, value, expected):
    with pytest.raises(ValueError, match=expected.replace("(", r"\(")):
        knobs()[name].check(value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("validation", 0.25), ("validation", "02"), ("validation", [0, 3]), ("validation", 4), ("clip_norm", None)],
)
def test_a_knob_takes_each_of_its_types(name, value):
    knobs()[name].check(value)


def test_a_wrong_name_hints_at_the_nearest():
    assert nearest("lerning-rate", list(knobs())) == "; did you mean learning_rate?"
    assert nearest("xyz", list(knobs())) == ""
