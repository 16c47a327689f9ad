"""Stop a run whose loss becomes NaN or infinite, and say where."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Events
from monai.engines import Trainer
from monai.engines.utils import IterationEvents
from monai.utils import CommonKeys


class StopOnBadLoss:
    """Raise an error when the loss is NaN or infinite; attached to the trainer, before what writes checkpoints.

    Args:
        seed: of the run, for the message.
        checkpoint: the file that keeps the last good state, for the message; it is named when this run has it.
        interval: iterations between two looks. A look waits for the device; at 1 the weights are never touched by a
            bad loss, above it the run stops some iterations later, but before the next checkpoint.
        epochs: between two checkpoints.

    Raises:
        ValueError: with the iteration, the sections in it, and the seed.
    """

    def __init__(self, seed: int, checkpoint: str, interval: int = 1, epochs: int = 1) -> None:
        if interval < 1:
            raise ValueError(f"interval {interval}: 1 iteration or more")
        self.seed = seed
        self.checkpoint = checkpoint
        self.interval = interval
        self.epochs = epochs
        self._first = 0  # iteration of this process
        self._since = 0.0
        self._waiting: list[tuple[int, Any, torch.Tensor]] = []

    def attach(self, engine: Trainer) -> None:
        """Listen to the trainer."""
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(IterationEvents.LOSS_COMPLETED, self)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._look_before_a_checkpoint)

    def __call__(self, engine: Trainer) -> None:
        """Keep the loss of this iteration, and look when it is time."""
        self._first = self._first or engine.state.iteration
        names = engine.state.batch.get("name", "unknown sections")
        self._waiting.append((engine.state.iteration, names, engine.state.output[CommonKeys.LOSS].detach()))
        if engine.state.iteration % self.interval == 0:  # where the bar and the curves read the loss too
            self.look()

    def look(self) -> None:
        """Check all losses since the last look."""
        waiting, self._waiting = self._waiting, []
        if not waiting or torch.stack([loss for _, _, loss in waiting]).isfinite().all():
            return
        iteration, names, loss = next(one for one in waiting if not one[2].isfinite())
        kept = f"the last good state is kept in {self.checkpoint}" if self._has_checkpoint() else "no state is kept yet"
        raise ValueError(
            f"the loss became {loss.item()} at iteration {iteration}, seed {self.seed}, on {_listed(names)}; {kept}. "
            "Look at those sections, or try a lower --learning_rate, a longer --warm_up or a lower --clip_norm"
        )

    def _look_before_a_checkpoint(self, engine: Trainer) -> None:
        if engine.state.epoch % self.epochs == 0 or engine.state.epoch == engine.state.max_epochs:
            self.look()

    def _start(self) -> None:
        self._first, self._since = 0, time.time()

    def _has_checkpoint(self) -> bool:
        """Whether there is one, and not that of an earlier run which this one does not go on from."""
        path = Path(self.checkpoint)
        coarse = 0.1  # seconds that a file system's clock may be behind
        return path.is_file() and (self._first > 1 or path.stat().st_mtime > self._since - coarse)


def _listed(names: Any) -> str:
    return ", ".join(map(str, names)) if isinstance(names, (list, tuple)) else str(names)
