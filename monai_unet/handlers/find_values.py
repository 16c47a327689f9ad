"""Find the threshold and the other values by which labels are made, on the validation sections, after a training."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import numpy as np
import torch
from ignite.engine import Engine, Events
from monai.inferers import Inferer
from torch import nn

from monai_unet.io import read_found, write_found
from monai_unet.metrics import isbi2012_scores
from monai_unet.metrics.seg import seg_of_sections
from monai_unet.networks import load_weights, naming
from monai_unet.transforms.decoding import Decoding

logger = logging.getLogger(__name__)

Section = tuple[np.ndarray, np.ndarray]
"""Probabilities (C, H, W), and the truth (H, W): one integer per cell, or not 0 inside."""

MOST_SECTIONS = 20  # looked at, spread over all: at 18 values and half a second for a section, three minutes
_ERRORS = 2.0  # standard errors that a value must be better by


def scores_of(sections: Sequence[Section], decoding: Decoding) -> np.ndarray:
    """The key score of each cell (its Jaccard index in SEG), or without objects of each section (V_rand)."""
    if decoding.objects:
        scored = seg_of_sections((truth, decoding.instances(probability)) for probability, truth in sections)
        return np.array([value for of_section in scored.jaccard for value in of_section.values()])
    inside = [(truth, decoding.foreground(probability)[0]) for probability, truth in sections]
    one = [isbi2012_scores(truth, each, [decoding.threshold], warping=False).v_rand_macro for truth, each in inside]
    return np.array(one)


def candidates(decoding: Decoding) -> Iterator[tuple[str, list[float]]]:
    """The values that a decoding is tried with, one name after the other, its own among them."""
    yield "threshold", sorted({0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, decoding.threshold})
    if decoding.by_distance:
        yield "seed_depth", sorted({0.03, 0.06, 0.1, 0.15, 0.2, 0.3, decoding.seed_depth})
    if decoding.objects and decoding.min_size:
        yield "min_size", [decoding.min_size // 2, decoding.min_size, decoding.min_size * 2]


def num_candidates(decoding: Decoding) -> int:
    """How often each section is scored to find the values."""
    return sum(len(values) for _, values in candidates(decoding))


def find_values(
    sections: Sequence[Section],
    decoding: Decoding,
    score: Callable[[Sequence[Section], Decoding], np.ndarray] = scores_of,
) -> tuple[Decoding, dict[str, dict[str, float]]]:
    """Values by which the sections score clearly better than by those of the decoding.

    Names are tried one after the other. Few sections choose at random: another value is taken only where the scores
    of the same cells (or sections) are higher by two standard errors of their mean difference, and so by a few of them
    never. Source: the rule of one standard error of Breiman et al. (1984), here two and paired.

    Args:
        sections: that were not trained on.
        decoding: the recipe's.
        score: the scores of cells or sections, in the same order for every decoding.

    Returns:
        The decoding with the values that were found, and for each name the mean score by the value that was tried.
    """
    tried: dict[str, dict[str, float]] = {}
    for name, values in candidates(decoding):
        scores = {value: score(sections, _with(decoding, name, value)) for value in values}
        tried[name] = {f"{value:g}": round(float(each.mean()), 4) for value, each in scores.items() if each.size}
        own = scores[getattr(decoding, name)]
        best = max(values, key=lambda value: (scores[value].sum(), value == getattr(decoding, name)))
        if _is_clearly_better(scores[best], own):
            decoding = _with(decoding, name, best)
    return decoding, tried


def _with(decoding: Decoding, name: str, value: float) -> Decoding:
    changes: dict[str, Any] = {name: value}
    return replace(decoding, **changes)


def _is_clearly_better(scores: np.ndarray, own: np.ndarray) -> bool:
    gain = scores - own
    if len(gain) < 5:
        return False
    return bool(gain.mean() > _ERRORS * gain.std(ddof=1) / np.sqrt(len(gain)))


def predicted_sections(
    network: nn.Module,
    inferer: Inferer,
    dataset: Sequence[Mapping[str, Any]],
    decoding: Decoding,
    device: str | torch.device = "cpu",
    most: int = MOST_SECTIONS,
) -> list[Section]:
    """Sections of a data set with what a network predicts of them.

    Args:
        network: with its weights, for inference.
        inferer: of the validation.
        dataset: see `FindValues`.
        decoding: says what the truth is.
        device: where to compute.
        most: sections that are looked at, spread over all.
    """
    number = len(dataset)
    chosen = np.unique(np.linspace(0, number - 1, min(number, most)).round().astype(int))
    sections = []
    with torch.inference_mode():
        for index in chosen:
            sample = dataset[int(index)]
            image = torch.as_tensor(sample["image"])[None].to(device)
            probability = inferer(image, network).float().softmax(1)[0].cpu().numpy()
            truth = sample["cells" if decoding.objects else "label"]
            sections.append((probability, np.asarray(truth)[0].astype(np.int32)))
    return sections


class FindValues:
    """Find values for the best weights when a training ends, and keep them beside the weights; attached to the trainer.

    Args:
        weights: the file of the best weights, as `SaveBest` writes it.
        network: that was trained; its own weights are put back.
        inferer: of the validation.
        dataset: of the validation; a sample has `image` (1, H, W), and `cells` (1, H, W) for objects or `label`.
        decoding: the recipe's.
        sections: the names of the sections, for people.
        device: where to compute.
    """

    def __init__(
        self,
        weights: str | Path,
        network: nn.Module,
        inferer: Inferer,
        dataset: Sequence[Mapping[str, Any]],
        decoding: Decoding,
        sections: str,
        device: str | torch.device = "cpu",
    ) -> None:
        self.weights = Path(weights)
        self.network = network
        self.inferer = inferer
        self.dataset = dataset
        self.decoding = decoding
        self.sections = sections
        self.device = device

    def attach(self, engine: Engine) -> None:
        """Listen to the trainer."""
        engine.add_event_handler(Events.COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Find the values, in the first of several processes, unless they have been found for these weights."""
        if idist.get_rank() > 0 or not self.weights.is_file() or read_found(self.weights) is not None:
            return
        found, tried = find_values(self._predicted(), self.decoding)
        values = {name: getattr(found, name) for name in tried}
        score = "SEG" if self.decoding.objects else "V_rand"
        with naming(self.weights):
            write_found(self.weights, {"values": values, "score": score, "sections": self.sections, "tried": tried})
        changed = [f"{name} {values[name]:g}" for name in tried if values[name] != getattr(self.decoding, name)]
        said = f"{', '.join(changed)} in place of the recipe's" if changed else "the recipe's values stay"
        logger.info(f"{said}, by {score} on {self.sections}; kept beside {self.weights}")

    def _predicted(self) -> list[Section]:
        own = copy.deepcopy(self.network.state_dict())
        was_training = self.network.training
        load_weights(self.network, self.weights)
        self.network.eval()
        try:
            return predicted_sections(self.network, self.inferer, self.dataset, self.decoding, self.device)
        finally:
            self.network.load_state_dict(own)
            self.network.train(was_training)
