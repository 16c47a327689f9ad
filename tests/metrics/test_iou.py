import numpy as np
import pytest
import torch
from monai.engines import SupervisedEvaluator
from monai.handlers import from_engine
from monai.metrics import MeanIoU

from monai_unet.metrics import ForegroundIouHandler, ForegroundIouMetric, foreground_iou


@pytest.fixture(scope="module")
def stack():
    """Cells, objects and unknown pixels (D, H, W) of four sections that differ."""
    rng = np.random.default_rng(8)
    shape = (4, 11, 17)
    shares = np.array([0.2, 0.4, 0.6, 0.8])[:, None, None]
    labels = np.where(rng.random(shape) < shares, rng.integers(1, 5, shape), 0)
    proposal = np.where(rng.random(shape) < 0.5, rng.integers(1, 9, shape), 0)
    return labels.astype(np.int32), proposal.astype(np.int32), (rng.random(shape) < 0.3).astype(np.uint8)


def tensors(stack):
    """Each part (B, 1, H, W)."""
    return [torch.from_numpy(part)[:, None] for part in stack]


# by hand


def test_the_value_is_intersection_by_union_whatever_the_ids():
    assert foreground_iou(np.array([[1, 2, 2, 0, 0]]), np.array([[0, 9, 3, 3, 0]])).iou == 2 / 4


def test_the_mean_is_over_sections():
    values = foreground_iou(np.array([[[1, 1, 1]], [[1, 0, 0]]]), np.array([[[1, 1, 1]], [[1, 1, 0]]]))
    assert (values.iou, values.per_section) == (3 / 4, (1, 1 / 2))


def test_what_is_not_known_counts_for_nothing():
    labels, proposal = np.array([[1, 1, 0, 0, 0]]), np.array([[1, 0, 1, 1, 0]])
    assert foreground_iou(labels, proposal).iou == 1 / 4
    assert foreground_iou(labels, proposal, ignore=np.array([[0, 0, 255, 0, 0]])).iou == 1 / 3
    assert foreground_iou(labels, proposal, ignore=np.array([[0, 1, 1, 1, 1]])).iou == 1
    assert foreground_iou(np.array([[1, 1, -1, 0, 0]]), proposal).iou == 1 / 3


@pytest.mark.filterwarnings("error")
def test_nothing_by_nothing_is_perfect():
    values = foreground_iou(np.array([[[0, 0]], [[0, 0]]]), np.array([[[0, 0]], [[0, 3]]]))
    assert values.per_section == (1, 0)


def test_masks_and_unsigned_labels_are_taken(stack):
    labels, proposal, ignore = stack
    expected = foreground_iou(labels, proposal, ignore)
    assert foreground_iou(labels > 0, proposal > 0, ignore > 0) == expected
    assert foreground_iou(labels.astype(np.uint8), proposal.astype(np.uint16), ignore) == expected


def test_probabilities_and_other_shapes_are_refused(stack):
    labels, proposal, ignore = stack
    with pytest.raises(TypeError, match=r"proposal of type float64: .* threshold first"):
        foreground_iou(labels, proposal / 2)
    with pytest.raises(TypeError, match="labels of type float32"):
        foreground_iou(labels.astype(np.float32), proposal, ignore)
    with pytest.raises(ValueError, match=r"ignore has the shape \(11, 17\)"):
        foreground_iou(labels, proposal, ignore[0])
    with pytest.raises(ValueError, match="both must have the same shape"):
        foreground_iou(labels, proposal[:2])


# MONAI


def test_the_value_is_that_of_monai_on_masks_without_the_unknown(stack):
    labels, proposal, ignore = tensors(stack)
    oracle = MeanIoU(ignore_empty=False)
    known = ignore == 0
    oracle(((proposal > 0) & known).float(), ((labels > 0) & known).float())
    values = foreground_iou(*stack)
    assert values.per_section == pytest.approx(oracle.get_buffer()[:, 0].tolist(), abs=1e-6)
    assert values.iou == pytest.approx(oracle.aggregate().item(), abs=1e-6)


def test_batches_and_lists_give_the_value_of_their_stack(stack):
    labels, proposal, ignore = tensors(stack)
    truth = torch.where(ignore > 0, -1, labels)
    metric = ForegroundIouMetric()
    metric(proposal[:3], truth[:3])
    metric(list(proposal[3:]), list(truth[3:]))
    assert metric.aggregate().item() == foreground_iou(*stack).iou
    assert metric.get_buffer().shape == (4, 2)


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8])
@pytest.mark.parametrize("decollate", [True, False])
@pytest.mark.parametrize("keys", [("instances", "cells", "ignore"), ("instances", "cells")])
def test_the_handler_leaves_out_what_is_not_known(stack, keys, decollate, dtype):
    labels, proposal, ignore = tensors(stack)
    parts = slice(0, 3), slice(3, 4)  # batches of different sizes
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=[
            {
                "image": proposal[part].float(),
                "cells": labels[part].to(dtype),
                "instances": proposal[part],
                "ignore": ignore[part],
            }
            for part in parts
        ],
        network=torch.nn.Identity(),
        iteration_update=lambda engine, batch: batch,
        key_val_metric={"iou": ForegroundIouHandler(from_engine(list(keys)))},
        decollate=decollate,
    )
    evaluator.run()
    assert evaluator.state.metrics["iou"] == foreground_iou(*stack[: len(keys)]).iou
    assert foreground_iou(*stack).iou != foreground_iou(*stack[:2]).iou


def test_the_handler_refuses_a_mask_of_another_shape(stack):
    labels, proposal, ignore = tensors(stack)
    handler = ForegroundIouHandler(from_engine(["instances", "cells", "ignore"]))
    with pytest.raises(ValueError, match="ignore has the shape"):
        handler._output_transform({"instances": proposal, "cells": labels, "ignore": ignore[:, :, :1]})
