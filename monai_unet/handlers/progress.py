"""A progress bar over a whole training."""

from __future__ import annotations

import ignite.distributed as idist
from ignite.engine import Events
from monai.engines import Trainer
from tqdm import tqdm

from monai_unet.handlers.at_the_end import at_the_end


class TrainingProgress:
    """A bar over the whole run, with the loss and the time left.

    Args:
        interval: iterations between two losses that are shown, as reading one waits for the device; see `LossOutput`.
    """

    def __init__(self, interval: int = 10) -> None:
        self.interval = interval
        self.bar: tqdm | None = None

    def attach(self, engine: Trainer) -> None:
        """Listen to the trainer."""
        # not as the engine starts: a run that goes on has not loaded its checkpoint then
        engine.add_event_handler(Events.ITERATION_STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._step)
        at_the_end(engine, self._close)

    def _start(self, engine: Trainer) -> None:
        if self.bar is not None:
            return
        self.bar = tqdm(
            total=engine.state.max_epochs * engine.state.epoch_length,
            initial=engine.state.iteration - 1,
            unit="it",
            desc="training",
            dynamic_ncols=True,
            disable=idist.get_rank() > 0,
        )

    def _step(self, engine: Trainer) -> None:
        assert self.bar is not None, "the bar is made when the first iteration starts"
        if engine.state.iteration % self.interval == 0:
            self.bar.set_postfix(loss=f"{float(engine.state.output[0]['loss']):#.4g}", refresh=False)
        self.bar.update()

    def _close(self, engine: Trainer, error: BaseException | None) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None
