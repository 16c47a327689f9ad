import doctest
import tracemalloc

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, EnsureTyped
from scipy import ndimage

from monai_unet.transforms import WeightMap, WeightMapd, border_weight_map, class_balance, weight_map


def by_definition(labels, w0=10.0, sigma=5.0):
    """One distance transform a cell, the two smallest."""
    d1 = np.full(labels.shape, np.inf)
    d2 = d1.copy()
    for cell in np.unique(labels[labels != 0]):
        distance = ndimage.distance_transform_edt(labels != cell)
        d2 = np.minimum(d2, np.maximum(d1, distance))
        d1 = np.minimum(d1, distance)
    return np.where(labels == 0, w0 * np.exp(-((d1 + d2) ** 2) / (2 * sigma**2)), 0)


def blobs(shape, seed, threshold=0.0):
    """Connected parts of smooth noise; threshold in standard deviations, the higher the sparser."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 3, mode="wrap")
    return ndimage.label(noise > threshold * noise.std())[0]


def specks(shape, seed, share=0.02, num_cells=5):
    """Single pixels with few labels: no cell is in one piece, and nearest cells change from pixel to pixel."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(shape) < share, rng.integers(1, num_cells + 1, shape), 0)


def peak_memory(labels):
    tracemalloc.start()
    border_weight_map(labels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def grid_of_cells(size, period, gap):
    """Square cells on a lattice, numbered from 1."""
    position = np.arange(size)
    inside = position % period >= gap
    number = position // period
    return np.where(inside[:, None] & inside, number[:, None] * (number[-1] + 1) + number + 1, 0)


# the border term


@pytest.mark.parametrize("make", [blobs, specks])
@pytest.mark.parametrize("shape", [(64, 91), (91, 64), (1, 200), (200, 1), (13, 40, 27), (40, 5, 33), (1, 30, 41)])
def test_the_border_term_is_that_of_the_definition(make, shape):
    labels = make(shape, seed=sum(shape))
    np.testing.assert_allclose(border_weight_map(labels), by_definition(labels), rtol=0, atol=2e-5)


@pytest.mark.parametrize("sigma", [0.1, 0.5, 1.0, 2.3, 20.0, 1000.0])
@pytest.mark.parametrize("w0", [1e-3, 1.0, 10.0, 1000.0])
def test_the_border_term_is_that_of_the_definition_for_any_w0_and_sigma(w0, sigma):
    for labels in (blobs((50, 61), seed=1, threshold=1.0), specks((9, 20, 31), seed=2, share=0.003)):
        expected = by_definition(labels, w0, sigma)
        np.testing.assert_allclose(border_weight_map(labels, w0, sigma), expected, rtol=1e-6, atol=2e-5)


@pytest.mark.parametrize("seed", range(40))
def test_the_border_term_is_that_of_the_definition_on_small_images(seed):
    rng = np.random.default_rng(seed)
    shape = rng.integers(1, 12, rng.integers(2, 4))
    labels = specks(shape, seed, share=rng.choice([0.02, 0.1, 0.5, 0.95]), num_cells=rng.integers(1, 6))
    np.testing.assert_allclose(border_weight_map(labels), by_definition(labels), rtol=0, atol=2e-5)


def test_a_gap_of_one_pixel_weighs_exp_of_minus_4_over_50_of_w0():
    weight = border_weight_map(np.array([[1, 1, 0, 2, 2]]), w0=10, sigma=5)
    np.testing.assert_allclose(weight, [[0, 0, 10 * np.exp(-4 / 50), 0, 0]], rtol=1e-6)


def test_the_distances_are_those_to_the_two_nearest_cells_and_not_to_the_two_nearest_pixels():
    labels = np.array([[7, 0, 7, 7, 7, 3]])  # the cell 7 on both sides of the gap, 3 four pixels away
    np.testing.assert_allclose(border_weight_map(labels)[0, 1], 10 * np.exp(-(5**2) / 50), rtol=1e-6)


def test_the_weight_is_0_inside_cells_that_touch():
    labels = np.array([[1, 1, 2, 2], [1, 2, 2, 3]])
    assert not border_weight_map(labels).any()


@pytest.mark.parametrize("labels", [np.zeros((5, 7), int), np.eye(5, 7, dtype=int), np.zeros((0, 4), int)])
def test_the_weight_is_0_everywhere_with_fewer_than_two_cells(labels):
    weight = border_weight_map(labels)
    assert weight.shape == labels.shape
    assert not weight.any()


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64, ">u2"])
def test_only_which_pixels_share_a_number_counts_not_the_number(dtype):
    labels = specks((30, 41), seed=3)
    numbers = np.array([0, np.iinfo(dtype).max, 2, 100, 1, 3], dtype)
    assert np.array_equal(border_weight_map(numbers[labels]), border_weight_map(labels))


def test_the_layout_in_memory_does_not_matter():
    labels = blobs((30, 41), seed=3)
    assert np.array_equal(border_weight_map(np.asfortranarray(labels)), border_weight_map(labels))
    assert np.array_equal(border_weight_map(labels.T[::-1]), border_weight_map(labels).T[::-1])


