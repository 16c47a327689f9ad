import math
import threading

import ignite.distributed as idist
import pytest
import torch
from full_disk import full_disk
from ignite.engine import Engine, Events
from torch import nn

from monai_unet.handlers import LoadWeights, SaveBest, SaveLast
from monai_unet.io import one_writer
from monai_unet.networks import OriginalUNet, load_weights, num_members, save_whole, together


class Run:
    """A tiny training: a linear network, SGD with momentum, two iterations an epoch."""

    def __init__(self, path, seed=0, **kwargs):
        torch.manual_seed(seed)
        self.network = nn.Linear(2, 1)
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=0.1, momentum=0.9)
        self.evaluator = Engine(lambda engine, batch: None)
        self.evaluator.state.best_metric, self.evaluator.state.best_metric_epoch = -1, -1
        self.epochs = []
        self.trainer = Engine(self._step)
        self.trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda engine: self.epochs.append(engine.state.epoch))
        SaveLast(path, {"network": self.network, "optimizer": self.optimizer}, self.evaluator, **kwargs).attach(
            self.trainer
        )

    def _step(self, engine, batch):
        self.optimizer.zero_grad()
        self.network(torch.tensor([batch, float(engine.state.iteration)])).sum().backward()
        self.optimizer.step()

    def __call__(self, epochs):
        self.trainer.run([1.0, 2.0], max_epochs=epochs)
        return self


