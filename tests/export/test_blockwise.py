"""The wrapped network in a block with its halo is the untiled prediction, whatever the size of the block."""

import pytest
import torch
from halos import with_halo, without_halo

from monai_unet.export.blockwise import BlockwiseUNet
from monai_unet.inferers import OverlapTileInferer
from monai_unet.networks import OriginalUNet


@pytest.mark.parametrize(
    ("features", "convs", "halo"), [((2, 3, 4, 5, 6), 2, 112), ((2, 3, 4), 2, 24), ((2, 3), 1, 5), ((2, 3, 4), 3, 34)]
)
def test_the_halo_follows_from_the_geometry(features, convs, halo):
    wrapped = BlockwiseUNet(OriginalUNet(features=features, convs_per_block=convs))
    assert wrapped.halo == halo
    assert (2 * wrapped.halo) % wrapped.stride == 0


@pytest.mark.parametrize("scripted", [False, True])
@pytest.mark.parametrize(("sizes", "rotations"), [((61, 67), 1), ((64, 20), 7), ((1, 30), 8), ((9, 13, 6), 1)])
def test_a_block_of_any_size_is_predicted_as_the_overlap_tiles_are(sizes, rotations, scripted):
    torch.manual_seed(0)
    network = OriginalUNet(len(sizes), features=(2, 3, 4), out_channels=3, normalisation="weights").double().eval()
    wrapped = BlockwiseUNet(network, rotations).eval()
    image = torch.randn(2, 1, *sizes, dtype=torch.float64)
    with torch.inference_mode():
        expected = OverlapTileInferer(1000, spatial_dims=len(sizes), rotations=rotations)(image, network).softmax(1)
        found = (torch.jit.script(wrapped) if scripted else wrapped)(with_halo(image, wrapped.halo))
    assert found.shape == (2, 3, *[n + 2 * wrapped.halo for n in sizes])
    assert torch.allclose(without_halo(found, wrapped.halo), expected, atol=1e-12)


def test_grey_values_come_out_as_the_network_gives_them():
    torch.manual_seed(0)
    network = OriginalUNet(features=(2, 3), out_channels=1).double().eval()
    wrapped = torch.jit.script(BlockwiseUNet(network, rotations=3, grey_values=True).eval())
    halo = wrapped.halo
    image = torch.randn(1, 1, 21, 30, dtype=torch.float64)
    with torch.inference_mode():
        expected = OverlapTileInferer(1000, rotations=3, grey_values=True)(image, network)
        assert torch.allclose(without_halo(wrapped(with_halo(image, halo)), halo), expected, atol=1e-12)


def test_neighbouring_blocks_on_the_lattice_join_without_a_seam():
    torch.manual_seed(0)
    wrapped = BlockwiseUNet(OriginalUNet(features=(2, 3, 4)).double()).eval()
    image = with_halo(torch.randn(1, 1, 24, 40, dtype=torch.float64), wrapped.halo)
    width = 16 + 2 * wrapped.halo
    with torch.inference_mode():
        whole = without_halo(wrapped(image), wrapped.halo)
        blocks = [without_halo(wrapped(image[..., left : left + width]), wrapped.halo) for left in (0, 16, 24)]
    joined = torch.cat([blocks[0], blocks[1][..., :8], blocks[2]], dim=-1)
    assert torch.allclose(joined, whole, atol=1e-12)


def test_a_block_that_is_all_halo_is_refused():
    with pytest.raises(ValueError, match="too small: more than 48 a side"):
        BlockwiseUNet(OriginalUNet(features=(2, 3, 4)))(torch.zeros(1, 1, 48, 60))
