import torch
from ignite.engine import Engine
from monai.engines.utils import IterationEvents
from monai.handlers import from_engine

from monai_unet.handlers import LossOutput


def test_monais_handlers_find_the_loss_as_a_tensor_that_no_one_waited_for():
    loss = torch.tensor(0.25, requires_grad=True) * 2

    def step(engine, batch):
        engine.state.output = {"image": torch.zeros(3), "loss": loss}
        engine.fire_event(IterationEvents.MODEL_COMPLETED)
        return engine.state.output

    engine = Engine(step)
    engine.register_events(*IterationEvents)
    LossOutput().attach(engine)
    engine.run([0])
    found = from_engine(["loss"], first=True)(engine.state.output)
    assert isinstance(found, torch.Tensor)
    assert found == 0.5
    assert not found.requires_grad
    assert list(engine.state.output[0]) == ["loss"]
