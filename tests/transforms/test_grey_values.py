import pytest
import torch
from monai.transforms import RandAdjustContrastd, RandGaussianNoised, RandGaussianSmoothd

from monai_unet.transforms import RandBlurd, RandGammad, RandNoised

PAIRS = [
    (RandGammad, RandAdjustContrastd, {"gamma": (0.7, 1.3)}),
    (RandBlurd, RandGaussianSmoothd, {"sigma_x": (0.0, 1.5), "sigma_y": (0.0, 1.5)}),
    (RandNoised, RandGaussianNoised, {"std": 0.2}),
    (RandNoised, RandGaussianNoised, {"std": 0.2, "mean": 0.1, "sample_std": False}),
]


@pytest.mark.parametrize(("ours", "monais", "settings"), PAIRS)
def test_on_a_cpu_the_tiles_are_monais_bit_for_bit(ours, monais, settings):
    image = torch.randn(1, 30, 21, generator=torch.Generator().manual_seed(0))
    one, other = (each("image", prob=0.5, **settings).set_random_state(3) for each in (ours, monais))
    changed = 0
    for _ in range(20):
        found = one({"image": image, "name": "a"})
        assert torch.equal(found["image"], other({"image": image})["image"].as_tensor())
        assert found["name"] == "a"
        changed += not torch.equal(found["image"], image)
    assert 0 < changed < 20


@pytest.mark.parametrize(("ours", "monais", "settings"), PAIRS)
def test_they_are_monais_and_write_into_nothing(ours, monais, settings):
    transform = ours(["image", "absent"], prob=1.0, allow_missing_keys=True, **settings).set_random_state(0)
    assert isinstance(transform, monais)
    image = torch.rand(1, 9, 8)
    before = image.clone()
    transform({"image": image})
    assert transform({}) == {}
    assert torch.equal(image, before)


def test_keys_share_their_noise():
    noised = RandNoised(["a", "b"], prob=1.0).set_random_state(0)({"a": torch.zeros(1, 4, 4), "b": torch.ones(1, 4, 4)})
    assert torch.allclose(noised["b"] - 1, noised["a"], atol=1e-6)


def test_on_another_device_the_noise_is_drawn_there_by_a_seed_of_the_state(monkeypatch):
    seeds, generator = [], torch.Generator

    class Seeded:
        def __init__(self, device):
            assert device.type == "meta"

        def manual_seed(self, seed):
            seeds.append(seed)
            return generator().manual_seed(seed)

    monkeypatch.setattr(torch, "Generator", Seeded)
    for _ in range(2):
        noised = RandNoised("image", prob=1.0).set_random_state(5)
        for _ in range(2):
            assert noised({"image": torch.zeros(1, 4, 4, device="meta")})["image"].device.type == "meta"
    assert seeds[:2] == seeds[2:]
    assert seeds[0] != seeds[1]


def test_each_channel_may_be_bent_by_a_power_of_its_own():
    image = torch.rand(2, 9, 8)
    bend = RandGammad("image", prob=1.0, gamma=(0.5, 1.5), channel_wise=True).set_random_state(0)
    bent = bend({"image": image})["image"]
    low, high = image.amin((1, 2), keepdim=True), image.amax((1, 2), keepdim=True)
    powers = (
        (((bent - low) / (high - low)).log() / ((image - low) / (high - low)).log()).nanmedian(-1)[0].nanmedian(-1)[0]
    )
    assert abs(powers[0] - powers[1]) > 0.05
    for channel, power in enumerate(powers):
        one = ((image[channel] - low[channel]) / (high - low)[channel]) ** power * (high - low)[channel] + low[channel]
        assert torch.allclose(bent[channel], one, atol=1e-3)
