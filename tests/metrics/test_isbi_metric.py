import json
import sys

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from monai.data import MetaTensor
from monai.engines import SupervisedEvaluator
from scipy import ndimage

from monai_unet.metrics import IsbiMetric, IsbiScoreHandler, isbi2012_scores, section_statistics
from monai_unet.metrics.section_statistics import SCORES

THRESHOLDS = (0.3, 0.5, 0.7)


@pytest.fixture(scope="module")
def stack():
    """Labels (D, H, W) and probabilities of four sections that differ in how good they are."""
    rng = np.random.default_rng(11)
    labels = np.abs(ndimage.gaussian_filter(rng.random((4, 29, 38)), (0, 3, 3)) - 0.5) > 0.02
    noise = 0.1 * np.arange(1, 5)[:, None, None] * rng.random(labels.shape)
    proposal = ndimage.gaussian_filter(labels.astype(np.float32), (0, 1, 1)) * 0.9 + noise
    return labels.astype(np.uint8), np.clip(proposal, 0, 1).astype(np.float32)


@pytest.fixture
def tensors(stack):
    """Probabilities (B, 1, H, W) and labels (B, 1, H, W)."""
    labels, proposal = stack
    return torch.from_numpy(proposal)[:, None], torch.from_numpy(labels)[:, None]


@pytest.mark.parametrize("score", list(SCORES))
def test_batches_give_the_score_of_their_stack(score, stack, tensors):
    if score.startswith("warping"):
        pytest.importorskip("numba")
    metric = IsbiMetric(score, THRESHOLDS)
    for batch in (slice(0, 1), slice(1, 4)):  # of different sizes
        metric(tensors[0][batch], tensors[1][batch])
    expected = isbi2012_scores(*stack, THRESHOLDS, warping=score.startswith("warping"))
    assert metric.aggregate().item() == getattr(expected, score)
    assert metric.best_threshold() == expected.best_threshold[score]


def test_lists_of_sections_give_the_score_of_their_batch(stack, tensors):
    metric = IsbiMetric("v_info", THRESHOLDS)
    metric([MetaTensor(section) for section in tensors[0]], list(tensors[1]))
    assert metric.aggregate().item() == isbi2012_scores(*stack, THRESHOLDS, warping=False).v_info


def test_sections_may_differ_in_size(tensors):
    metric = IsbiMetric("pixel_error_min_mse", [0.5])
    metric([torch.ones(1, 2, 5), torch.zeros(1, 3, 1)], [torch.ones(1, 2, 5), torch.ones(1, 3, 1)])
    assert metric.aggregate().item() == 3 / 13


def test_a_reset_forgets_the_sections(stack, tensors):
    metric = IsbiMetric("rand_error", THRESHOLDS)
    metric(tensors[0][:3], tensors[1][:3])
    metric.reset()
    metric(tensors[0][3:], tensors[1][3:])
    assert metric.aggregate().item() == isbi2012_scores(stack[0][3], stack[1][3], THRESHOLDS, warping=False).rand_error


def test_the_buffer_has_one_row_a_section(tensors):
    metric = IsbiMetric("v_rand_micro", THRESHOLDS)
    metric(*tensors)
    assert metric.get_buffer().shape == (4, 3, 3)


def test_one_channel_of_several_is_named(tensors):
    inside, labels = tensors
    both = torch.cat([1 - inside, inside], dim=1)
    metric, expected = IsbiMetric("v_rand_macro", THRESHOLDS, channel=1), IsbiMetric("v_rand_macro", THRESHOLDS)
    metric(both, labels)
    expected(inside, labels)
    assert metric.aggregate() == expected.aggregate()
    with pytest.raises(ValueError, match="2 channels: say which"):
        expected(both, labels)
    with pytest.raises(ValueError, match="no channel 1 among 1"):
        metric(inside, labels)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_compared_in_single(tensors, dtype):
    metric, expected = IsbiMetric("pixel_error", [0.3]), IsbiMetric("pixel_error", [0.3])
    metric(tensors[0].to(dtype), tensors[1].to(dtype))
    expected(tensors[0].to(dtype).float(), tensors[1])
    assert metric.aggregate() == expected.aggregate()


def test_probabilities_that_need_a_gradient_are_taken(tensors):
    metric = IsbiMetric(thresholds=[0.5])
    assert not metric(tensors[0].requires_grad_(), tensors[1]).requires_grad


def test_only_what_the_score_needs_is_computed(tensors, monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)  # training runs without it
    calls = []
    monkeypatch.setattr(section_statistics, "warped_labels", None)
    monkeypatch.setattr(section_statistics, "thinned", lambda foreground: calls.append(1) or foreground.astype(int))
    IsbiMetric("v_rand_macro", THRESHOLDS)(*tensors)
    assert len(calls) == 4 * len(THRESHOLDS)


def test_wrong_scores_thresholds_and_shapes_are_refused(tensors):
    with pytest.raises(ValueError, match=r"no score 'v_rand'; the scores are rand_error, v_rand_micro"):
        IsbiMetric("v_rand")
    with pytest.raises(ValueError, match="one or more"):
        IsbiMetric(thresholds=[])
    with pytest.raises(ValueError, match=r"\(B, C, H, W\) is expected"):
        IsbiMetric()(tensors[0][0], tensors[1][0])
    with pytest.raises(ValueError, match=r"labels of shape \(4, 29, 38\) do not fit"):
        IsbiMetric()(tensors[0], tensors[1][:, 0])
    with pytest.raises(ValueError, match="no section"):
        IsbiMetric().aggregate()


def test_an_evaluator_made_from_json_has_the_score_as_its_key_metric(stack, tensors):
    config = json.loads("""{
        "score": {"_target_": "monai_unet.metrics.IsbiMetric", "score": "v_rand_macro", "thresholds": [0.3, 0.5, 0.7]},
        "key_val_metric": {"v_rand": {
            "_target_": "monai_unet.metrics.IsbiScoreHandler", "score": "v_rand_macro", "thresholds": [0.3, 0.5, 0.7],
            "output_transform": "$monai.handlers.from_engine(['pred', 'label'])"}},
        "imports": ["$import monai"]
    }""")
    parser = ConfigParser(config)
    parser.parse()
    parser.get_parsed_content("imports")
    handlers = parser.get_parsed_content("key_val_metric")
    assert isinstance(parser.get_parsed_content("score"), IsbiMetric)
    assert isinstance(handlers["v_rand"], IsbiScoreHandler)
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=[
            {"image": tensors[0][batch], "label": tensors[1][batch]} for batch in (slice(0, 3), slice(3, 4))
        ],
        network=torch.nn.Identity(),
        key_val_metric=handlers,
    )
    evaluator.run()
    expected = isbi2012_scores(*stack, THRESHOLDS, warping=False).v_rand_macro
    assert evaluator.state.metrics["v_rand"] == evaluator.state.best_metric == expected
    assert evaluator.state.metric_details["v_rand"].shape == (4, 3, 3)
