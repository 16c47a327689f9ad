"""The part of `gpu.py` that predicts from file to file, and tells reading, computing and writing apart."""

from __future__ import annotations

import importlib.util
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import tifffile
import torch
from _device import Device
from out_of_core import make_bundle

Seconds = Callable[[], float]
"""Seconds, which can be told when the device has done its work."""


def from_file_to_file(device: Device) -> Iterator[str]:
    """`predict` from a tiled TIFF to OME-Zarr; a first run pays for what is loaded once and is not counted."""
    missing = [name for name in ("zarr", "dask", "distributed") if importlib.util.find_spec(name) is None]
    if missing:
        yield f"not run: needs {', '.join(missing)}"
        return
    from monai_unet.prediction.out_of_core import predict

    side = 600 if device.tiny else 8192
    with tempfile.TemporaryDirectory() as name, ExitStack() as patches:
        folder = Path(name)
        pixels = np.random.default_rng(0).integers(0, 255, (side, side), np.uint8)
        tifffile.imwrite(folder / "image.tif", pixels, tile=(256, 256), photometric="minisblack")
        model = make_bundle(folder, device.features)
        spent = _watched(device, patches)
        for run in range(2):
            for times in spent.values():
                times.clear()
            start = time.perf_counter()
            out, given = folder / f"{run}.ome.zarr", {"features": list(device.features)}
            predict(folder / "image.tif", out, model, given, device=device.name, progress=False)
            seconds = time.perf_counter() - start
        device.wait()
    parts = ", ".join(f"{part} {sum(each() for each in times):.2f} s" for part, times in spent.items())
    yield f"{side} x {side} pixels in {seconds:.2f} s, {side * side / seconds / 1e6:.1f} Mpx/s."
    yield f"Added over all threads, which work side by side: {parts}."


def _watched(device: Device, patches: ExitStack) -> dict[str, list[Seconds]]:
    """The seconds of every call that reads, computes or writes, by these names, from now on."""
    from monai_unet.io.sources.tiff import TiffSource
    from monai_unet.io.zarr_store import PredictionStore
    from monai_unet.prediction import chunk

    watched = {
        "reading": (TiffSource, "read", False),
        "computing": (chunk, "mean_over_rotations", device.is_cuda),
        "writing": (PredictionStore, "write", False),
    }
    spent: dict[str, list[Seconds]] = {part: [] for part in watched}
    for part, (owner, attribute, on_device) in watched.items():
        function = _timed(getattr(owner, attribute), spent[part], on_device)
        patches.enter_context(mock.patch.object(owner, attribute, function))
    return spent


def _timed(function: Callable[..., Any], times: list[Seconds], on_device: bool) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        start = _now(on_device)
        found = function(*args, **kwargs)
        end = _now(on_device)
        times.append(lambda: start.elapsed_time(end) / 1e3 if on_device else end - start)
        return found

    return run


def _now(on_device: bool) -> Any:
    """This moment, or the one when the GPU has done what it was given up to now."""
    if not on_device:
        return time.perf_counter()
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event
