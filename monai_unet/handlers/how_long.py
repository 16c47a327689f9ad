"""Say early in a training how long it takes here, and which width would fit an evening."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import ignite.distributed as idist
import numpy as np
import torch
from ignite.engine import Events
from monai.engines import Trainer
from torch import nn
from tqdm import tqdm

from monai_unet.handlers.find_values import num_candidates
from monai_unet.handlers.work import (
    ENOUGH,
    LEAST,
    MOST,
    Costs,
    Run,
    as_predicted,
    halves,
    likely,
    seconds_of_scoring,
    warm_up,
)
from monai_unet.inferers.overlap_tile import OverlapTileInferer
from monai_unet.inferers.tiling import spans
from monai_unet.times import EVENING, duration
from monai_unet.transforms.decoding import Decoding

_LATE = 30.0  # seconds after which one iteration is enough


class SayHowLong:
    """After a few iterations, say in one line how long the training takes, its validations included.

    Where that is longer than an evening and the network computes on a CPU, narrower ones are timed too, by a few steps
    on the tiles at hand, and the widest that fits is named, or else the narrowest. Random numbers, weights and scores
    stay as they are: what is timed draws from a copy of the generator and leaves nothing behind. Preparing the data and
    the start are past then, and not counted. A validation is estimated by its pixels, from a tile that is predicted
    and scored.

    Args:
        network: that is trained, or the part of it that has the weights.
        narrower: makes one of these `features` like it, on the same device.
        features: of the network.
        dataset: of the validation; see `FindValues`.
        inferer: of the validation.
        interval: epochs between two validations.
        patience: see `StopEarly`.
        decoding: where values are searched for after the training, how labels are made; None where they are not.
        scores: how many times the scores of a section take as long as that by which values are searched for.
        evening: seconds from which on a narrower network is proposed.
        say: takes the line.
    """

    def __init__(
        self,
        network: nn.Module,
        narrower: Callable[[Sequence[int]], nn.Module],
        features: Sequence[int],
        dataset: Sequence[Mapping[str, Any]],
        inferer: OverlapTileInferer,
        interval: int,
        patience: int | None = None,
        decoding: Decoding | None = None,
        scores: int = 1,
        evening: float = EVENING,
        say: Callable[[str], Any] = tqdm.write,
    ) -> None:
        self.network = network
        self.narrower = narrower
        self.features = tuple(features)
        self.dataset = dataset
        self.inferer = inferer
        self.interval = interval
        self.patience = patience
        self.decoding = decoding
        self.scores = scores
        self.evening = evening
        self.say = say
        self._starts: list[float] = []  # of the batch at hand: before it is drawn, and after
        self._taken: list[tuple[float, float]] = []  # by each iteration: the drawing, and the step
        self._is_done = idist.get_rank() > 0

    def attach(self, engine: Trainer) -> None:
        """Listen to the trainer until it has been said."""
        engine.add_event_handler(Events.GET_BATCH_STARTED, self._look_at_the_clock)
        engine.add_event_handler(Events.GET_BATCH_COMPLETED, self._look_at_the_clock)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def __call__(self, engine: Trainer) -> None:
        """Time an iteration; say it when enough of them have been timed."""
        if self._is_done:
            return
        self._look_at_the_clock(engine)
        first, drawn, end = self._starts[-3:]
        self._taken.append((drawn - first, end - drawn))
        self._starts.clear()
        timed = self._taken[warm_up(_device(engine).type) :]
        spent = sum(map(sum, timed))
        if len(timed) >= MOST or (len(timed) >= LEAST and spent >= ENOUGH) or spent >= _LATE:
            self._is_done = True
            drawing, step = np.mean(timed, axis=0).tolist()
            self.say(self._line(engine, drawing, step))

    def _look_at_the_clock(self, engine: Trainer) -> None:
        if not self._is_done:
            if (device := _device(engine)).type == "cuda":
                torch.cuda.synchronize(device)
            self._starts.append(time.perf_counter())

    def _line(self, engine: Trainer, drawing: float, step: float) -> str:
        image = _image(engine)
        tile, probability = self._predicted(image[:1])
        predicting, scoring = tile * self._tiles_of_a_section(image), self._seconds_of_scoring(probability)
        run = Run(
            epochs=engine.state.max_epochs - engine.state.epoch + 1,
            training=engine.state.epoch_length,  # in iterations, whatever the batch
            validation=-(-len(self.dataset) // idist.get_world_size()),
            batch_size=1,
            interval=self.interval,
            candidates=0 if self.decoding is None else num_candidates(self.decoding),
        )
        costs = Costs(drawing + step, predicting + self.scores * scoring, scoring)
        device = _device(engine)
        threads = torch.get_num_threads()
        where = f"the CPU, {threads} thread{'s' if threads > 1 else ''}" if device.type == "cpu" else str(device)
        seconds = run.seconds(costs)
        at_most = ", or less, as --patience may end it early" if self.patience else ""
        line = f"this training takes about {duration(seconds)} on {where}{at_most}"
        if seconds <= self.evening or device.type != "cpu":
            return line
        features = self.features
        for features in halves(self.features):
            with torch.random.fork_rng(devices=[]):
                share = _seconds_of_a_step(engine, self.narrower(features), image) / step
            validation = share * predicting + self.scores * scoring
            seconds = run.seconds(replace(costs, iteration=drawing + share * step, validation=validation))
            if seconds <= self.evening:
                break
        if features == self.features:
            return f"{line}; on a GPU it would be a small part of that"
        even = "even " if seconds > self.evening else ""
        width = ",".join(map(str, features))
        return (
            f'{line}; {even}with --features "[{width}]", in all commands, about {duration(seconds)}; on a GPU it would '
            "be a small part of that"
        )

    def _predicted(self, image: torch.Tensor) -> tuple[float, np.ndarray]:
        """Seconds that a tile of the training takes to be predicted, and its probabilities (C, h, w)."""
        was_training = self.network.training
        self.network.eval()
        try:
            with torch.inference_mode():
                self.network(image)  # the first time, memory is asked for
                start = time.perf_counter()
                probability = self.network(image).float().softmax(1)[0].cpu().numpy()  # waits for the device
                return time.perf_counter() - start, probability
        finally:
            self.network.train(was_training)

    def _tiles_of_a_section(self, image: torch.Tensor) -> float:
        """How many times the pixels of a tile of the training are predicted for a section."""
        sizes = self.dataset[0]["image"].shape[1:]
        geometry: Any = self.network.geometry
        tile = self.inferer.tile_for(sizes, geometry, self.network, image.device)
        axes = [spans(size, side, geometry) for size, side in zip(sizes, tile, strict=True)]
        pixels = float(np.prod([sum(span.size for span in axis) for axis in axes]))
        return self.inferer.rotations * pixels / float(np.prod(image.shape[2:]))

    def _seconds_of_scoring(self, probability: np.ndarray) -> float:
        """Of a section, where values are searched for; else it is a small part, and not known."""
        if self.decoding is None:
            return 0.0
        sample = self.dataset[0]
        truth = np.asarray(sample["cells" if self.decoding.objects else "label"])[0].astype(np.int32)
        height, width = (min(sides) for sides in zip(truth.shape, probability.shape[1:], strict=True))
        part = truth[:height, :width]
        tried = probability[:, :height, :width], as_predicted(part, self.decoding)
        seconds = likely(*(seconds_of_scoring(each, part, self.decoding) for each in tried))
        return seconds * truth.size / part.size


def _device(engine: Trainer) -> torch.device:
    return torch.device(engine.state.device)


def _image(engine: Trainer) -> torch.Tensor:
    """The images of the batch at hand, (B, C, *size), where the network computes."""
    return torch.as_tensor(engine.state.batch["image"]).to(_device(engine))


def _seconds_of_a_step(engine: Trainer, network: nn.Module, image: torch.Tensor) -> float:
    """Forward and backward pass of a network on a batch; the first time is not counted, as memory is asked for."""
    network.train()
    trainer: Any = engine
    seconds = 0.0
    for _ in range(2):
        start = time.perf_counter()
        trainer.inferer(image, network).float().square().mean().backward()
        seconds = time.perf_counter() - start
    return seconds
