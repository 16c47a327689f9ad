"""How much work a training is, and how long it takes by what its parts take."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from monai_unet.handlers.find_values import MOST_SECTIONS, scores_of
from monai_unet.transforms.decoding import Decoding
from monai_unet.transforms.object_distances import object_distances

LEAST, MOST, ENOUGH = 3, 12, 4.0
"""Iterations that are measured, and seconds after which the least of them are enough."""
_NARROWEST = 8  # channels of the top level; below it little is learned


def warm_up(device: str) -> int:
    """Iterations that are not measured: a GPU chooses its kernels in them, and a CUDA graph is recorded."""
    return 1 if device == "cpu" else 4


@dataclass(frozen=True)
class Costs:
    """What the parts of a training take, in seconds.

    Attributes:
        iteration: with a full batch: drawing its tiles, and the step.
        validation: of one section, prediction and scores.
        scoring: of one section, its prediction being there: its objects and their score, in the search for values.
        preparing: of one section: reading it, its weight map and what else is not random.
        start: of the process, until it has its packages.
    """

    iteration: float
    validation: float
    scoring: float = 0.0
    preparing: float = 0.0
    start: float = 0.0


@dataclass(frozen=True)
class Run:
    """How much work a training is.

    Attributes:
        epochs: in which every training section gives one tile.
        training: training sections.
        validation: validation sections.
        batch_size: tiles of an iteration, where there are as many sections.
        interval: epochs between two validations.
        candidates: values that are tried after the training, see `find_values`; 0 where none are.
    """

    epochs: int
    training: int
    validation: int
    batch_size: int
    interval: int
    candidates: int = 0

    @property
    def iterations(self) -> float:
        """Over all epochs; an iteration with fewer tiles, the last of an epoch, counts by these."""
        return self.epochs * self.training / min(self.batch_size, self.training)

    @property
    def looks(self) -> int:
        """Validations: one each interval and after the last epoch."""
        return math.ceil(self.epochs / self.interval)

    def seconds(self, costs: Costs) -> float:
        """Of the whole training, its process included."""
        searched = min(self.validation, MOST_SECTIONS) if self.candidates else 0
        return (
            costs.start
            + (self.training + self.validation) * costs.preparing
            + self.iterations * costs.iteration
            + (self.looks * self.validation + searched) * costs.validation
            + self.candidates * searched * costs.scoring
        )


def seconds_of_scoring(probability: np.ndarray, truth: np.ndarray, decoding: Decoding) -> float:
    """Of making labels of probabilities (C, H, W) and comparing them with the truth (H, W)."""
    start = time.perf_counter()
    scores_of([(probability, truth)], decoding)
    return time.perf_counter() - start


def likely(of_network: float, of_truth: float) -> float:
    """How long scoring takes over a training, by what it takes for a network that has hardly been trained.

    Such a network gives noise, which takes longer than the objects of a trained one, or nothing, which takes no time.
    So the truth, scored as if it had been predicted, bounds it: once from below, twice from above.
    """
    return min(max(of_network, of_truth), 2 * of_truth)


def as_predicted(truth: np.ndarray, decoding: Decoding) -> np.ndarray:
    """The probabilities of a network that sees the truth: 0 or 1, or the distance in each cell, 0 to 1.

    Args:
        truth: one integer per cell, or not 0 inside; (H, W).
        decoding: that reads them; of two classes.

    Returns:
        float32, (decoding.channels, H, W).
    """
    inside = (truth > 0).astype(np.float32)
    if not decoding.by_distance:
        return np.stack([1 - inside, inside])
    distance = object_distances(truth).astype(np.float32)
    return np.stack([1 - inside, distance, inside - distance])


def halves(features: Sequence[int]) -> list[tuple[int, ...]]:
    """The width halved again and again, down to the narrowest that is worth it.

    Example:
        >>> halves([32, 64])
        [(16, 32), (8, 16)]
    """
    found: list[tuple[int, ...]] = []
    while (half := tuple(number // 2 for number in (found[-1] if found else features)))[0] >= _NARROWEST:
        found.append(half)
    return found
