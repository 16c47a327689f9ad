import pytest
import torch
from monai.data import MetaTensor

from monai_unet.transforms import CheckImaged


def image(values, name="cells.tif"):
    return {"image": MetaTensor(values, meta={"filename_or_obj": name})}


def test_a_good_image_passes():
    sample = image(torch.zeros(1, 4, 5))
    assert CheckImaged("image")(sample)["image"] is sample["image"]


def test_a_colour_image_is_refused_by_name():
    with pytest.raises(ValueError, match=r"cells.tif has 3 channels .* the network takes 1"):
        CheckImaged("image")(image(torch.zeros(3, 4, 5)))


@pytest.mark.parametrize("brightest", [0.9, 300.0])  # scaled to 0..1, and 16 bit
def test_an_image_in_another_range_is_refused_by_name(brightest):
    values = torch.linspace(0, brightest, 20).reshape(1, 4, 5)
    with pytest.raises(ValueError, match=r"cells\.tif holds values from 0 to .* trained on 0\s+to 255"):
        CheckImaged("image", value_range=(0, 255))(image(values))


@pytest.mark.parametrize("grey", [0.0, 1.0, 255.0])
def test_a_dark_or_constant_image_passes(grey):
    sample = image(torch.full((1, 4, 5), grey))
    assert CheckImaged("image", value_range=(0, 255))(sample)["image"] is sample["image"]


def test_values_that_are_not_finite_are_counted():
    bad = torch.zeros(1, 4, 5)
    bad[0, 1, 2], bad[0, 3, 3] = float("nan"), float("inf")
    with pytest.raises(ValueError, match=r"cells\.tif holds 2 values that are not finite"):
        CheckImaged("image")(image(bad))
