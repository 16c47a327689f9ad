"""End a training whose score has not grown for some validations."""

from __future__ import annotations

import logging

from ignite.engine import Events
from monai.engines import Evaluator, Trainer

logger = logging.getLogger(__name__)


class StopEarly:
    """End the training when the key score of so many validations has not been better than the best before them.

    It counts from the epoch of the best score, which the checkpoint keeps, to the epoch at hand. It has no state of its
    own, as Ignite's `EarlyStopping` has, so a run that was killed and resumed stops at the same epoch as one that was
    not, and one that stopped early stays stopped unless it is given more patience. It stands after `SaveLast`, so that
    the epoch it ends with is kept.

    Args:
        evaluator: of the validation.
        patience: validations without a better key score after which the training ends; None for never.
        interval: epochs between two validations.
    """

    def __init__(self, evaluator: Evaluator, patience: int | None, interval: int) -> None:
        self.evaluator = evaluator
        self.patience = patience
        self.interval = interval

    def attach(self, engine: Trainer) -> None:
        """Listen to the trainer: to its start too, for a run that had stopped before."""
        if self.patience is not None:
            engine.add_event_handler(Events.STARTED, self)
            engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: Trainer) -> None:
        """End the training if the last `patience` validations brought nothing."""
        assert self.patience is not None, "it listens only then"
        epoch, best = engine.state.epoch, max(self.evaluator.state.best_metric_epoch, 0)
        since = epoch // self.interval - -(-best // self.interval)  # the last epoch of a shorter run lies between two
        if since < self.patience or epoch >= engine.state.max_epochs:
            return
        state = self.evaluator.state
        logger.info(
            f"stopped early after epoch {epoch} of {engine.state.max_epochs}: no better {state.key_metric_name} in "
            f"{since} validations than {state.best_metric:.4f} of epoch {best}. To go on, give a --patience above "
            f"{since}, or None"
        )
        engine.terminate()
