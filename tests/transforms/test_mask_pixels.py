import numpy as np
import pytest
import torch

from monai_unet.transforms import RandMaskPixelsd


def sample(size=60, margin=5):
    image = torch.randperm((size + 2 * margin) ** 2).reshape(1, size + 2 * margin, -1).float()
    target = image[:, margin : margin + size, margin : margin + size]
    return {"image": image, "label": target}


def masked(share=0.04, seed=0, **kwargs):
    given = sample(**kwargs)
    return given, RandMaskPixelsd("image", share=share, seed=seed)(given)


def middle(image, like):
    margin = (image.shape[-1] - like.shape[-1]) // 2
    return image[:, margin : margin + like.shape[-1], margin : margin + like.shape[-1]]


def test_what_changes_is_what_weighs():
    given, done = masked()
    assert torch.equal(middle(done["image"] != given["image"], done["weight"]), done["weight"] > 0)
    assert (done["image"] != given["image"]).sum() == done["weight"].sum()


def test_a_hidden_pixel_takes_the_value_of_another_one_at_most_two_pixels_away():
    given, done = masked(margin=0)
    place = {value: np.array(at) for at, value in np.ndenumerate(given["image"][0].numpy())}
    for row, column in done["weight"][0].nonzero().tolist():
        step = np.abs(place[done["image"][0, row, column].item()] - (row, column))
        assert 0 < step.max() <= 2


@pytest.mark.parametrize("share", [0.01, 0.04, 0.25])
def test_one_pixel_of_every_square_is_hidden(share):
    _, done = masked(share, size=60)
    side = round(share**-0.5)
    squares = done["weight"][0].unfold(0, side, side).unfold(1, side, side).sum((-1, -2))
    assert (squares == 1).all()


def test_the_target_stays_as_it_is():
    given, done = masked()
    assert torch.equal(given["label"], done["label"])


def test_with_a_seed_the_same_pixels_are_hidden_every_time():
    mask = RandMaskPixelsd("image", seed=3)
    assert torch.equal(mask(sample())["weight"], mask(sample())["weight"])
    free = RandMaskPixelsd("image").set_random_state(3)
    assert not torch.equal(free(sample())["weight"], free(sample())["weight"])


def test_a_share_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"masked_share 0\.5"):
        RandMaskPixelsd("image", share=0.5)
