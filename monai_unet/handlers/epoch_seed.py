"""Random numbers that depend on the seed, the epoch and the process alone."""

from __future__ import annotations

import ignite.distributed as idist
from ignite.engine import Engine, Events
from ignite.utils import manual_seed
from monai.transforms import Randomizable


class EpochSeed:
    """Seed everything random at the start of each epoch with a number made of the seed and the epoch.

    So an epoch draws the same numbers whether the run came to it without a break or was started again there, and
    checkpoints need not keep the state of any generator.

    Args:
        seed: of the run.
        transform: the random transforms of the training data.
    """

    def __init__(self, seed: int, transform: Randomizable) -> None:
        self.seed = seed
        self.transform = transform

    def attach(self, engine: Engine) -> None:
        """Listen to the trainer."""
        engine.add_event_handler(Events.EPOCH_STARTED, self)

    def __call__(self, engine: Engine) -> None:
        """Seed PyTorch, NumPy, Python and the transforms."""
        # below 2**32, NumPy's limit; the factors keep neighbouring seeds and processes from sharing epochs
        seed = (self.seed * 1_000_003 + idist.get_rank() * 500_009 + engine.state.epoch) % 2**32
        manual_seed(seed)
        self.transform.set_random_state(seed)
