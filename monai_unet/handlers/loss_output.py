"""What handlers of the trainer get to see: the loss, as MONAI's handlers expect it."""

from __future__ import annotations

from monai.engines import Trainer
from monai.engines.utils import IterationEvents
from monai.utils import CommonKeys


class LossOutput:
    """Reduce the trainer's output to `[{"loss": tensor}]`; attached to a trainer that does not decollate.

    That is the form which `monai.handlers.from_engine(["loss"], first=True)` reads, in MONAI's TensorBoard and MLflow
    handlers. Decollating gives it too, but turns the loss into a number and so waits for the device in every iteration.
    """

    def attach(self, engine: Trainer) -> None:
        """Listen to the trainer."""
        engine.add_event_handler(IterationEvents.MODEL_COMPLETED, self)

    def __call__(self, engine: Trainer) -> None:
        """Keep the loss, and let the images go."""
        engine.state.output = [{CommonKeys.LOSS: engine.state.output[CommonKeys.LOSS].detach()}]
