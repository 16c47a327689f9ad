import pytest
import torch

from monai_unet.losses import PrepareWeightedBatch, WeightedCrossEntropyLoss


def sample():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 4, 5, generator=generator)
    target = torch.randint(3, (2, 1, 4, 5), generator=generator)
    weight = torch.rand(2, 1, 4, 5, generator=generator)
    return logits, target, weight


def test_it_is_the_mean_over_pixels_of_weight_times_minus_log_softmax():
    logits, target, weight = sample()
    by_hand = -(weight * logits.softmax(1).gather(1, target).log()).mean()
    assert torch.isclose(WeightedCrossEntropyLoss()(logits, target, weight), by_hand)


def test_without_weight_it_is_the_cross_entropy_of_pytorch():
    logits, target, _ = sample()
    expected = torch.nn.functional.cross_entropy(logits, target[:, 0])
    assert torch.isclose(WeightedCrossEntropyLoss()(logits, target), expected)


def test_a_target_between_two_classes_is_of_both_in_part():
    logits = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    target = torch.full((2, 1, 4, 5), 1.25)
    shares = torch.tensor([0, 0.75, 0.25])[None, :, None, None].expand(2, 3, 4, 5)
    expected = torch.nn.functional.cross_entropy(logits, shares)
    assert torch.allclose(WeightedCrossEntropyLoss()(logits, target), expected)


def test_a_pixel_of_weight_zero_has_no_gradient():
    logits, target, weight = sample()
    logits.requires_grad_()
    weight[0, 0, 1, 2] = 0
    WeightedCrossEntropyLoss()(logits, target, weight).backward()
    assert not logits.grad[0, :, 1, 2].any()
    assert logits.grad[0, :, 1, 3].any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_it_is_finite_for_the_largest_logits_of_half_precision(dtype):
    largest = min(torch.finfo(dtype).max, 1e30)  # bfloat16 goes as far as float32, whose sums must not overflow
    logits = torch.tensor([largest, -largest], dtype=dtype).reshape(1, 2, 1, 1).expand(1, 2, 3, 3)
    target = torch.ones(1, 1, 3, 3)
    loss = WeightedCrossEntropyLoss()(logits, target, target * 12)
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss)


def test_labels_of_another_size_are_refused():
    logits, _, _ = sample()
    with pytest.raises(ValueError, match="cropped to its output"):
        WeightedCrossEntropyLoss()(logits, torch.zeros(2, 1, 8, 9))


def test_the_trainer_gets_the_image_and_the_pair_of_label_and_weight():
    batch = {"image": torch.zeros(1), "label": torch.ones(1), "weight": torch.full((1,), 2.0)}
    image, (label, weight) = PrepareWeightedBatch()(batch, "cpu")
    assert (image.item(), label.item(), weight.item()) == (0, 1, 2)
