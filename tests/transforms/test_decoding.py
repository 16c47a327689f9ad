import doctest

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose

from monai_unet.transforms import Decoded, Decoding, decoding, label_instances

CELLS = Decoding(("background", "cell"), objects=True, threshold=0.4, min_size=3)
THREE = Decoding(("background", "body", "nucleus"))


def two_classes(shape, seed=5):
    inside = np.random.default_rng(seed).random(shape, dtype=np.float32)
    return np.stack([1 - inside, inside])


@pytest.mark.parametrize("shape", [(20, 31), (5, 9, 11)])
@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor, MetaTensor])
def test_an_array_a_tensor_and_a_metatensor_come_back_as_such(shape, kind):
    probability = two_classes(shape)
    labels = Decoded("pred", CELLS)({"pred": kind(probability)})["pred"]
    assert type(labels) is type(kind(probability))
    assert labels.dtype in (np.int32, torch.int32)
    assert np.array_equal(np.asarray(labels)[0], label_instances(probability[1] > 0.4, min_size=3))


def test_a_probability_equal_to_the_threshold_is_outside():
    assert Decoding(("a", "b"), threshold=0.5).class_map(np.array([[0.5, 0.4], [0.5, 0.6]])).tolist() == [0, 1]


def test_of_several_classes_the_most_probable_one_wins_and_the_first_of_equal_ones():
    assert THREE.labels(np.array([[0.4, 0.2], [0.4, 0.3], [0.2, 0.5]])).tolist() == [0, 2]


def test_the_sections_of_a_stack_are_labelled_each_by_itself():
    probability = two_classes((9, 11, 4))
    labels = Decoded("pred", CELLS, "label", section_axis=-1)({"pred": probability})["label"]
    for section in range(4):
        assert np.array_equal(labels[0, ..., section], CELLS.labels(probability[..., section]))


def test_a_metatensor_keeps_its_metadata():
    affine = torch.diag(torch.tensor([4.0, 5.0, 50.0, 1.0], dtype=torch.float64))
    image = MetaTensor(two_classes((20, 31)), affine=affine, meta={"filename_or_obj": "a"})
    labels = Decoded("pred", CELLS)({"pred": image})["pred"]
    assert torch.equal(labels.affine, affine)
    assert labels.meta["filename_or_obj"] == "a"


def test_the_transform_leaves_what_it_is_given_and_the_rest_of_the_sample():
    sample = {"pred": torch.as_tensor(two_classes((20, 31))), "image": "untouched"}
    result = Compose([Decoded("pred", CELLS, "label")])(sample)
    assert sample.keys() == {"pred", "image"}
    assert result["pred"] is sample["pred"]
    assert result["image"] == "untouched"


def test_a_sample_may_lack_predictions_if_it_is_allowed_to():
    assert Decoded("pred", CELLS, allow_missing_keys=True)({"image": 1}) == {"image": 1}
    with pytest.raises(KeyError, match="pred"):
        Decoded("pred", CELLS)({"image": 1})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"threshold": 1.5}, "threshold 1.5: expected a number of 0 to 1"),
        ({"min_size": -1}, "min_size -1: expected a number of pixels"),
        ({"classes": ("a",)}, "expected two or more"),
        ({"classes": ("a", "b", "c"), "objects": True}, "and two for objects"),
        ({"seed_depth": -0.1}, "seed_depth -0.1: expected a number of 0 to 1"),
        ({"separation": "distance"}, "separation 'distance': expected 'gap', or .* with objects"),
    ],
)
def test_values_that_make_no_sense_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Decoding(**{"classes": ("a", "b"), **wrong})


def test_objects_of_three_classes_are_refused():
    with pytest.raises(ValueError, match="objects are made of two classes; there are 3"):
        THREE.instances(np.zeros((3, 4, 5)))


def test_with_a_distance_two_cells_that_touch_are_two_objects():
    distances = Decoding(("background", "cell"), objects=True, separation="distance")
    inside = np.array([[0.3, 0.6, 0.9, 0.9, 0.6, 0.3, 0.3, 0.6, 0.9, 0.9, 0.6, 0.3, 0.0]])
    border = np.array([[1.0] * 12 + [0.2]]) - inside
    probability = np.stack([1 - inside - border, inside, border])
    assert distances.labels(probability).tolist() == [[1] * 6 + [2] * 6 + [0]]
    assert np.allclose(distances.foreground(probability)[0], inside + border)
    assert distances.class_map(probability).tolist() == [[1] * 12 + [0]]
    assert distances.channel_names == ("background", "cell", "border")


def test_the_foreground_of_classes_is_all_but_the_first():
    assert np.array_equal(THREE.foreground(np.arange(3)[:, None]), [[1], [2]])


def test_the_examples_in_the_docstrings_run():
    results = doctest.testmod(decoding)
    assert results.attempted >= 4
    assert results.failed == 0
