"""Validate after the last epoch too."""

from __future__ import annotations

from ignite.engine import Events
from monai.engines import Evaluator, Trainer


class ValidateLast:
    """Validate after the last epoch where MONAI's `ValidationHandler` would not, as its interval does not end there.

    Args:
        validator: the evaluator.
        interval: that of the `ValidationHandler`, epochs.
    """

    def __init__(self, validator: Evaluator, interval: int) -> None:
        self.validator = validator
        self.interval = interval

    def attach(self, engine: Trainer) -> None:
        """Listen to the trainer."""
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: Trainer) -> None:
        """Validate if this epoch is the last and has not been validated."""
        if engine.state.epoch == engine.state.max_epochs and engine.state.epoch % self.interval:
            self.validator.run(engine.state.epoch)
