"""The loss of images that are restored: how far grey values are from the target's."""

from __future__ import annotations

import torch
from torch.nn.modules.loss import _Loss

LOSSES = ("l1", "l2", "charbonnier")


class RestorationLoss(_Loss):
    """Weighted mean over pixels and channels of a distance of two grey values.

    Args:
        kind: "l1", |d|; "l2", d^2, whose best guess is the mean; or "charbonnier", sqrt(d^2 + eps^2), which is l1
            with a round bottom.
        eps: of "charbonnier", in units of the normalised target.

    Raises:
        ValueError: for another kind.

    Source: of the last, Charbonnier et al.: Two deterministic half-quadratic regularization algorithms for computed
    imaging. ICIP 1994; with eps 0.001 as Lai et al., CVPR 2017, arXiv:1704.03915.

    Example:
        >>> loss = RestorationLoss("l2")
        >>> loss(torch.full((1, 1, 2, 2), 3.0), torch.ones(1, 1, 2, 2)).item()
        4.0
    """

    def __init__(self, kind: str = "l1", eps: float = 1e-3) -> None:
        super().__init__()
        if kind not in LOSSES:
            raise ValueError(f"restoration_loss {kind!r}: one of {', '.join(LOSSES)}")
        self.kind = kind
        self.eps = eps

    def forward(self, output: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
        """A scalar, computed in float32.

        Args:
            output: (B, C, H, W[, D]), any floating type.
            target: of the same shape.
            weight: of each pixel, (B, 1, H, W[, D]); the mean is over the sum of weights. 1 everywhere when left out.

        Raises:
            ValueError: when the shapes differ.
        """
        if output.shape != target.shape:
            raise ValueError(
                f"a target of shape {tuple(target.shape)} does not match an output of {tuple(output.shape)}; an "
                "unpadded network needs targets cropped to its output"
            )
        difference = output.float() - target.float()
        if self.kind == "l1":
            each = difference.abs()
        elif self.kind == "l2":
            each = difference.square()
        else:
            each = (difference.square() + self.eps**2).sqrt()
        if weight is None:
            return each.mean()
        weight = weight.float().expand_as(each)
        return (each * weight).sum() / weight.sum().clamp(min=1)
