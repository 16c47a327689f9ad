import numpy as np
import pytest
import torch

from monai_unet.inferers import OverlapTileInferer
from monai_unet.inferers.rotations import VERSIONS, mean_over_rotations, rotated, rotated_back
from monai_unet.networks import OriginalUNet

IMAGE = torch.arange(2 * 3 * 5, dtype=torch.float64).reshape(1, 2, 3, 5)


def network(spatial_dims=2):
    torch.manual_seed(0)
    return OriginalUNet(spatial_dims, features=(2, 3, 4)).double().eval()


@pytest.mark.parametrize("version", VERSIONS)
def test_turning_back_gives_the_image_back_to_the_last_bit(version):
    assert torch.equal(rotated_back(rotated(IMAGE, *version), *version), IMAGE)


def test_the_eight_versions_are_all_different():
    versions = [rotated(IMAGE, *version) for version in VERSIONS]
    assert len({(version.shape, tuple(version.flatten().tolist())) for version in versions}) == 8


def test_one_version_leaves_the_logits_alone():
    assert torch.equal(mean_over_rotations(lambda x: 3 * x, IMAGE, 1), 3 * IMAGE)


def test_probabilities_are_averaged_not_logits():
    def corner(x):  # sure of class 1 in the upper left corner of whatever it sees, undecided elsewhere
        logits = torch.zeros(1, 2, *x.shape[2:], dtype=torch.float64)
        logits[0, 1, 0, 0] = 100
        return logits

    mean = mean_over_rotations(corner, torch.zeros(1, 1, 4, 4), 4).softmax(1)[0, 1]
    expected = torch.full((4, 4), 0.5, dtype=torch.float64)
    expected[[0, 0, 3, 3], [0, 3, 0, 3]] = (1 + 3 * 0.5) / 4
    torch.testing.assert_close(mean, expected)


def test_grey_values_are_averaged_as_they_are():
    def corner(x):  # 8 in the upper left corner of whatever it sees
        grey = torch.zeros_like(x)
        grey[..., 0, 0] = 8
        return grey

    mean = mean_over_rotations(corner, torch.zeros(1, 1, 4, 4), 4, grey_values=True)
    expected = torch.zeros(1, 1, 4, 4)
    expected[..., [0, 0, 3, 3], [0, 3, 0, 3]] = 2
    torch.testing.assert_close(mean, expected)


def test_a_class_without_a_chance_has_a_finite_logarithm():
    def sure(x):
        return torch.stack([x[:, 0] * 0, x[:, 0] * 0 + 2000], 1)

    assert mean_over_rotations(sure, IMAGE, 2).isfinite().all()


@pytest.mark.parametrize("size", [(3, 90), (61, 44), (130, 97)])
@pytest.mark.parametrize("tile", [20, 37])
def test_tiled_equals_untiled_with_rotations(size, tile):
    net = network()
    image = torch.rand(1, 1, *size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    margin = net.geometry.margin
    pad = [(margin, net.geometry.input_size_for(n) - n - margin) for n in size]
    padded = torch.from_numpy(np.pad(image.numpy(), [(0, 0), (0, 0), *pad], mode="reflect"))
    with torch.no_grad():
        tiled = OverlapTileInferer(tile, rotations=7)(image, net).softmax(1)
        # the untiled network on the whole image, turned by NumPy
        total = 0
        for turns, mirrored in VERSIONS[:7]:
            turned = np.rot90(padded.numpy(), turns, (2, 3))
            turned = (turned[..., ::-1] if mirrored else turned).copy()
            out = net(torch.from_numpy(turned)).softmax(1).numpy()
            total = total + np.rot90(out[..., ::-1] if mirrored else out, -turns, (2, 3))
    untiled = total[..., : size[0], : size[1]] / 7
    assert np.abs(tiled.numpy() - untiled).max() < 1e-12


def test_sections_of_a_3d_network_are_turned_in_their_plane():
    net, image = network(3), torch.rand(1, 1, 9, 12, 20, dtype=torch.float64)
    with torch.no_grad():
        result = OverlapTileInferer(20, spatial_dims=3, rotations=2)(image, net)
    assert result.shape == (1, 2, 9, 12, 20)


@pytest.mark.parametrize("rotations", [0, 9])
def test_a_number_of_versions_that_there_is_not_is_refused(rotations):
    with pytest.raises(ValueError, match=f"rotations {rotations}: 1 .* to 8"):
        OverlapTileInferer(20, rotations=rotations)
