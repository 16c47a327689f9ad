"""Keep a single step from throwing the weights away."""

from __future__ import annotations

from monai.engines import Trainer
from monai.engines.utils import IterationEvents
from torch import nn


class ClipGradients:
    """Shorten the gradient where it is longer than `max_norm`; attached to the trainer.

    Args:
        network: whose gradients.
        max_norm: Euclidean length over all parameters; None leaves the gradients alone.
    """

    def __init__(self, network: nn.Module, max_norm: float | None) -> None:
        if max_norm is not None and not max_norm > 0:
            raise ValueError(f"clip_norm {max_norm}: above 0, or null for none")
        self.network = network
        self.max_norm = max_norm

    def attach(self, engine: Trainer) -> None:
        """Listen to the trainer."""
        if self.max_norm is not None:
            engine.add_event_handler(IterationEvents.BACKWARD_COMPLETED, self)

    def __call__(self, engine: Trainer) -> None:
        """Clip."""
        assert self.max_norm is not None, "without a length nothing is attached"
        nn.utils.clip_grad_norm_(self.network.parameters(), self.max_norm)
