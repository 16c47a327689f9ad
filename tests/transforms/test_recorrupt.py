import numpy as np
import pytest
import torch

from monai_unet.data.noisy import add_gaussian_noise, add_poisson_noise
from monai_unet.transforms import RandRecorruptd

MEAN, STD = 100.0, 40.0


def split(grey, noise, level, margin=0, seed=0):
    """Image and target, grey values, of grey values (1, H, W)."""
    normalised = torch.from_numpy((grey - MEAN).astype(np.float32) / STD)
    size = normalised.shape[-1] - margin
    sample = {"image": normalised, "label": normalised[:, margin:size, margin:size]}
    done = RandRecorruptd("image", noise=noise, level=level, mean=MEAN, std=STD, seed=seed)(sample)
    return tuple(done[key].numpy() * STD + MEAN for key in ("image", "label"))


def noisy(noise):
    clean = np.full((1, 400, 400), 90.0)
    return clean, add_gaussian_noise(clean, 25, 1) if noise == "gaussian" else add_poisson_noise(clean, 51, 1)


@pytest.mark.parametrize(("noise", "level"), [("gaussian", 25.0), ("poisson", 5.0)])
def test_the_noise_of_image_and_target_is_independent_and_of_mean_0(noise, level):
    clean, grey = noisy(noise)
    image, target = split(grey, noise, level)
    assert abs((image - clean).mean()) < 0.3
    assert abs((target - clean).mean()) < 0.7
    assert abs(np.corrcoef((image - clean).ravel(), (target - clean).ravel())[0, 1]) < 0.01


def test_gaussian_noise_grows_by_a_quarter_of_its_variance_in_the_image_and_fivefold_in_the_target():
    clean, grey = noisy("gaussian")
    image, target = split(grey, "gaussian", 25.0)
    assert (image - clean).var() == pytest.approx(1.25 * 625, rel=0.02)
    assert (target - clean).var() == pytest.approx(5 * 625, rel=0.02)


def test_no_particle_is_lost_or_counted_twice():
    _, grey = noisy("poisson")
    image, target = split(grey, "poisson", 5.0)
    assert np.allclose(0.8 * image + 0.2 * target, grey, atol=1e-3)


def test_the_target_is_of_the_middle():
    grey = np.arange(144.0).reshape(1, 12, 12)
    _, target = split(grey, "gaussian", 1e-4, margin=3)
    assert np.allclose(target, grey[:, 3:9, 3:9], atol=0.01)


def test_with_a_seed_the_same_numbers_are_drawn_every_time():
    _, grey = noisy("gaussian")
    assert np.array_equal(split(grey, "gaussian", 25.0)[0], split(grey, "gaussian", 25.0)[0])
    sample = {"image": torch.zeros(1, 4, 4), "label": torch.zeros(1, 4, 4)}
    free = RandRecorruptd("image", noise="gaussian", level=25.0).set_random_state(3)
    assert not torch.equal(free(sample)["image"], free(sample)["image"])


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"noise": "speckle", "level": 5}, "noise_model 'speckle'"),
        ({"level": 5}, "noise_model None"),
        ({"noise": "gaussian", "level": 0}, "noise_level 0"),
        ({"noise": "gaussian"}, "noise_level None"),
    ],
)
def test_noise_that_it_does_not_know_is_refused(wrong, reason):
    with pytest.raises(ValueError, match=reason):
        RandRecorruptd("image", **wrong)


def test_a_target_of_another_size_is_refused():
    split_in_two = RandRecorruptd("image", noise="gaussian", level=25.0)
    with pytest.raises(ValueError, match="does not have a target"):
        split_in_two({"image": torch.zeros(1, 9, 9), "label": torch.zeros(1, 4, 4)})
