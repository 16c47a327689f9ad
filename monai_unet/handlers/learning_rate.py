"""The learning rate over a run: a function of the iteration alone, so that a checkpoint need not keep it."""

from __future__ import annotations

import math

from ignite.engine import Events
from monai.engines import Trainer
from torch.optim import Optimizer


def rate_factor(iteration: int, total: int, warm_up: int = 0, decay: bool = True) -> float:
    """What the learning rate is multiplied by: a straight line up to 1, then half a cosine down to 0.

    Args:
        iteration: counted from 1.
        total: iterations of the run.
        warm_up: iterations of the line.
        decay: False keeps 1 after the warm-up.

    Source: the decay is that of Loshchilov and Hutter (2017), arXiv:1608.03983, Eq. 5, without restarts.

    Example:
        >>> [round(rate_factor(iteration, 10, warm_up=2), 2) for iteration in (1, 2, 3, 6, 10)]
        [0.5, 1.0, 1.0, 0.69, 0.04]
    """
    if iteration <= warm_up:
        return iteration / warm_up
    if not decay:
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (iteration - 1 - warm_up) / max(total - warm_up, 1)))


class LearningRate:
    """Set the optimiser's learning rates before each iteration; see `rate_factor`.

    Args:
        optimizer: each of its groups keeps its own rate as the highest.
        warm_up: iterations until that is reached.
        decay: whether it falls to 0 at the end of the run.
    """

    def __init__(self, optimizer: Optimizer, warm_up: int = 0, decay: bool = True) -> None:
        if warm_up < 0:
            raise ValueError(f"warm_up {warm_up}: 0 iterations or more")
        self.optimizer = optimizer
        self.warm_up = warm_up
        self.decay = decay
        self.highest = [group["lr"] for group in optimizer.param_groups]

    def attach(self, engine: Trainer) -> None:
        """Listen to the trainer."""
        engine.add_event_handler(Events.ITERATION_STARTED, self)

    def __call__(self, engine: Trainer) -> None:
        """Set the rates."""
        total = engine.state.max_epochs * engine.state.epoch_length
        factor = rate_factor(engine.state.iteration, total, self.warm_up, self.decay)
        for group, highest in zip(self.optimizer.param_groups, self.highest, strict=True):
            group["lr"] = highest * factor
