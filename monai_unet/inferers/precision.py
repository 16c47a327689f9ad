"""What a network computes in: bfloat16 where the device has units for it, else single precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from monai.inferers import SimpleInferer

PRECISIONS = ("auto", "bfloat16", "float16", "tf32", "float32")
_TYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def compute_dtype(precision: str = "auto", device: str | torch.device = "cpu", training: bool = False) -> torch.dtype:
    """The type that convolutions compute in.

    Args:
        precision: "bfloat16", "float16", "tf32" (float32 to the program, see `allow_tf32`) or "float32"; or "auto",
            bfloat16 where the device has matrix units for it (NVIDIA from Ampere on, Intel's AMX), elsewhere float32.
            bfloat16 has the range of single precision, so the loss needs no scaling, as float16 would, which keeps
            three bits more and is the better one for predictions.
        device: where the network computes.
        training: whether it is for a training.

    Raises:
        ValueError: when there is no such precision, or for a training in float16.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision {precision!r}: one of {', '.join(PRECISIONS)}")
    if training and precision == "float16":
        raise ValueError("precision 'float16': small gradients would be lost in a training; take bfloat16 or auto")
    if precision != "auto":
        return _TYPES.get(precision, torch.float32)
    if torch.device(device).type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = torch.device(device).type == "cpu" and _has_amx()
    return torch.bfloat16 if fast else torch.float32


def allow_tf32(precision: str) -> None:
    """Let convolutions round float32 to the 10 bits of TF32 on NVIDIA GPUs from Ampere on, unless "float32" is wanted.

    For this process, until it is called again; predictions never round so, see `without_tf32`.
    """
    torch.backends.cudnn.allow_tf32 = precision != "float32"


def autocast(device: str | torch.device, dtype: torch.dtype | None) -> AbstractContextManager[Any]:
    """Let convolutions compute in another type; with float32 or None in that of their inputs.

    Those need no autocast, so they work on devices that have none, as Apple's GPUs before PyTorch 2.5.
    """
    kind, lower = torch.device(device).type, dtype not in (None, torch.float32)
    if not lower and not torch.amp.is_autocast_available(kind):
        return nullcontext()
    return torch.autocast(kind, dtype, enabled=lower)


@contextmanager
def without_tf32() -> Iterator[None]:
    """Compute float32 convolutions in full; neighbouring tiles would agree to 1e-3 only with TF32."""
    allowed = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = allowed


def check_result(result: torch.Tensor) -> None:
    """Refuse what a network gives when its values left the range of half precision: ValueError, with what to do."""
    if not result.isfinite().all():
        raise ValueError("the network's values leave the range of its precision: take --precision bfloat16 or float32")


def _has_amx() -> bool:
    get_capabilities = getattr(torch.cpu, "get_capabilities", None)  # from PyTorch 2.10 on
    return bool(get_capabilities and get_capabilities().get("amx_bf16"))


class AutocastInferer(SimpleInferer):
    """Run the network once, its convolutions in another type; weights and their updates stay in single precision.

    MONAI's `amp` has a gradient scaler as well, which bfloat16 does not need and which waits for the device in every
    iteration.

    Args:
        dtype: what convolutions compute in, see `compute_dtype`; float32 changes nothing.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def __call__(
        self, inputs: torch.Tensor, network: Callable[..., torch.Tensor], *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        """What the network gives, in the type it computed in."""
        with autocast(inputs.device, self.dtype):
            return super().__call__(inputs, network, *args, **kwargs)
