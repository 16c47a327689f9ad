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


def test_values_that_are_not_finite_are_counted():
    bad = torch.zeros(1, 4, 5)
    bad[0, 1, 2], bad[0, 3, 3] = float("nan"), float("inf")
    with pytest.raises(ValueError, match=r"cells\.tif holds 2 values that are not finite"):
        CheckImaged("image")(image(bad))
