import pytest
import torch
from ignite.engine import Engine

from monai_unet.handlers import LearningRate
from monai_unet.handlers.learning_rate import rate_factor


def rates(**kwargs):
    """The rates of all iterations of a run of 3 epochs of 4."""
    optimizer = torch.optim.SGD([{"params": [torch.zeros(1)], "lr": 0.1}, {"params": [torch.zeros(1)], "lr": 2.0}])
    seen = []
    engine = Engine(lambda engine, batch: seen.append([group["lr"] for group in optimizer.param_groups]))
    LearningRate(optimizer, **kwargs).attach(engine)
    engine.run([0] * 4, max_epochs=3)
    return seen


def test_the_rate_rises_in_a_straight_line():
    assert [rate_factor(iteration, 100, warm_up=4) for iteration in (1, 2, 4, 5)] == [0.25, 0.5, 1, 1]


def test_the_rate_is_halved_in_the_middle_of_the_decay():
    assert rate_factor(10 + 45 + 1, 100, warm_up=10) == pytest.approx(0.5)


def test_the_last_iteration_still_moves():
    assert 0 < rate_factor(100, 100) < 1e-3


def test_without_decay_the_rate_stays():
    assert {rate_factor(iteration, 100, decay=False) for iteration in range(1, 101)} == {1.0}


def test_each_group_of_the_optimiser_keeps_its_own_highest_rate():
    seen = rates(warm_up=2)
    assert seen[0] == [0.05, 1.0]
    assert seen[2] == [0.1, 2.0]
    assert seen[-1] == [0.1 * rate_factor(12, 12, 2), 2.0 * rate_factor(12, 12, 2)]


def test_a_negative_warm_up_is_refused():
    with pytest.raises(ValueError, match="warm_up -1: 0 iterations or more"):
        rates(warm_up=-1)
