import math
import os

import pytest
import torch
from ignite.engine import Engine, Events
from monai.engines.utils import IterationEvents

from monai_unet.handlers import StopOnBadLoss


def run(losses, interval=1, seen=None, checkpoint="models/checkpoint.pt", first=0, during=None, **epochs):
    """An epoch with these losses, or several; `seen` gets what happened after each."""

    def step(engine, batch):
        if engine.state.iteration == 1:
            engine.state.iteration += first  # that were trained before the run was stopped
        engine.state.output = {"loss": torch.tensor(batch["loss"], requires_grad=True)}
        if during is not None:
            during()
        engine.fire_event(IterationEvents.LOSS_COMPLETED)
        if seen is not None:
            seen.append(engine.state.iteration)

    engine = Engine(step)
    engine.register_events(*IterationEvents)
    StopOnBadLoss(seed=7, checkpoint=str(checkpoint), interval=interval, epochs=epochs.get("epochs", 1)).attach(engine)
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda: seen is not None and seen.append("checkpoint"))
    batches = [{"loss": loss, "name": [f"t{index:03d}.tif"]} for index, loss in enumerate(losses, start=1)]
    engine.run(batches, max_epochs=epochs.get("max_epochs", 1))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_the_error_names_iteration_seed_and_sections(bad):
    with pytest.raises(ValueError, match=r"iteration 2, seed 7, on t002.tif; no state is kept yet. Look at"):
        run([1.0, bad, 1.0])


def test_it_names_the_checkpoint_that_this_run_has_written(tmp_path):
    file = tmp_path / "checkpoint.pt"
    with pytest.raises(ValueError, match=r"; the last good state is kept in .*checkpoint.pt. Look at"):
        run([1.0, math.nan], checkpoint=file, during=file.touch)


@pytest.mark.parametrize(("first", "said"), [(0, "no state is kept yet"), (8, "kept in .*checkpoint.pt")])
def test_it_names_the_checkpoint_of_an_earlier_run_only_where_this_one_goes_on_from_it(tmp_path, first, said):
    file = tmp_path / "checkpoint.pt"
    file.touch()
    os.utime(file, (0, 0))
    with pytest.raises(ValueError, match=said):
        run([1.0, math.nan], checkpoint=file, first=first)


def test_the_weights_are_not_touched_by_a_bad_loss():
    seen = []
    with pytest.raises(ValueError, match="iteration 3"):
        run([1.0, 1.0, math.nan], seen=seen)
    assert seen == [1, 2]


def test_a_look_every_some_iterations_still_names_the_first_bad_one():
    seen = []
    with pytest.raises(ValueError, match=r"iteration 2, seed 7, on t002\.tif"):
        run([1.0, math.nan, math.nan, 1.0, 1.0], interval=3, seen=seen)
    assert seen == [1, 2]


def test_no_checkpoint_is_written_after_a_bad_loss():
    seen = []
    with pytest.raises(ValueError, match="iteration 4"):
        run([1.0, 1.0, 1.0, math.nan], interval=3, seen=seen)
    assert "checkpoint" not in seen


@pytest.mark.parametrize(("epochs", "max_epochs", "checkpoints"), [(2, 4, 1), (3, 2, 1), (1, 4, 0)])
def test_it_looks_in_the_epochs_alone_that_end_with_a_checkpoint(epochs, max_epochs, checkpoints):
    seen = []
    with pytest.raises(ValueError, match="iteration 2,"):
        run([1.0, math.nan], interval=100, seen=seen, epochs=epochs, max_epochs=max_epochs)
    assert seen.count("checkpoint") == checkpoints


def test_good_losses_pass():
    seen = []
    run([1.0, 0.0, 1e30], seen=seen)
    assert seen == [1, 2, 3, "checkpoint"]
