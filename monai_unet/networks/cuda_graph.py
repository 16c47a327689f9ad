"""Forward and backward of a network as CUDA graphs: one launch each in place of hundreds."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import ignite.distributed as idist
import torch
from torch import nn

logger = logging.getLogger(__name__)


def with_graph(network: nn.Module, step: str, device: str | torch.device) -> nn.Module:
    """The network as the trainer is to call it: `network` itself, or with step "graph" or "auto" a `GraphedNetwork`.

    Anywhere but on CUDA, and in each of several processes, "graph" is said to do nothing, and "auto" does nothing.
    """
    if step not in ("auto", "graph"):
        return network
    if torch.device(device).type != "cuda":
        reason = f"needs CUDA and does nothing on {device}"
    elif idist.get_world_size() > 1:  # which exchange gradients while they are computed
        reason = f"is for one process and does nothing in {idist.get_world_size()}"
    else:
        return GraphedNetwork(network)
    if step == "graph" and idist.get_rank() == 0:
        logger.warning(f"--step graph {reason}")
    return network


class GraphedNetwork(nn.Module):
    """A network whose training step is recorded at its first batch and replayed from then on.

    At a batch of one tile a GPU waits for the program most of the time, which launches a kernel after the other. Other
    sizes than that of the first batch, as the last batch of an epoch may have, and evaluation go through the network as
    it is; so does everything when it cannot be recorded, which is said once.

    The gradients of a replay lie where those of the last one did, so set them to None between two steps: a step that
    sets them to 0 and adds would add them to themselves. The recording takes no random numbers from the run.

    Args:
        network: shares its parameters, by the same names without "network.".

    Shapes:
        As the network's.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self._shape: torch.Size | None = None  # of the batch that was recorded, or could not be
        self._step: Callable[..., torch.Tensor] = network

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """As the network."""
        if self._shape is None and self.training:
            self._shape = image.shape
            self._step = self._record(image)
        if not self.training or image.shape != self._shape:
            return self.network(image)
        return self._step(image)

    def _record(self, image: torch.Tensor) -> Callable[..., torch.Tensor]:
        kind = image.device.type
        try:
            # in the type that the trainer computes in, whose casts are recorded too instead of cached
            with (
                torch.random.fork_rng([image.device] if image.is_cuda else []),
                torch.autocast(
                    kind, torch.get_autocast_dtype(kind), enabled=torch.is_autocast_enabled(kind), cache_enabled=False
                ),
            ):
                # of a wrapper, as the forward of what is given here is replaced
                recorded: Any = torch.cuda.make_graphed_callables(_Call(self.network).train(), (image.clone(),))
        except Exception as error:  # CUDA has many, for operations that cannot be recorded or too little memory
            logger.warning(f"no CUDA graph, training goes on without: {str(error).splitlines()[0]}")
            return self.network
        logger.info(f"forward and backward of {len(image)} tiles run as CUDA graphs")
        return recorded


class _Call(nn.Module):
    """Calls a network."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.network(image)