def test_the_labels_are_not_changed():
    labels = blobs((30, 41), seed=4)
    labels.setflags(write=False)
    before = labels.copy()
    border_weight_map(labels)
    assert np.array_equal(labels, before)


def test_a_volume_looks_across_sections():
    volume = np.zeros((5, 3, 4), int)
    volume[0], volume[4] = 1, 2
    assert not any(border_weight_map(section).any() for section in volume)
    np.testing.assert_allclose(border_weight_map(volume)[1:4], 10 * np.exp(-16 / 50), rtol=1e-6)


def test_the_border_term_is_float32():
    assert border_weight_map(blobs((20, 21), seed=5)).dtype == np.float32


def test_w0_of_0_leaves_no_border_term():
    assert not border_weight_map(blobs((20, 21), seed=5), w0=0).any()


def test_memory_does_not_grow_with_the_number_of_cells():
    few, many = grid_of_cells(256, period=64, gap=4), grid_of_cells(256, period=16, gap=1)  # as much background
    assert (few.max(), many.max()) == (16, 256)
    assert (few == 0).mean() == pytest.approx((many == 0).mean(), abs=0.01)
    assert peak_memory(many) < 1.1 * peak_memory(few)


@pytest.mark.parametrize("labels", [np.ones((4, 5), np.float32), np.ones((4, 5), bool)])
def test_labels_of_another_type_than_integer_are_refused(labels):
    with pytest.raises(TypeError, match=f"labels are {labels.dtype}, expected an integer type"):
        border_weight_map(labels)


def test_negative_labels_are_refused():
    with pytest.raises(ValueError, match="labels go down to -2"):
        border_weight_map(np.array([[0, -2, 3]]))


@pytest.mark.parametrize("shape", [(4,), (1, 1, 4, 5)])
def test_labels_with_another_number_of_axes_are_refused(shape):
    with pytest.raises(ValueError, match=r"expected \(H, W\) or \(D, H, W\)"):
        border_weight_map(np.zeros(shape, int))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"w0": -1.0}, "w0 is -1.0, expected 0 or more"),
        ({"w0": np.inf}, "w0 is inf"),
        ({"sigma": 0.0}, "sigma is 0.0, expected more than 0"),
        ({"sigma": np.nan}, "sigma is nan"),
    ],
)
def test_parameters_out_of_range_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        border_weight_map(np.zeros((2, 2), int), **parameters)
    with pytest.raises(ValueError, match=message):
        WeightMapd(**parameters)


# the class balance


def test_both_classes_together_weigh_the_same():
    foreground = np.random.default_rng(0).random((30, 41)) < 0.8
    weight = class_balance(foreground)
    assert weight[foreground].sum() == pytest.approx(weight[~foreground].sum(), rel=1e-5)


def test_the_balance_is_1_in_the_mean():
    assert class_balance(np.random.default_rng(0).random((30, 41)) < 0.8).mean() == pytest.approx(1, rel=1e-5)


def test_a_class_that_covers_a_quarter_weighs_three_times_the_other():
    np.testing.assert_allclose(class_balance(np.array([0, 255, 255, 255])), [2, 2 / 3, 2 / 3, 2 / 3], rtol=1e-6)


@pytest.mark.parametrize("foreground", [np.zeros((2, 3)), np.ones((2, 3))])
def test_where_a_class_is_absent_the_other_one_weighs_1(foreground):
    assert np.array_equal(class_balance(foreground), np.ones((2, 3), np.float32))


def test_unknown_pixels_weigh_0_and_are_not_counted():
    foreground, ignore = np.array([1, 0, 0, 0, 1, 1]), np.array([0, 0, 0, 0, 1, 1])
    np.testing.assert_allclose(class_balance(foreground, ignore), [2, 2 / 3, 2 / 3, 2 / 3, 0, 0], rtol=1e-6)


def test_the_balance_is_0_where_nothing_is_known():
    assert not class_balance(np.eye(3), np.ones((3, 3))).any()


def test_an_ignore_mask_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"ignore has shape \(3, 1\), expected that of the classes, \(3, 3\)"):
        class_balance(np.eye(3), np.ones((3, 1)))
    with pytest.raises(ValueError, match=r"ignore has shape \(1, 3, 4\), expected that of the labels, \(1, 3, 3\)"):
        WeightMap()(np.eye(3, dtype=int)[None], np.ones((1, 3, 4)))


# the transforms


@pytest.mark.parametrize("shape", [(1, 40, 51), (1, 9, 20, 31)])
def test_the_weight_map_is_class_balance_plus_border_term(shape):
    labels = blobs(shape[1:], seed=6)
    weight = WeightMap(w0=7, sigma=3)(labels[None])
    assert (weight.shape, weight.dtype) == (shape, np.float32)
    np.testing.assert_allclose(weight[0], class_balance(labels > 0) + by_definition(labels, 7, 3), atol=1e-4)


def test_without_balance_w_c_is_1():
    labels = blobs((40, 51), seed=6)
    assert np.array_equal(WeightMap(balance=False)(labels[None])[0], 1 + border_weight_map(labels))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, bool])
