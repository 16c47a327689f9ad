"""Keep the last state of a run and its best weights, and load them again."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events
from monai.engines import Evaluator, Trainer
from torch import nn

from monai_unet.handlers.at_the_end import at_the_end
from monai_unet.handlers.one_run import hold, release
from monai_unet.io import put_aside, remove_leftovers
from monai_unet.networks import fold, load_weights, num_members, read_checkpoint, read_weights, save_whole

logger = logging.getLogger(__name__)

# one thread for all: what it has been given is written in order, and before the process ends, also when a run fails
_writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")


class SaveLast:
    """Keep the last state of a run in one file, and go on from it when the same run is started again.

    The state is copied and then written by a thread, while the training goes on. From its start to its end the run
    holds the file against other processes (`hold`), and at its end it releases all that it holds. Ctrl-C ends it with
    the words that say which checkpoint there is.

    Args:
        path: the checkpoint; written aside and renamed, so that a run that is killed leaves a whole one.
        objects: what has a `state_dict` beside the trainer, by name: the network and the optimiser at least.
        evaluator: its best score is kept too.
        settings: what makes this run this run (data, split, optimiser ...), by name; plain numbers, strings and lists.
            A checkpoint with other settings is another run's.
        interval: epochs between two checkpoints; the last epoch is always kept.
        resume: whether to go on from the checkpoint if there is one.

    Raises:
        ValueError: at the start, when the checkpoint belongs to another network or another run, or is damaged, or only
            some of several processes see it; later, when a weight becomes NaN or infinite; the file is then left alone.
        OSError: at the start, when another process writes the same file; at the next checkpoint or the end of the run,
            when one could not be written.
    """

    def __init__(
        self,
        path: str | Path,
        objects: Mapping[str, Any],
        evaluator: Evaluator,
        settings: Mapping[str, Any] | None = None,
        interval: int = 1,
        resume: bool = True,
    ) -> None:
        self.path = Path(path)
        self.objects = objects
        self.evaluator = evaluator
        self.settings = dict(settings or {})
        self.interval = interval
        self.resume = resume
        self._writing: Future[None] | None = None
        self._kept = 0  # the epoch of the checkpoint

    def attach(self, engine: Trainer) -> None:
        """Load at the start of the trainer, save at the end of its epochs."""
        engine.add_event_handler(Events.STARTED, self.load)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.save)
        at_the_end(engine, self._end)

    def save(self, engine: Trainer) -> None:
        """Copy the state when a checkpoint is due, in the first of several processes, and begin to write it."""
        if engine.state.epoch % self.interval and engine.state.epoch < engine.state.max_epochs:
            return
        if idist.get_rank() > 0:
            return
        state = {name: item.state_dict() for name, item in self._objects(engine).items()}
        best = {name: getattr(self.evaluator.state, name) for name in ("best_metric", "best_metric_epoch")}
        self.wait()
        whole = copy.deepcopy({**state, "best": best, "settings": self.settings})
        self._writing = _writer.submit(self._write, whole, engine.state.epoch)

    def wait(self) -> None:
        """Wait until the last checkpoint is written."""
        if self._writing is not None:
            self._writing.result()

    def _end(self, engine: Trainer, error: BaseException | None) -> None:
        try:
            self.wait()
        except Exception:
            if error is None:
                raise
        finally:
            release()
        if isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt(self._how_to_go_on()) from None

    def _how_to_go_on(self) -> str:
        if not self._kept:
            return "interrupted before the first checkpoint; the same command starts anew"
        command = "the same command" if self.resume else "the same command without --resume False"
        return f"interrupted; the checkpoint of epoch {self._kept} is in {self.path}; {command} goes on from it"

    def _write(self, state: dict[str, Any], epoch: int) -> None:
        try:
            for name, value in state.get("network", {}).items():
                if not torch.isfinite(value).all():
                    raise ValueError(f"{name} contains NaN or infinity; the previous checkpoint is kept in {self.path}")
            save_whole(state, self.path)
            self._kept = epoch
        except Exception as error:
            logger.error(f"no checkpoint was written: {error}")  # said at once, as the run may end by another error
            raise

    def load(self, engine: Trainer) -> None:
        """Go on where the checkpoint was written."""
        _writer.submit(int).result()  # a run before this one, in the same process, may still be writing
        hold(self.path)
        if idist.get_rank() == 0:
            remove_leftovers(self.path)
        if not self.resume or not self._is_there():
            return
        checkpoint = read_checkpoint(self.path)
        self._check_settings(checkpoint.get("settings", {}))
        max_epochs = engine.state.max_epochs
        for name, item in self._objects(engine).items():
            if name not in checkpoint:
                raise ValueError(f"{self.path} has no {name!r}, only {sorted(checkpoint)}: not a run of this bundle")
            if isinstance(item, nn.Module):
                load_weights(item, self.path, checkpoint[name])
            else:
                item.load_state_dict(checkpoint[name])
        for name, value in checkpoint["best"].items():
            setattr(self.evaluator.state, name, value)
        done = self._kept = engine.state.epoch
        engine.state.max_epochs = max_epochs  # what is asked for now, not what was asked for then
        if done >= max_epochs:
            logger.info(
                f"{self.path} has {done} epochs and {max_epochs} were asked for: nothing to train. For more, "
                f"--epochs {2 * done} (the learning rate then follows the longer run's curve); for a new run, "
                "another --ckpt_dir or --resume False"
            )
            engine.terminate()
        else:
            logger.info(f"resuming from {self.path} after epoch {done}; for a new run, --resume False")

    def _is_there(self) -> bool:
        there = self.path.is_file()
        processes = idist.get_world_size()
        if processes > 1:
            seen_by = idist.all_reduce(int(there))
            if 0 < seen_by < processes:
                raise ValueError(
                    f"{self.path} is visible to {seen_by} of {processes} processes: give a --ckpt_dir that all "
                    "nodes share"
                )
        return there

    def _check_settings(self, found: Mapping[str, Any]) -> None:
        for name in {**self.settings, **found}:
            if found.get(name) != self.settings.get(name):
                raise ValueError(
                    f"{self.path} belongs to another run: {name} was {found.get(name)} there and is "
                    f"{self.settings.get(name)} now. To resume, give the same value; for a new run, give another "
                    "--ckpt_dir, or --resume False, which replaces it"
                )

    def _objects(self, engine: Trainer) -> dict[str, Any]:
        return {**self.objects, "trainer": engine}


class SaveBest:
    """Keep the weights that validated best; attached to the evaluator.

    The weights of several networks together, of which this training cannot be a part, get another name first.

    Args:
        path: the weights alone, as `torch.save(network.state_dict())` writes them; written aside and renamed.
        network: whose weights.
        can_tell: whether the validation can tell which weights are best; if not, the last ones are kept.
    """

    def __init__(self, path: str | Path, network: nn.Module, can_tell: bool = True) -> None:
        self.path = Path(path)
        self.network = network
        self.can_tell = can_tell
        self._is_ours = False  # what lies at the path

    def attach(self, engine: Evaluator) -> None:
        """Listen to the evaluator, after its own handler that finds the best score."""
        engine.add_event_handler(Events.COMPLETED, self)

    def __call__(self, engine: Evaluator) -> None:
        """Write the weights if this epoch is the best so far."""
        is_best = engine.state.best_metric_epoch == engine.state.epoch
        if (self.can_tell and not is_best) or idist.get_rank() > 0:
            return
        self._put_others_aside()
        save_whole(self.network.state_dict(), self.path)
        if not self.can_tell:
            engine.state.best_metric_epoch = engine.state.epoch
            logger.info(f"the last weights, kept in {self.path}")
            return
        logger.info(f"best {engine.state.key_metric_name} so far: {engine.state.best_metric:.4f}, kept in {self.path}")

    def _put_others_aside(self) -> None:
        if not self._is_ours and self.path.is_file():
            try:
                members = num_members(read_weights(self.path, shapes_alone=True))
            except ValueError:  # damaged: nothing to keep, and no reason to end a training
                members = 1
            if members > 1:
                aside = put_aside(self.path, "ensemble")
                logger.warning(f"{self.path} held the weights of {members} networks together; they are in {aside} now")
        self._is_ours = True


class LoadWeights:
    """Load weights into a network that predicts, when its engine starts first; see `load_weights` and `fold`."""

    def __init__(self, path: str | Path, network: nn.Module) -> None:
        self.path = path
        self.network = network
        self._done = False

    def attach(self, engine: Engine) -> None:
        """Listen to the engine."""
        engine.add_event_handler(Events.STARTED, self)

    def __call__(self, engine: Engine) -> None:
        """Load and fold; not again, as the names of the weights are other ones then."""
        if not self._done:
            load_weights(self.network, self.path)
            fold(self.network)
            self._done = True
