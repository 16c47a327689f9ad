import pytest
import torch

from monai_unet.inferers import OverlapTileInferer
from monai_unet.inferers.rotations import mean_over_rotations
from monai_unet.networks import (
    Ensemble,
    OriginalUNet,
    bytes_of_others,
    fold,
    for_weights,
    load_weights,
    num_members,
    together,
)

SIZE = 60


def network(seed):
    torch.manual_seed(seed)
    return fold(OriginalUNet(features=(4, 8, 16), normalisation="weights")).eval()


@pytest.fixture
def image():
    return torch.randn(1, 1, SIZE, SIZE + 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("count", [2, 3, 5])
@torch.no_grad()
def test_copies_of_one_network_predict_what_it_predicts(image, count):
    one = network(0)
    together_ = Ensemble([one] * count)(image).softmax(1)
    torch.testing.assert_close(together_, one(image).softmax(1), atol=2e-7, rtol=0)


@torch.no_grad()
def test_an_ensemble_predicts_the_mean_of_its_members_probabilities(image):
    members = [network(seed).double() for seed in range(3)]
    mean = torch.stack([member(image.double()).softmax(1) for member in members]).mean(0)
    torch.testing.assert_close(Ensemble(members)(image.double()).softmax(1), mean, atol=1e-15, rtol=0)


@torch.no_grad()
def test_grey_values_are_averaged_as_they_are(image):
    members = [network(seed) for seed in range(2)]
    mean = (members[0](image) + members[1](image)) / 2
    assert torch.equal(Ensemble(members, grey_values=True)(image), mean)


@torch.no_grad()
def test_a_class_that_no_member_gives_a_chance_keeps_a_finite_logit(image):
    one = network(0)
    one.head.weight.data.zero_()
    one.head.bias.data = torch.tensor([-300.0, 300.0])
    assert Ensemble([one, one])(image).isfinite().all()


@torch.no_grad()
def test_the_rotations_of_an_ensemble_are_averaged_over_members_and_rotations(image):
    members = [network(seed).double() for seed in range(2)]
    mean = torch.stack([mean_over_rotations(one, image.double(), 8).softmax(1) for one in members]).mean(0)
    predicted = mean_over_rotations(Ensemble(members), image.double(), 8).softmax(1)
    torch.testing.assert_close(predicted, mean, atol=1e-14, rtol=0)


@torch.no_grad()
def test_tiled_equals_untiled():
    image = torch.randn(1, 1, 75, 101, generator=torch.Generator().manual_seed(0)).double()
    ensemble = Ensemble([network(seed).double() for seed in range(2)])
    tiled, whole = (OverlapTileInferer(tile=tile)(image, ensemble) for tile in (16, 500))
    torch.testing.assert_close(tiled.softmax(1), whole.softmax(1), atol=1e-12, rtol=0)


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / f"fold_{number}.pt" for number in (1, 2)]
    for seed, path in enumerate(paths):
        torch.save(network(seed).state_dict(), path)
    return paths


@torch.no_grad()
def test_the_weights_of_members_make_a_file_from_which_the_ensemble_comes_back(files, tmp_path, image):
    path = tmp_path / "model.pt"
    torch.save(together(files), path)
    back = for_weights(network(7), path).eval()
    load_weights(back, path)
    assert len(back.members) == num_members(torch.load(path)) == 2
    assert torch.equal(back(image), Ensemble([network(0), network(1)])(image))


def test_the_weights_of_one_network_want_no_ensemble(files, tmp_path):
    one = network(7)
    assert for_weights(one, files[0]) is one
    assert for_weights(one, tmp_path / "none.pt") is one


def test_an_ensemble_in_place_of_one_network_is_refused_by_name(files, tmp_path):
    torch.save(together(files), tmp_path / "model.pt")
    with pytest.raises(ValueError, match=r"model\.pt holds an ensemble, and a single network is wanted"):
        load_weights(network(0), tmp_path / "model.pt")


@torch.no_grad()
def test_a_scripted_ensemble_predicts_the_same(image):
    ensemble = Ensemble([network(seed) for seed in range(2)])
    torch.testing.assert_close(torch.jit.script(ensemble)(image), ensemble(image), atol=1e-5, rtol=0)


def test_the_weights_of_all_members_but_one_come_on_top_of_what_a_network_takes():
    one = network(0)
    weights = 4 * sum(parameter.numel() for parameter in one.parameters())
    assert bytes_of_others(Ensemble([one, network(1), network(2)])) == 2 * weights
    assert bytes_of_others(one) == 0
