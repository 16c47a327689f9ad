"""What the parts of `gpu.py` share: the device, the time that is left, timing that waits for the device, its memory."""

from __future__ import annotations

import argparse
import gc
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from _bundle_step import bundle
from _measure import Timing
from monai.bundle import ConfigWorkflow

from monai_unet.io import read_image
from monai_unet.networks import OriginalUNet, fold

ROUNDS = 5
TINY = (4, 8, 16)
LATE = "not run: time"


class Device:
    """The device, what is measured on it, and how much of it.

    Args:
        args: the command's.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self.name: str = args.device
        self.dataset_dir = str(args.dataset_dir)
        self.tiny: bool = args.tiny
        self.features: tuple[int, ...] = TINY if args.tiny else tuple(args.features)
        self.seconds_each: float = args.seconds_each
        self.training_seconds: float = args.training_seconds
        self.deadline = time.perf_counter() + args.budget

    @property
    def is_cuda(self) -> bool:
        """Else memory and waits are not measured."""
        return self.name.startswith("cuda")

    @property
    def left(self) -> float:
        """Seconds that may still be used."""
        return self.deadline - time.perf_counter()

    def wait(self) -> None:
        """Until all that was launched is done."""
        if self.is_cuda:
            torch.cuda.synchronize()

    def begin(self) -> None:
        """Forget what was held, and the most that was."""
        gc.collect()
        if self.is_cuda:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def peak(self) -> str:
        """The most that tensors took since `begin`."""
        return f"{torch.cuda.max_memory_allocated() / 1e9:.2f} GB" if self.is_cuda else "-"

    def time(self, task: Callable[[], object]) -> Timing:
        """Seconds of a run: five rounds for `seconds_each` in all, or three runs where one takes long.

        The first runs, which pay for memory and say how many make a round, are not counted.
        """
        once = self._seconds(task, 1)
        if once < self.seconds_each:
            once = self._seconds(task, 1)
        calls = max(1, int(self.seconds_each / ROUNDS / once))
        rounds = ROUNDS if once < self.seconds_each / 2 else 3
        return Timing(tuple(self._seconds(task, calls) for _ in range(rounds)))

    def _seconds(self, task: Callable[[], object], calls: int) -> float:
        start = time.perf_counter()
        for _ in range(calls):
            task()
        self.wait()
        return (time.perf_counter() - start) / calls

    def network(self, features: Sequence[int] | None = None) -> OriginalUNet:
        """A network for prediction, as bundles load it, with random weights that are always the same."""
        torch.manual_seed(0)
        network = fold(OriginalUNet(features=features or self.features, normalisation="weights")).eval()
        return network.to(self.name, memory_format=torch.channels_last)

    def training(self, folder: str, epochs: int = 10**6, **overrides: Any) -> ConfigWorkflow:
        """The isbi bundle on this device."""
        values: dict[str, Any] = {"features": list(self.features), "device": self.name, **overrides}
        if self.tiny:
            values["tile"] = 100
        return bundle(self.dataset_dir, folder, epochs, **values)

    def sections(self, first: int, last: int) -> torch.Tensor:
        """Sections of ISBI 2012, grey values as the bundles normalise them, (sections, 1, H, W), on the CPU."""
        pixels = read_image(f"{self.dataset_dir}/train-volume.tif")[0, first:last].astype(np.float32)
        return torch.from_numpy((pixels - 128) / 45)[:, None]

    def __str__(self) -> str:
        if not self.is_cuda:
            return self.name
        query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        try:
            driver = subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()[0]
        except (OSError, subprocess.CalledProcessError, IndexError):
            driver = "unknown"
        versions = f"driver {driver}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
        return f"{torch.cuda.get_device_name()}, {versions}"


def per_second(count: float, timing: Timing, digits: int = 1) -> str:
    """How many a second: median (lowest to highest)."""
    rate, least, most = (count / part for part in (timing.median, max(timing.seconds), min(timing.seconds)))
    return f"{rate:.{digits}f} ({least:.{digits}f} to {most:.{digits}f})"


def heading(*names: str) -> list[str]:
    """The first two lines of a table; the first column holds words, the others numbers."""
    return [row(*names), "|---|" + "--:|" * (len(names) - 1)]


def row(*cells: object) -> str:
    """A line of a table."""
    return "| " + " | ".join(map(str, cells)) + " |"
