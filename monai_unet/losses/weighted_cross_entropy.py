"""The paper's energy: cross entropy of the pixel-wise softmax, weighted pixel by pixel."""

from __future__ import annotations

from typing import Any

import torch
from monai.engines import PrepareBatch
from monai.utils import convert_to_tensor
from torch.nn import functional
from torch.nn.modules.loss import _Loss


class WeightedCrossEntropyLoss(_Loss):
    """Mean over pixels of w(x) times the cross entropy of the softmax at x.

    The paper sums over the pixels; the mean differs by a constant factor, so that the learning rate does not depend
    on the size of the tile. The mean is over all pixels, not over the sum of weights: a weight of 0 makes a pixel
    unknown, and a tile of which less is known pulls less. Computed in float32 whatever the logits are.

    A target between two whole numbers is of both classes in part: 1.25 is three quarters of class 1 and one quarter of
    class 2, and its cross entropy is their weighted mean.

    Source: Ronneberger et al. (2015), Eq. 1.

    Example:
        >>> loss = WeightedCrossEntropyLoss()
        >>> logits, target = torch.zeros(1, 2, 4, 4), torch.ones(1, 1, 4, 4)
        >>> round(loss(logits, target, weight=torch.full((1, 1, 4, 4), 2.0)).item(), 4)  # 2 ln 2
        1.3863
    """

    def forward(self, logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
        """A scalar.

        Args:
            logits: (B, classes, H, W[, D]), any floating type.
            target: class of each pixel, (B, 1, H, W[, D]) or (B, H, W[, D]), any type; see above for fractions.
            weight: w(x), shape as `target`; 1 everywhere when left out.

        Raises:
            ValueError: when the sizes differ.
        """
        target = _without_channel(target, logits, "target")
        lower, upper = target.floor(), target.ceil()
        log_softmax = functional.log_softmax(logits.float(), dim=1)
        of_lower, of_upper = (log_softmax.gather(1, part.long()[:, None])[:, 0] for part in (lower, upper))
        loss = -torch.lerp(of_lower, of_upper, (target - lower).float())
        if weight is not None:
            loss = loss * _without_channel(weight, logits, "weight").float()
        return loss.mean()


class PrepareWeightedBatch(PrepareBatch):
    """Hand the trainer `image` and the pair (`label`, `weight`), all on the device."""

    def __call__(
        self,
        batchdata: dict[str, torch.Tensor],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """Plain tensors: the loop does not need what MetaTensors carry, and each of their operations costs time."""
        image, label, weight = (
            convert_to_tensor(batchdata[key], track_meta=False).to(device=device, non_blocking=non_blocking, **kwargs)
            for key in ("image", "label", "weight")
        )
        return image, (label, weight)


def _without_channel(values: torch.Tensor, logits: torch.Tensor, name: str) -> torch.Tensor:
    expected = (logits.shape[0], *logits.shape[2:])
    if values.dim() == logits.dim() and values.shape[1] == 1:
        values = values[:, 0]
    if tuple(values.shape) != expected:
        raise ValueError(
            f"{name} of shape {tuple(values.shape)} does not match logits of shape {tuple(logits.shape)}: expected "
            f"{expected}, with or without a channel; an unpadded network needs labels cropped to its output"
        )
    return values
