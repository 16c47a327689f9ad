import math

import pytest
import torch
from torch import nn

from monai_unet.networks import OriginalUNet

NARROW = (4, 8, 16, 32, 64)


def test_the_default_network_has_the_papers_parameters_and_layers():
    network = OriginalUNet()
    layers = [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d))]
    assert sum(p.numel() for p in network.parameters()) == 31_030_658
    assert len(layers) == 23


@pytest.mark.slow
def test_the_default_network_turns_572_into_388_pixels():
    with torch.no_grad():
        assert OriginalUNet().eval()(torch.zeros(1, 1, 572, 572)).shape == (1, 2, 388, 388)


@pytest.mark.parametrize("variant", ["paper", "release"])
@pytest.mark.parametrize(("convs", "features"), [(1, (3, 4)), (2, (3, 4, 5)), (3, (3, 4, 5)), (2, NARROW)])
def test_the_output_has_the_size_that_the_geometry_says(variant, convs, features):
    network = OriginalUNet(features=features, convs_per_block=convs, variant=variant, out_channels=3).eval()
    height = network.geometry.smallest_input
    width = height + 2 * network.geometry.stride
    output = network(torch.zeros(2, 1, height, width))
    assert output.shape == (2, 3, network.geometry.output_size(height), network.geometry.output_size(width))


def test_volumes_go_through_the_3d_network():
    network = OriginalUNet(spatial_dims=3, features=(2, 3, 4)).eval()
    assert network(torch.zeros(1, 1, 44, 44, 48)).shape == (1, 2, 4, 4, 8)


@pytest.mark.parametrize("variant", ["paper", "release"])
def test_torchscript_computes_the_same(variant):
    network = OriginalUNet(features=(3, 5, 7), variant=variant).eval()
    image = torch.rand(1, 1, 44, 60, generator=torch.Generator().manual_seed(0))
    assert torch.equal(torch.jit.script(network)(image), network(image))


@pytest.mark.parametrize("scripted", [False, True])
def test_a_wrong_size_is_refused_with_the_nearest_that_fit(scripted):
    network = OriginalUNet(features=NARROW).eval()
    network = torch.jit.script(network) if scripted else network
    with pytest.raises((ValueError, torch.jit.Error), match="nearest to 500: 492 and 508"):
        network(torch.zeros(1, 1, 572, 500))


def test_the_first_and_the_last_output_pixel_see_the_input_to_its_edges_so_no_margin_is_wasted():
    network = OriginalUNet(features=(2, 3, 4), dropout=0.0).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()  # all positive, so that no ReLU hides a path
    dark = torch.zeros(1, 1, 60, 60, dtype=torch.float64)
    for corner, opposite in ((0, -1), (-1, 0)):
        bright = dark.clone()
        bright[..., corner, corner] = 1  # the largest value, so that no pooling hides it
        change = network(bright) - network(dark)
        assert change[0, 1, corner, corner] > 0
        assert change[0, 1, opposite, opposite] == 0


def test_the_upsampled_map_comes_first_in_the_concatenation():
    network = OriginalUNet(features=(2, 4), convs_per_block=1).eval()
    first = network.expanding[0][0]
    assert first.weight.shape[1] == 4
    with torch.no_grad():
        first.weight[:, 2:] = 0  # cut the skip connection
        image = torch.rand(1, 1, 18, 18, generator=torch.Generator().manual_seed(0))
        before = network(image)
        network.upsampling[0][0].weight.zero_()
        network.upsampling[0][0].bias.zero_()
        after = network(image)
    assert not torch.equal(before, after)
    assert torch.allclose(after, after[:, :, :1, :1].expand_as(after)), "nothing of the image may be left"


def test_the_release_keeps_128_channels_in_the_last_up_convolution_and_rectifies():
    network = OriginalUNet(variant="release")
    last = network.upsampling[-1]
    assert last[0].out_channels == 128
    assert isinstance(last[1], nn.ReLU)
    assert network.expanding[-1][0].in_channels == 192


def test_dropout_ends_the_two_lowest_levels_and_only_them():
    network = OriginalUNet(features=NARROW, dropout=0.5)
    assert [isinstance(block[-1], nn.Dropout) for block in network.contracting] == [False, False, False, True, True]
    assert not any(isinstance(m, nn.Dropout) for m in network.expanding.modules())


def test_weights_start_with_the_papers_deviation_and_biases_at_zero():
    torch.manual_seed(0)
    network = OriginalUNet()
    convolution = network.contracting[1][0]  # 64 channels, 3 x 3: N = 576
    assert convolution.weight.std().item() == pytest.approx(math.sqrt(2 / 576), rel=0.02)
    up = network.upsampling[0][0]  # 1024 channels, one pixel of each: N = 1024
    assert up.weight.std().item() == pytest.approx(math.sqrt(2 / 1024), rel=0.02)
    assert all(not m.bias.any() for m in network.modules() if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d)))


def test_a_residual_network_with_a_zero_head_begins_at_its_image():
    network = OriginalUNet(features=(2, 3), out_channels=1, residual=True, zero_head=True)
    image = torch.rand(1, 1, 24, 24, generator=torch.Generator().manual_seed(0))
    margin = network.geometry.margin
    assert torch.equal(network(image), image[..., margin:-margin, margin:-margin])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"spatial_dims": 1}, "spatial_dims 1"),
        ({"features": (8,)}, "expected two or more levels"),
        ({"variant": "caffe"}, "one of paper, release"),
    ],
)
def test_arguments_that_make_no_network_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        OriginalUNet(**arguments)


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_torchscript_computes_the_same_with_normalised_weights(spatial_dims):
    network = OriginalUNet(spatial_dims, features=(3, 5, 7), normalisation="weights").eval()
    image = torch.rand(1, 1, *[44] * spatial_dims, generator=torch.Generator().manual_seed(0))
    assert torch.equal(torch.jit.script(network)(image), network(image))


def test_normalised_weights_add_one_parameter_a_channel_of_each_3x3_convolution():
    plain, normalised = (
        sum(p.numel() for p in OriginalUNet(features=(2, 4, 8), normalisation=name).parameters())
        for name in ("none", "weights")
    )
    assert normalised - plain == 2 * (2 + 4 + 8 + 4 + 2)


def test_an_unknown_normalisation_is_refused():
    with pytest.raises(ValueError, match="normalisation 'batch': one of none, weights"):
        OriginalUNet(normalisation="batch")
