import logging

import pytest
import torch
from ignite.engine import Engine, Events
from torch import nn

from monai_unet.handlers import SaveLast, StopEarly


class Run:
    """A training of one iteration an epoch whose validations, every `interval` epochs, score what they are told."""

    def __init__(self, path, scores, patience, interval=1):
        self.evaluator = Engine(lambda engine, batch: None)
        self.evaluator.state.best_metric, self.evaluator.state.best_metric_epoch = -1.0, -1
        self.evaluator.state.key_metric_name = "score"
        self.scores, self.interval, self.ended = scores, interval, 0
        self.trainer = Engine(lambda engine, batch: None)
        self.trainer.add_event_handler(Events.EPOCH_COMPLETED, self._validate)
        self.trainer.add_event_handler(Events.COMPLETED, self._end)
        SaveLast(path, {"network": nn.Linear(1, 1)}, self.evaluator, interval=interval).attach(self.trainer)
        StopEarly(self.evaluator, patience, interval).attach(self.trainer)

    def _validate(self, engine):
        epoch, state = engine.state.epoch, self.evaluator.state
        if epoch % self.interval == 0 and self.scores[epoch // self.interval - 1] > state.best_metric:
            state.best_metric, state.best_metric_epoch = self.scores[epoch // self.interval - 1], epoch

    def _end(self, engine):
        self.ended += 1

    def __call__(self, epochs):
        self.trainer.run([0], max_epochs=epochs)
        return self.trainer.state.epoch


SCORES = [0.1, 0.5, 0.4, 0.5, 0.6, 0.5, 0.6, 0.2, 0.1, 0.9]


@pytest.mark.parametrize(("patience", "last"), [(None, 10), (1, 3), (2, 4), (3, 8), (4, 9), (5, 10), (6, 10)])
def test_it_ends_after_so_many_validations_that_are_not_better(tmp_path, patience, last):
    assert Run(tmp_path / "a.pt", SCORES, patience)(10) == last


def test_the_same_in_epochs_where_not_every_one_is_validated(tmp_path):
    assert Run(tmp_path / "a.pt", SCORES, 2, interval=5)(50) == 20


def test_what_is_done_at_the_end_of_a_training_is_done_when_it_ends_early(tmp_path):
    run = Run(tmp_path / "a.pt", SCORES, 1)
    run(10)
    assert run.ended == 1


@pytest.mark.parametrize("killed_after", range(1, 9))
def test_a_run_in_two_parts_ends_where_a_run_in_one_does(tmp_path, killed_after):
    Run(tmp_path / "a.pt", SCORES, None)(killed_after)
    assert Run(tmp_path / "a.pt", SCORES, 3)(10) == 8


def test_a_run_that_ended_early_stays_ended_and_goes_on_with_more_patience(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    Run(tmp_path / "a.pt", SCORES, 3)(10)
    assert "stopped early after epoch 8 of 10: no better score in 3 validations than 0.6000 of epoch 5" in caplog.text
    before = (tmp_path / "a.pt").stat().st_mtime_ns
    assert Run(tmp_path / "a.pt", SCORES, 3)(10) == 8
    assert (tmp_path / "a.pt").stat().st_mtime_ns == before
    assert torch.load(tmp_path / "a.pt", weights_only=True)["trainer"]["iteration"] == 8
    assert Run(tmp_path / "a.pt", SCORES, 5)(10) == 10