def same(one, other):
    pairs = zip(one.network.state_dict().values(), other.network.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_a_run_in_two_parts_ends_with_the_same_weights_as_a_run_in_one(tmp_path):
    whole = Run(tmp_path / "whole.pt")(4)
    Run(tmp_path / "parts.pt")(2)
    second = Run(tmp_path / "parts.pt", seed=1)(4)
    assert second.epochs == [3, 4]
    assert same(whole, second)


def test_a_finished_run_trains_no_more_and_keeps_its_weights(tmp_path):
    first = Run(tmp_path / "a.pt")(2)
    again = Run(tmp_path / "a.pt", seed=1)(2)
    assert again.epochs == []
    assert same(first, again)


def test_without_resume_a_run_starts_anew(tmp_path):
    Run(tmp_path / "a.pt")(2)
    assert Run(tmp_path / "a.pt", resume=False)(2).epochs == [1, 2]


def test_the_training_goes_on_while_a_checkpoint_is_written(tmp_path, monkeypatch):
    save, trained_on = torch.save, threading.Event()

    def wait_for_the_next_epoch(state, path):
        assert trained_on.wait(timeout=20), "the training waited for the checkpoint"
        save(state, path)

    monkeypatch.setattr(torch, "save", wait_for_the_next_epoch)
    run = Run(tmp_path / "a.pt", interval=2)
    run.trainer.add_event_handler(Events.ITERATION_COMPLETED(once=5), trained_on.set)
    run(3)
    assert torch.load(tmp_path / "a.pt")["trainer"]["iteration"] == 6


def test_a_checkpoint_is_of_the_moment_it_was_due_though_the_training_goes_on(tmp_path, monkeypatch):
    save, done = torch.save, threading.Event()
    kept = []

    def late(state, path):
        done.wait(timeout=20)
        kept.append(state["network"]["weight"])
        save(state, path)

    monkeypatch.setattr(torch, "save", late)
    run = Run(tmp_path / "a.pt", interval=2)
    run.trainer.add_event_handler(Events.ITERATION_COMPLETED(once=5), done.set)
    run(3)
    monkeypatch.undo()
    assert torch.equal(kept[0], Run(tmp_path / "b.pt")(2).network.state_dict()["weight"])


def test_a_checkpoint_that_cannot_be_written_ends_the_run_and_leaves_the_last_one(tmp_path):
    Run(tmp_path / "a.pt")(1)
    before = (tmp_path / "a.pt").read_bytes()
    with full_disk(), pytest.raises(OSError, match=r"a\.pt cannot be written: File too large"):
        Run(tmp_path / "a.pt")(2)
    assert [file.name for file in tmp_path.iterdir()] == ["a.pt"]
    assert (tmp_path / "a.pt").read_bytes() == before


def test_weights_that_are_no_numbers_do_not_replace_the_last_good_ones(tmp_path):
    Run(tmp_path / "a.pt")(1)
    before = (tmp_path / "a.pt").read_bytes()
    second = Run(tmp_path / "a.pt")
    second.trainer.add_event_handler(
        Events.ITERATION_COMPLETED(once=4), lambda: second.network.weight.data.fill_(math.nan)
    )
    with pytest.raises(ValueError, match=r"weight contains NaN or infinity; the previous checkpoint is kept in .*a.pt"):
        second(2)
    assert (tmp_path / "a.pt").read_bytes() == before


def interrupted(path, at, **kwargs):
    run = Run(path, **kwargs)

    @run.trainer.on(Events.ITERATION_COMPLETED(once=at))
    def ctrl_c():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        run(4)
    return str(caught.value)


@pytest.mark.parametrize(
    ("at", "resume", "command"),
    [(5, True, "the same command"), (5, False, "the same command without --resume False")],
)
def test_an_interrupt_says_how_to_go_on(tmp_path, at, resume, command):
    path = tmp_path / "a.pt"
    said = f"interrupted; the checkpoint of epoch 2 is in {path}; {command} goes on from it"
    assert interrupted(path, at, resume=resume) == said


def test_an_interrupt_before_the_first_checkpoint_says_so(tmp_path):
    said = interrupted(tmp_path / "a.pt", 1)
    assert said == "interrupted before the first checkpoint; the same command starts anew"


def test_after_an_interrupt_the_run_goes_on_and_nothing_is_held(tmp_path):
    interrupted(tmp_path / "a.pt", 5)
    assert [file.name for file in tmp_path.iterdir()] == ["a.pt"]
    assert Run(tmp_path / "a.pt")(4).epochs == [3, 4]


def test_a_run_that_another_process_writes_is_refused(tmp_path):
    Run(tmp_path / "a.pt")(1)
    second = Run(tmp_path / "a.pt")
    with one_writer(tmp_path / "a.pt"), pytest.raises(OSError, match=r"a.pt is being written by process"):
        second(2)
    assert second.epochs == []


def test_processes_that_do_not_see_the_same_checkpoint_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(idist, "get_world_size", lambda: 4)
    monkeypatch.setattr(idist, "all_reduce", lambda value: value + 2)
    with pytest.raises(
        ValueError, match=r"a.pt is visible to 2 of 4 processes: give a --ckpt_dir that all nodes share"
    ):
        Run(tmp_path / "a.pt")(1)


def test_the_best_score_is_remembered(tmp_path):
    first = Run(tmp_path / "a.pt")
    first.evaluator.state.best_metric, first.evaluator.state.best_metric_epoch = 0.75, 1
    first(2)
    second = Run(tmp_path / "a.pt")(3)
    assert (second.evaluator.state.best_metric, second.evaluator.state.best_metric_epoch) == (0.75, 1)


def test_the_last_epoch_is_kept_whatever_the_interval(tmp_path):
    Run(tmp_path / "a.pt", interval=3)(4)
    assert Run(tmp_path / "a.pt")(5).epochs == [5]


def test_a_checkpoint_of_another_run_is_refused_with_what_differs(tmp_path):
    Run(tmp_path / "a.pt", settings={"seed": 0, "validation": [4, 5]})(1)
    other = Run(tmp_path / "a.pt", settings={"seed": 0, "validation": [3, 5]})
    with pytest.raises(
        ValueError, match=r"a.pt belongs to another run: validation was \[4, 5\] there and is \[3, 5\] now"
    ):
        other(2)
    assert other.epochs == []


def test_a_checkpoint_of_another_network_is_refused_before_training(tmp_path):
    Run(tmp_path / "a.pt")(1)
    other = Run(tmp_path / "b.pt")
    wide = nn.Linear(3, 1)
    SaveLast(tmp_path / "a.pt", {"network": wide, "optimizer": other.optimizer}, other.evaluator).attach(other.trainer)
    with pytest.raises(ValueError, match=r"a.pt holds .* weight, is \(1, 2\) in the file and \(1, 3\) in the network"):
        other(2)
    assert other.epochs == []


@pytest.mark.parametrize("content", [b"", b"no checkpoint", None])
def test_a_damaged_checkpoint_is_refused_by_name_and_left_alone(tmp_path, content):
    path = tmp_path / "a.pt"
    Run(path)(1)
    path.write_bytes(path.read_bytes()[:900] if content is None else content)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"a.pt cannot be read as a checkpoint"):
        Run(path)(2)
    assert path.read_bytes() == before


