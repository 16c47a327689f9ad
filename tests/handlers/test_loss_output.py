import torch
from ignite.engine import Engine
from monai.engines.utils import IterationEvents
from monai.handlers import from_engine

from monai_unet.handlers import LossOutput


def test_the_loss_is_read_before_the_backward_pass_when_it_is_time():
    asked = []

    class Loss:
        def detach(self):
            return self

        def cpu(self):
            asked.append("read")
            return "on the CPU"

    def step(engine, batch):
        engine.state.output = {"loss": loss}
        engine.fire_event(IterationEvents.LOSS_COMPLETED)
        asked.append("backward")
        engine.fire_event(IterationEvents.MODEL_COMPLETED)
        found.append(engine.state.output[0]["loss"])

    loss, found = Loss(), []
    engine = Engine(step)
    engine.register_events(*IterationEvents)
    LossOutput(interval=2).attach(engine)
    engine.run([0, 1, 2])
    assert asked == ["backward", "read", "backward", "backward"]
    assert found == [loss, "on the CPU", loss]


def test_monais_handlers_find_the_loss_as_a_tensor_that_no_one_waited_for():
    loss = torch.tensor(0.25, requires_grad=True) * 2

    def step(engine, batch):
        engine.state.output = {"image": torch.zeros(3), "loss": loss}
        engine.fire_event(IterationEvents.LOSS_COMPLETED)
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
