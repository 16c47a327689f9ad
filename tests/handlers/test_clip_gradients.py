import pytest
import torch
from ignite.engine import Engine
from monai.engines.utils import IterationEvents

from monai_unet.handlers import ClipGradients


def length_after(gradient, max_norm):
    network = torch.nn.Linear(2, 1, bias=False)

    def step(engine, batch):
        network.weight.grad = torch.tensor([gradient])
        engine.fire_event(IterationEvents.BACKWARD_COMPLETED)

    engine = Engine(step)
    engine.register_events(*IterationEvents)
    ClipGradients(network, max_norm).attach(engine)
    engine.run([0])
    return network.weight.grad


def test_a_long_gradient_keeps_its_direction():
    assert torch.allclose(length_after([3.0, 4.0], 1.0), torch.tensor([[0.6, 0.8]]), atol=1e-5)


@pytest.mark.parametrize("max_norm", [None, 6.0])
def test_a_short_gradient_or_no_limit_changes_nothing(max_norm):
    assert length_after([3.0, 4.0], max_norm).tolist() == [[3.0, 4.0]]


def test_a_limit_of_0_is_refused():
    with pytest.raises(ValueError, match="clip_norm 0: above 0, or null"):
        length_after([3.0, 4.0], 0)
