import numpy as np
import pytest
import tifffile
import torch

from monai_unet.export.compare import check, compare_networks, difference, random_inputs, real_input, table


def test_random_input_has_several_valid_sizes_and_a_batch_of_two(model):
    shapes = [tuple(x.shape) for x in random_inputs(model)]
    assert shapes == [(1, 1, 44, 44), (2, 1, 44, 48), (1, 1, 64, 60)]
    low, high = ((grey - model.exposure.mean) / model.exposure.std for grey in model.value_range)
    assert all(low <= x.min() and x.max() <= high for x in random_inputs(model))


def test_the_same_network_does_not_differ_and_another_one_does(model):
    image = torch.full((1, 1, 70, 61), 100.0)
    same = compare_networks(model, model.network, model.network, image)
    assert [d.largest for d in same] == [0, 0, 0, 0]
    assert same[-1].what == "real image"
    check(same)
    other = compare_networks(
        model, model.network, lambda x: model.network(x) + torch.tensor([0, 1])[:, None, None], None
    )
    with pytest.raises(ValueError, match=r"differs from the network by .* in probability \(random\); 1e-04 is allowed"):
        check(other)


def test_what_is_not_a_number_is_a_difference():
    nan = difference("x", (1,), torch.tensor([float("nan")]), torch.tensor([0.0]))
    with pytest.raises(ValueError, match="by inf"):
        check([nan])


def test_another_shape_is_an_error():
    with pytest.raises(ValueError, match=r"outputs \(1, 2\), the network \(1, 3\)"):
        difference("x", (1,), torch.zeros(1, 3), torch.zeros(1, 2))


def test_the_table_has_a_row_for_each_input():
    rows = table([difference("real image", (1, 1, 5), torch.tensor([0.5]), torch.tensor([0.25]))]).splitlines()
    assert rows[-1] == "| real image | 1 x 1 x 5 | 2.5e-01 |"


def test_the_middle_of_a_real_image_is_taken(model, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (3, 900, 40), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack")
    assert np.array_equal(real_input(tmp_path / "a.tif", model)[0, 0].numpy(), pixels[1, 100:800])