def test_a_checkpoint_cannot_run_code(tmp_path):
    import os

    class Evil:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "harm"),))

    torch.save({"weight": Evil()}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match="cannot be read"):
        load_weights(nn.Linear(2, 1), tmp_path / "a.pt")
    assert not (tmp_path / "harm").exists()


def evaluate(path, network, score, **arguments):
    evaluator = Engine(lambda engine, batch: None)

    @evaluator.on(Events.EPOCH_COMPLETED)
    def compare(engine):
        state = engine.state
        state.key_metric_name = "score"
        if score > getattr(state, "best_metric", -1):
            state.best_metric, state.best_metric_epoch = score, state.epoch
        else:
            state.best_metric_epoch = -1

    SaveBest(path, network, **arguments).attach(evaluator)
    return evaluator.run([0], max_epochs=1)


def test_the_best_weights_are_the_plain_state_of_the_network(tmp_path):
    network = nn.Linear(2, 1)
    evaluate(tmp_path / "model.pt", network, 0.5)
    saved = torch.load(tmp_path / "model.pt", weights_only=True)
    assert torch.equal(saved["weight"], network.weight)


def test_an_epoch_that_is_not_the_best_is_not_kept(tmp_path):
    evaluate(tmp_path / "model.pt", nn.Linear(2, 1), -2.0)
    assert not (tmp_path / "model.pt").exists()


def test_where_the_validation_cannot_tell_the_last_weights_are_kept(tmp_path):
    state = evaluate(tmp_path / "model.pt", nn.Linear(2, 1), -2.0, can_tell=False)
    assert (tmp_path / "model.pt").is_file()
    assert state.best_metric_epoch == state.epoch


def test_the_weights_of_several_networks_get_another_name(tmp_path, caplog):
    model, aside = tmp_path / "model.pt", tmp_path / "ensemble_1.pt"
    evaluate(model, nn.Linear(2, 1), 0.5)
    save_whole(together([model, model]), model)
    before = model.read_bytes()
    evaluate(model, nn.Linear(2, 1), 0.5)
    assert aside.read_bytes() == before
    assert num_members(torch.load(model, weights_only=True)) == 1
    assert f"{model} held the weights of 2 networks together; they are in {aside} now" in caplog.text


def test_a_damaged_file_in_the_place_of_the_weights_ends_no_training(tmp_path):
    (tmp_path / "model.pt").write_bytes(b"half of it")
    evaluate(tmp_path / "model.pt", nn.Linear(2, 1), 0.5)
    assert num_members(torch.load(tmp_path / "model.pt", weights_only=True)) == 1


def test_the_weights_of_one_network_are_replaced(tmp_path):
    for score in (0.5, 0.6):
        evaluate(tmp_path / "model.pt", nn.Linear(2, 1), score)
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt"]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"network": state, "trainer": {}},
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": state},
        lambda state: {f"module.{name}": value for name, value in state.items()},
        lambda state: {"state_dict": {f"module.{name}": value for name, value in state.items()}},
    ],
)
def test_weights_are_loaded_from_a_model_from_a_whole_run_and_as_others_wrap_them(tmp_path, wrap):
    trained, network = nn.Linear(2, 1), nn.Linear(2, 1)
    torch.save(wrap(trained.state_dict()), tmp_path / "a.pt")
    engine = Engine(lambda engine, batch: None)
    LoadWeights(tmp_path / "a.pt", network).attach(engine)
    engine.run([0])
    assert torch.equal(network.weight, trained.weight)


def test_an_engine_that_runs_twice_loads_once_and_predicts_with_folded_weights(tmp_path):
    torch.manual_seed(0)
    trained, network = (OriginalUNet(features=(2, 3), normalisation="weights").eval() for _ in range(2))
    torch.save(trained.state_dict(), tmp_path / "a.pt")
    image = torch.rand(1, 1, 30, 30)
    engine = Engine(lambda engine, batch: network(image))
    LoadWeights(tmp_path / "a.pt", network).attach(engine)
    for _ in range(2):
        engine.run([0])
        torch.testing.assert_close(engine.state.output, trained(image))
    assert not [name for name in network.state_dict() if name.endswith("gain")]
