import re

import pytest
import torch
from ignite.engine import Events
from monai.engines import SupervisedTrainer
from monai.inferers import SimpleInferer
from torch.utils.data import DataLoader

from monai_unet.handlers import SayHowLong
from monai_unet.handlers import how_long as module
from monai_unet.inferers import OverlapTileInferer
from monai_unet.networks import OriginalUNet

FEATURES = (32, 64)


def network(features=FEATURES):
    torch.manual_seed(0)
    return OriginalUNet(features=features)


class Run:
    """A training on tiles of 24 pixels, with a random number in each step."""

    def __init__(self, monkeypatch, **kwargs):
        monkeypatch.setattr(module, "LEAST", 2)
        monkeypatch.setattr(module, "ENOUGH", 0.0)
        self.network, self.lines, self.numbers = network(), [], []
        tiles = [{"image": torch.zeros(1, 24, 24), "label": torch.zeros(1, 8, 8)}] * 5
        self.trainer = SupervisedTrainer(
            device=torch.device("cpu"),
            max_epochs=40,
            train_data_loader=DataLoader(tiles, batch_size=1),
            network=self.network,
            optimizer=torch.optim.SGD(self.network.parameters(), lr=1e-3),
            loss_function=lambda logits, label: logits.square().mean(),
            inferer=SimpleInferer(),
            decollate=False,
        )
        if kwargs.pop("with_handler", True):
            self.handler = SayHowLong(
                self.network,
                network,
                FEATURES,
                [{"image": torch.zeros(1, 30, 20)}] * 3,
                OverlapTileInferer(tile=8),
                interval=10,
                say=self.lines.append,
                **kwargs,
            )
            self.handler.attach(self.trainer)
        self.trainer.add_event_handler(
            Events.ITERATION_COMPLETED, lambda engine: self.numbers.append(torch.rand(1).item())
        )

    def __call__(self, epochs=1):
        self.trainer.add_event_handler(Events.EPOCH_COMPLETED(once=epochs), lambda engine: engine.terminate())
        self.trainer.run()
        return self


def test_it_is_said_once_with_the_time_of_all_iterations(monkeypatch):
    run = Run(monkeypatch)
    monkeypatch.setattr(module.time, "perf_counter", lambda: 0.1 * run.trainer.state.iteration)
    (line,) = run(2).lines
    assert re.fullmatch(r"this training takes about 20 s on the CPU, \d+ threads?", line)  # 200 iterations


def test_it_disturbs_neither_random_numbers_nor_weights_nor_the_mode_of_the_network(monkeypatch):
    with_it = Run(monkeypatch, evening=0.0)()
    without = Run(monkeypatch, with_handler=False)()
    assert "--features" in with_it.lines[0] or "a GPU" in with_it.lines[0]
    assert with_it.numbers == without.numbers
    assert with_it.network.training == without.network.training
    for one, other in zip(with_it.network.parameters(), without.network.parameters(), strict=True):
        assert torch.equal(one, other)


def test_of_the_widths_that_fit_an_evening_the_widest_is_proposed(monkeypatch):
    costs = {FEATURES[0]: 1.0, 16: 0.3, 8: 0.1}
    monkeypatch.setattr(module, "_seconds_of_a_step", lambda engine, one, image: costs[one.head.in_channels])
    for evening, width in ((70.0, "16,32"), (25.0, "8,16")):
        run = Run(monkeypatch, evening=evening)
        run.handler._taken += [(0.0, 1.0)] * 12
        (line,) = run().lines
        assert f'with --features "[{width}]", in all commands, about' in line
        assert "even" not in line


def test_where_no_width_fits_the_narrowest_is_named(monkeypatch):
    (line,) = Run(monkeypatch, evening=-1.0)().lines
    assert '; even with --features "[8,16]", in all commands, about' in line


def test_a_network_that_is_narrow_already_has_no_width_to_propose(monkeypatch):
    monkeypatch.setattr(module, "halves", lambda features: [])
    (line,) = Run(monkeypatch, evening=-1.0)().lines
    assert "--features" not in line
    assert line.endswith("; on a GPU it would be a small part of that")


def test_early_stopping_makes_it_the_most(monkeypatch):
    (line,) = Run(monkeypatch, patience=3)().lines
    assert line.endswith("or less, as --patience may end it early")


def test_a_validation_counts_by_the_pixels_that_are_predicted(monkeypatch):
    handler = Run(monkeypatch).handler
    handler.inferer = OverlapTileInferer(tile=30)  # one tile
    size = [network().geometry.input_size_for(side) for side in (30, 20)]
    assert handler._tiles_of_a_section(torch.zeros(1, 1, 24, 24)) == pytest.approx(size[0] * size[1] / 24**2)
