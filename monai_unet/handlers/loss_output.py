"""What handlers of the trainer get to see: the loss, as MONAI's handlers expect it."""

from __future__ import annotations

import torch
from monai.engines import Trainer
from monai.engines.utils import IterationEvents
from monai.utils import CommonKeys


class LossOutput:
    """Reduce the trainer's output to `[{"loss": tensor}]`; attached to a trainer that does not decollate.

    That is the form which `monai.handlers.from_engine(["loss"], first=True)` reads, in MONAI's TensorBoard and MLflow
    handlers. Decollating gives it too, but turns the loss into a number and so waits for the device in every iteration.

    Args:
        interval: iterations between two losses that are read from the device. That waits for it, so it is done before
            the backward pass: the device then has that to do while the program prepares the next batch.
    """

    def __init__(self, interval: int = 10) -> None:
        self.interval = interval
        self._read: torch.Tensor | None = None

    def attach(self, engine: Trainer) -> None:
        """Listen to the trainer."""
        engine.add_event_handler(IterationEvents.LOSS_COMPLETED, self.read)
        engine.add_event_handler(IterationEvents.MODEL_COMPLETED, self)

    def read(self, engine: Trainer) -> None:
        """Bring the loss to the CPU, when it is time."""
        is_time = engine.state.iteration % self.interval == 0
        self._read = engine.state.output[CommonKeys.LOSS].detach().cpu() if is_time else None

    def __call__(self, engine: Trainer) -> None:
        """Keep the loss, on the CPU where it was read, and let the images go."""
        loss = engine.state.output[CommonKeys.LOSS].detach() if self._read is None else self._read
        engine.state.output = [{CommonKeys.LOSS: loss}]
