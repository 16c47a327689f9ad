"""Several networks that predict together: the mean of their probabilities."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from monai_unet.networks.weights import read_weights
from monai_unet.softmax import logits_of, softmax_of_pixels

_MEMBER = re.compile(r"members\.(\d+)\.")


class Ensemble(nn.Module):
    """The mean over networks of what each of them predicts.

    It is computed tile by tile, pixel by pixel, so that tiled still equals untiled.

    Args:
        members: networks of one architecture.
        grey_values: whether they give grey values, which are averaged as they are, and not logits.

    Attributes:
        geometry: of each member.
        bytes_per_pixel: of one member, which all use in turn, and of the sum.

    Shapes:
        As of a member. Of logits the result is the logarithm of the mean of the members' softmax, so that a softmax
        gives this mean.
    """

    def __init__(self, members: Iterable[nn.Module], grey_values: bool = False) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.grey_values = grey_values
        first: Any = self.members[0]
        self.geometry = first.geometry
        self.bytes_per_pixel = first.bytes_per_pixel + 4 * 2 * first.head.out_channels

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(B, C, *size) to logits (B, classes, *size without the margins), or grey values."""
        total = torch.zeros(1, device=image.device)
        for member in self.members:
            total = total + self._part(member(image))
        mean = total / len(self.members)
        return mean if self.grey_values else logits_of(mean)

    def _part(self, output: torch.Tensor) -> torch.Tensor:
        """What is averaged, in single precision or better."""
        output = output.to(torch.promote_types(output.dtype, torch.float32))
        if self.grey_values:
            return output
        return output.softmax(1) if torch.jit.is_scripting() else softmax_of_pixels(output)


def num_members(weights: Mapping[str, Any]) -> int:
    """How many networks the weights of a file are of: 1, or the members of an `Ensemble`."""
    return max((int(found[1]) + 1 for name in weights if (found := _MEMBER.match(name))), default=1)


def bytes_of_others(network: nn.Module) -> int:
    """What the weights of an ensemble take beyond those of one member; 0 for a single network."""
    others = list(network.members)[1:] if isinstance(network, Ensemble) else []
    return sum(value.numel() * value.element_size() for member in others for value in member.state_dict().values())


def for_weights(network: nn.Module, path: str | Path, grey_values: bool = False) -> nn.Module:
    """What the weights in a file fit: a network, or an ensemble of as many like it as the file holds.

    Args:
        network: becomes the first member.
        path: of the weights; where there is no such file, the network stays as it is, and `load_weights` says so.
        grey_values: see `Ensemble`.

    Raises:
        ValueError: when the file is damaged.
    """
    count = num_members(read_weights(path, shapes_alone=True)) if Path(path).is_file() else 1
    return network if count == 1 else Ensemble([copy.deepcopy(network) for _ in range(count)], grey_values)


def say_if_together(network: nn.Module) -> None:
    """Say before an evaluation what the scores of an ensemble are worth: its folds leave out all sections in turn."""
    if isinstance(network, Ensemble):
        print(
            f"these are the weights of {len(network.members)} networks together, of which some were trained on the "
            "sections that are scored now: the scores of each without its own are in folds.html"
        )


def together(paths: Iterable[str | Path]) -> dict[str, torch.Tensor]:
    """The weights of an ensemble whose members' weights lie in these files, in this order; errors as `read_weights`."""
    return {
        f"members.{index}.{name}": value
        for index, path in enumerate(paths)
        for name, value in read_weights(path).items()
    }