def test_components_takes_each_connected_part_as_a_cell(dtype):
    labels = blobs((40, 51), seed=7)
    foreground = ((labels > 0) * 255).astype(dtype)
    assert np.array_equal(WeightMap(components=True)(foreground[None]), WeightMap()(labels[None]))


def test_parts_that_meet_at_a_corner_are_two_cells():
    corner = np.array([[[255, 0], [0, 255]]])
    weight = WeightMap(balance=False, components=True)(corner)
    np.testing.assert_allclose(weight, [[[1, 1 + 10 * np.exp(-4 / 50)], [1 + 10 * np.exp(-4 / 50), 1]]], rtol=1e-6)


@pytest.mark.parametrize("balance", [True, False])
def test_unknown_pixels_have_no_weight(balance):
    labels, ignore = np.array([[[1, 0, 2, 0, 3]]]), np.array([[[0, 0, 0, 255, 0]]])
    weight = WeightMap(balance=balance)(labels, ignore)
    assert weight[0, 0, 3] == 0
    assert weight[0, 0, 1] > 9


def test_the_dictionary_transform_adds_the_weight_and_leaves_the_rest():
    sample = {"label": blobs((20, 31), seed=8)[None], "image": "untouched"}
    result = WeightMapd(keys="label", weight_key="weight", w0=7, sigma=3)(sample)
    assert set(sample) == {"label", "image"}
    assert (result["label"] is sample["label"], result["image"]) == (True, "untouched")
    assert np.array_equal(result["weight"], WeightMap(w0=7, sigma=3)(sample["label"]))


def test_the_dictionary_transform_reads_what_is_unknown_from_the_sample():
    sample = {"label": np.array([[[1, 0, 2]]]), "unknown": np.array([[[0, 1, 0]]])}
    assert WeightMapd(ignore_key="unknown")(sample)["weight"].tolist() == [[[1, 0, 1]]]


def test_each_label_has_its_own_weight():
    sample = {"cell": blobs((20, 31), seed=8)[None], "nucleus": blobs((20, 31), seed=9)[None]}
    result = WeightMapd(keys=["cell", "nucleus"], weight_key=["cell_weight", "nucleus_weight"])(sample)
    assert np.array_equal(result["cell_weight"], WeightMap()(sample["cell"]))
    assert np.array_equal(result["nucleus_weight"], WeightMap()(sample["nucleus"]))


def test_a_sample_may_lack_labels_if_it_is_allowed_to():
    assert WeightMapd(allow_missing_keys=True)({"image": 1}) == {"image": 1}
    with pytest.raises(KeyError, match="label"):
        WeightMapd()({"image": 1})


def test_a_tensor_comes_back_as_a_tensor():
    labels = blobs((20, 31), seed=8)[None]
    weight = WeightMap()(torch.from_numpy(labels))
    assert (type(weight), weight.dtype) == (torch.Tensor, torch.float32)
    assert np.array_equal(weight.numpy(), WeightMap()(labels))


def test_a_metatensor_keeps_the_metadata_of_the_labels():
    affine = torch.diag(torch.tensor([4.0, 5.0, 50.0, 1.0], dtype=torch.float64))
    labels = MetaTensor(torch.from_numpy(blobs((20, 31), seed=8)[None]), affine=affine, meta={"filename_or_obj": "a"})
    weight = WeightMap()(labels)
    assert (type(weight), weight.dtype) == (MetaTensor, torch.float32)
    assert torch.equal(weight.affine, affine)
    assert weight.meta["filename_or_obj"] == "a"


def test_it_runs_in_a_monai_pipeline_on_labels_that_were_read_as_float():
    pipeline = Compose([EnsureTyped(keys="label", dtype=torch.int32), WeightMapd()])
    labels = blobs((20, 31), seed=8)[None]
    weight = pipeline({"label": labels.astype(np.float32)})["weight"]
    assert np.array_equal(weight.numpy(), WeightMap()(labels))


def test_instance_labels_that_are_float_are_refused():
    with pytest.raises(TypeError, match="labels are float32"):
        WeightMap()(torch.ones(1, 4, 5))


@pytest.mark.parametrize("shape", [(20, 31), (2, 20, 31), (1, 1, 4, 5, 6)])
def test_labels_without_exactly_one_channel_are_refused(shape):
    with pytest.raises(ValueError, match="expected one channel"):
        WeightMap()(np.zeros(shape, int))


def test_the_examples_in_the_docstrings_run():
    results = doctest.testmod(weight_map)
    assert results.attempted >= 4
    assert results.failed == 0


def test_the_classes_of_a_map_are_balanced_instead_of_background_and_cells():
    classes = np.array([[[0, 0, 1, 2, 2, 2]]])
    weight = WeightMapd(keys="cells", w0=0, class_key="label")({"cells": (classes > 0) * 1, "label": classes})["weight"]
    np.testing.assert_allclose(weight, [[[1, 1, 2, 2 / 3, 2 / 3, 2 / 3]]], rtol=1e-6)
