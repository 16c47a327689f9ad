"""The network that mirrors an image by itself, and refuses what is not a whole image."""

import numpy as np
import pytest
import torch
from halos import with_halo, without_halo

from monai_unet.export.whole import WholeUNet, mirror
from monai_unet.inferers import OverlapTileInferer
from monai_unet.networks import OriginalUNet


@pytest.mark.parametrize(("size", "before", "wanted"), [(5, 12, 40), (2, 3, 9), (1, 4, 7), (30, 0, 31)])
def test_pixels_are_mirrored_as_numpy_mirrors_them(size, before, wanted):
    x = np.random.default_rng(0).random((2, size))
    expected = np.pad(x, [(0, 0), (before, wanted - before - size)], "reflect")
    assert np.array_equal(mirror(torch.from_numpy(x), 1, before, wanted).numpy(), expected)


@pytest.mark.parametrize("scripted", [False, True])
@pytest.mark.parametrize(
    ("sizes", "rotations"), [((61, 67), 1), ((64, 20), 7), ((1, 30), 8), ((1, 1), 1), ((9, 13, 6), 1)]
)
def test_an_image_of_any_size_is_predicted_as_the_overlap_tiles_are(sizes, rotations, scripted):
    torch.manual_seed(0)
    network = OriginalUNet(len(sizes), features=(2, 3, 4), out_channels=3, normalisation="weights").double().eval()
    wrapped = WholeUNet(network, rotations).eval()
    image = torch.randn(2, 1, *sizes, dtype=torch.float64)
    with torch.inference_mode():
        expected = OverlapTileInferer(1000, spatial_dims=len(sizes), rotations=rotations)(image, network).softmax(1)
        found = (torch.jit.script(wrapped) if scripted else wrapped)(with_halo(image, 1))
    assert found.shape == (2, 3, *[n + 2 for n in sizes])
    assert torch.allclose(without_halo(found, 1), expected, atol=1e-12)


def test_grey_values_come_out_as_the_network_gives_them():
    torch.manual_seed(0)
    network = OriginalUNet(features=(2, 3), out_channels=1).double().eval()
    image = torch.randn(1, 1, 21, 30, dtype=torch.float64)
    with torch.inference_mode():
        expected = OverlapTileInferer(1000, grey_values=True)(image, network)
        found = WholeUNet(network, grey_values=True).eval()(with_halo(image, 1))
    assert torch.allclose(without_halo(found, 1), expected, atol=1e-12)


@pytest.mark.parametrize("scripted", [False, True])
@pytest.mark.parametrize("left", [0, 7, 20], ids=["first", "inner", "last"])
def test_a_block_of_a_larger_image_is_refused(left, scripted):
    torch.manual_seed(0)
    wrapped = WholeUNet(OriginalUNet(features=(2, 3))).eval()
    block = with_halo(torch.randn(1, 1, 20, 40), 1)[..., left : left + 22]
    with pytest.raises((ValueError, torch.jit.Error), match="block of a larger image"):
        (torch.jit.script(wrapped) if scripted else wrapped)(block)


def test_without_errors_of_python_an_index_out_of_bounds_refuses_a_block():
    wrapped = WholeUNet(OriginalUNet(features=(2, 3)), raises=False).eval()
    with pytest.raises(IndexError, match="out of range"):
        wrapped(torch.randn(1, 1, 22, 22))


def test_of_a_block_of_three_pixels_comes_nothing_but_nan_in_the_size_of_the_block():
    found = WholeUNet(OriginalUNet(features=(2, 3))).eval()(torch.randn(2, 1, 5, 5))
    assert found.shape == (2, 2, 5, 5)
    assert without_halo(found, 1).isnan().all()
