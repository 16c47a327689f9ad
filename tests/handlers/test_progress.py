import pytest
import torch
from ignite.engine import Engine, Events

from monai_unet.handlers import TrainingProgress


def test_the_bar_covers_all_epochs_and_shows_the_loss(capsys):
    engine = Engine(lambda engine, batch: [{"loss": torch.tensor(0.25)}])
    TrainingProgress(interval=1).attach(engine)
    engine.run([0, 1, 2], max_epochs=2)
    error = capsys.readouterr().err
    assert "6/6" in error
    assert "loss=0.2500" in error


def test_the_bar_of_a_run_that_goes_on_begins_where_it_does(capsys):
    engine = Engine(lambda engine, batch: [{"loss": torch.tensor(0.25)}])
    TrainingProgress(interval=1).attach(engine)
    checkpoint = {"iteration": 3, "epoch_length": 3, "max_epochs": 2}
    engine.add_event_handler(Events.STARTED, lambda: engine.load_state_dict(checkpoint))  # as SaveLast does
    engine.run([0, 1, 2], max_epochs=2)
    error = capsys.readouterr().err
    assert "3/6" in error
    assert "0/6" not in error


def test_an_error_in_training_is_not_swallowed():
    def fail(engine, batch):
        raise RuntimeError("no memory")

    engine = Engine(fail)
    TrainingProgress().attach(engine)
    with pytest.raises(RuntimeError, match="no memory"):
        engine.run([0])
