import pytest
import torch
from torch import nn

from monai_unet.networks import OriginalUNet
from monai_unet.networks.standardised_conv import RELU_GAIN, StandardisedConv2d, fold, standardised

WEIGHT = torch.randn(5, 4, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 7 + 3


def test_each_filter_has_mean_0_and_variance_of_one_over_the_incoming_nodes():
    weight = standardised(WEIGHT, torch.ones(5, 1, 1, 1)) / RELU_GAIN
    torch.testing.assert_close(weight.mean((1, 2, 3)), torch.zeros(5, dtype=torch.float64), atol=1e-12, rtol=0)
    torch.testing.assert_close(
        weight.var((1, 2, 3), unbiased=False), torch.full((5,), 1 / 36, dtype=torch.float64), rtol=1e-6, atol=0
    )


def test_the_gain_scales_its_own_channel():
    gain = torch.tensor([1.0, 2, 3, 4, 5], dtype=torch.float64).reshape(5, 1, 1, 1)
    torch.testing.assert_close(standardised(WEIGHT, gain), standardised(WEIGHT, torch.ones(5, 1, 1, 1)) * gain)


def test_the_layer_convolves_with_the_standardised_weights():
    layer = StandardisedConv2d(4, 5, 3).double()
    image = torch.rand(1, 4, 7, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = nn.functional.conv2d(image, standardised(layer.weight, layer.gain), layer.bias)
    assert torch.equal(layer(image), expected)


def test_a_filter_of_equal_weights_gives_no_nan():
    assert standardised(torch.ones(1, 2, 3, 3), torch.ones(1, 1, 1, 1)).isfinite().all()


def test_the_variance_stays_the_same_from_layer_to_layer():
    torch.manual_seed(0)
    first, *others = [StandardisedConv2d(32, 32, 3) for _ in range(6)]
    with torch.no_grad():
        before = after = first(torch.randn(1, 32, 64, 64))
        for layer in others:
            after = layer(after.relu())
    assert 0.7 < after.var() / before.var() < 1.4


def test_the_weights_keep_the_order_that_they_have_in_memory():
    weight = WEIGHT.to(memory_format=torch.channels_last)
    found = standardised(weight, torch.ones(5, 1, 1, 1))
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found, standardised(WEIGHT, torch.ones(5, 1, 1, 1)))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_gradients_are_those_of_the_formula(layout):
    weight = WEIGHT.to(memory_format=layout).requires_grad_()
    gain = torch.rand(5, 1, 1, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(standardised, (weight, gain))


@pytest.mark.parametrize(("spatial_dims", "size"), [(2, 44), (3, 44)])
def test_folded_weights_give_the_same_result_by_plain_convolutions(spatial_dims, size):
    torch.manual_seed(0)
    network = OriginalUNet(spatial_dims, features=(3, 5, 7), normalisation="weights").eval().double()
    with torch.no_grad():
        for name, value in network.named_parameters():
            if name.endswith(("gain", "bias")):
                value.uniform_(0.5, 2)
        image = torch.rand(1, 1, *[size] * spatial_dims, dtype=torch.float64)
        before = network(image)
        folded = fold(network)
        assert {type(module) for module in folded.modules() if hasattr(module, "kernel_size")} <= {
            *(nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.MaxPool2d, nn.MaxPool3d)
        }
        torch.testing.assert_close(folded(image), before, atol=1e-12, rtol=0)
    plain = OriginalUNet(spatial_dims, features=(3, 5, 7), normalisation="none")
    assert folded.state_dict().keys() == plain.state_dict().keys()


def test_a_network_that_normalises_nothing_is_left_as_it_is():
    network = OriginalUNet(features=(2, 4), normalisation="none")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    after = fold(network).state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
