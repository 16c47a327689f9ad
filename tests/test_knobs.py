import math
from pathlib import Path

import numpy as np
import pytest
import torch

from monai_unet.knobs import knobs, nearest


@pytest.mark.parametrize("name", list(knobs()))
def test_a_resumed_run_keeps_a_knob_or_may_change_it(name):
    assert knobs()[name].resume in ("fixed", "free")


@pytest.mark.parametrize("name", list(knobs()))
def test_a_knob_allows_its_own_defaults(name):
    knob = knobs()[name]
    for value in (knob.default, *knob.defaults.values()):
        if (value is not None or "null" in knob.type) and not str(value).startswith(("$", "@")):
            assert knob.allows(value)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("elastic_prob", 3, "elastic_prob 3: expected a number, at least 0, at most 1"),
        ("flip", -1, "flip -1: expected a number, at least 0, at most 1"),
        ("resume", "false", "resume 'false': expected True or False; write --resume False"),
        ("decay", "no", "expected True or False; write --decay False"),
        ("decay", "maybe", "decay 'maybe': expected True or False (half a cosine"),
        ("resume", 0, "expected True or False; write --resume False"),
        ("epochs", 0, "expected a whole number, at least 1"),
        ("epochs", 2.5, "expected a whole number"),
        ("epochs", True, "expected a whole number"),
        ("batch_size", 2.5, "expected a whole number, at least 1"),
        ("seed", -1, "expected a whole number, at least 0"),
        ("seed", 2**32, "at most 4294967295"),
        ("image_std", 0, "expected a number or a list of numbers, above 0"),
        ("image_mean", math.inf, "image_mean inf: expected a number"),
        ("learning_rate", "nan", "learning_rate 'nan': expected a number, at least 0"),
        ("dropout", 1, "expected a number, at least 0, below 1"),
        ("features", [8, 0], "expected a list of 2 or more whole numbers, at least 1"),
        ("features", 16, "expected a list of 2 or more whole numbers"),
        ("features", [16], "expected a list of 2 or more whole numbers"),
        ("features", "abc", "expected a list of 2 or more whole numbers, at least 1 (channels"),
        ("features", "4 8 16", 'at least 1; write --features "[4,8,16]"'),
        ("partly_annotated", "x", 'expected a list of texts, none twice; write --partly_annotated "[x]"'),
        ("variant", "mine", "expected one of paper, release"),
        ("ignore_label", "x", "expected a whole number or None"),
        ("learning_rate", float("nan"), "expected a number, at least 0"),
        ("rotations", 9, "at most 8"),
        ("rotations", np.int64(9), "at most 8"),
        ("threshold", 7, "threshold 7: expected a number, at least 0, at most 1"),
        ("tile", 0, "tile 0: expected a whole number, a list of 2 or more whole numbers or None, at least 1"),
        ("validation", [0, 0], "none twice"),
        ("validation", 1.5, "expected a share below 1, a whole number, text or a list of whole numbers, at least 0"),
        ("validation", -1, "at least 0"),
        ("training_sections", [], "expected a list of 1 or more whole numbers or None"),
        ("classes", ["a", "a"], "expected a list of 2 or more texts, none twice"),
        ("classes", ["a", ""], "expected a list of 2 or more texts"),
        ("value_range", [255, 0], "expected a list of 2 numbers, each above the one before"),
        ("value_range", 255, "expected a list of 2 numbers"),
        ("value_range", [0, 1, 2], "expected a list of 2 numbers"),
        ("device", "nonsense", "device 'nonsense': expected a device of this machine, as cpu or cuda:1; here"),
        ("device", "cuda:99", "expected a device of this machine"),
        ("device", "meta", "expected a device of this machine"),
        ("memory", "0MB", "expected an amount of memory of 1 MB or more, as 2GB"),
        ("memory", "-5GB", "expected an amount of memory of 1 MB or more"),
        ("memory", 10, "expected an amount of memory of 1 MB or more"),
        ("memory", "abc", "expected an amount of memory of 1 MB or more"),
        ("initial_weights", "nowhere.pt", "initial_weights 'nowhere.pt': expected a file that exists or None"),
        ("ckpt_dir", "", "ckpt_dir '': expected the path of a folder"),
        ("ckpt_dir", __file__, "expected the path of a folder"),
        ("ckpt_dir", __file__ + "/models", "expected the path of a folder"),
        ("output_ext", ".png", "expected one of .tif, .nii, .nii.gz or None"),
    ],
)
def test_a_value_of_the_wrong_type_or_range_is_refused_with_what_is_allowed(name, value, expected):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - compared as a text, without a pattern's escapes
        knobs()[name].check(value)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("validation", 0.25),
        ("validation", "02"),
        ("validation", [0, 3]),
        ("validation", range(3)),
        ("validation", 4),
        ("validation", 0),
        ("clip_norm", None),
        ("tile", [100, 120]),
        ("epochs", np.int64(3)),
        ("device", "cpu"),
        ("device", torch.device("cpu")),
        ("memory", "500MB"),
        ("memory", 2 * 10**9),
        ("initial_weights", __file__),
        ("ckpt_dir", Path("not there yet")),
        ("output_ext", ".nii"),
    ],
)
def test_a_knob_takes_each_of_its_types(name, value):
    assert knobs()[name].allows(value)


def test_of_a_knob_that_was_given_by_another_name_that_one_is_said():
    with pytest.raises(ValueError, match=r"^trainer::max_epochs 0: expected a whole number, at least 1 \(passes"):
        knobs()["epochs"].check(0, "trainer::max_epochs")


def test_a_wrong_name_hints_at_the_nearest():
    assert nearest("lerning-rate", list(knobs())) == "; did you mean learning_rate?"
    assert nearest("xyz", list(knobs())) == ""


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("percentiles", {"normalise": "dataset"}),
        ("image_mean", {"normalise": "image"}),
        ("noise_level", {"targets": "pairs"}),
    ],
)
def test_a_knob_is_refused_where_it_does_nothing(name, config):
    with pytest.raises(ValueError, match=f"{name} does nothing with"):
        knobs()[name].check_acts(config)


@pytest.mark.parametrize(("name", "config"), [("percentiles", {"normalise": "section"}), ("image_mean", {})])
def test_a_knob_is_taken_where_it_acts(name, config):
    knobs()[name].check_acts(config)
