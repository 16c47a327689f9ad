import pytest
import torch

from monai_unet.losses import RestorationLoss


def pair():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, 3, 4, 5, generator=generator) for _ in range(2)]


def test_l1_and_l2_are_pytorchs():
    output, target = pair()
    assert torch.isclose(RestorationLoss("l1")(output, target), torch.nn.functional.l1_loss(output, target))
    assert torch.isclose(RestorationLoss("l2")(output, target), torch.nn.functional.mse_loss(output, target))


def test_charbonnier_is_l1_with_a_round_bottom():
    output, target = pair()
    assert torch.isclose(RestorationLoss("charbonnier", 1e-6)(output, target), (output - target).abs().mean())
    assert torch.isclose(RestorationLoss("charbonnier", 0.5)(target, target), torch.tensor(0.5))


@pytest.mark.parametrize("kind", ["l1", "l2", "charbonnier"])
def test_a_weight_of_zero_takes_pixels_out_of_the_mean(kind):
    output, target = pair()
    weight = torch.zeros(2, 1, 4, 5)
    weight[..., :2] = 1
    part = RestorationLoss(kind)(output[..., :2], target[..., :2])
    assert torch.isclose(RestorationLoss(kind)(output, target, weight), part)


def test_another_shape_or_kind_is_refused():
    output, target = pair()
    with pytest.raises(ValueError, match="does not match"):
        RestorationLoss()(output, target[..., 1:])
    with pytest.raises(ValueError, match="restoration_loss 'l3'"):
        RestorationLoss("l3")
