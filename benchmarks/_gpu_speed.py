"""The parts of `gpu.py` that measure speed: of training, of the network alone, of overlap tiles."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import torch
from _bundle_step import bare_step
from _device import LATE, ROUNDS, Device, heading, per_second, row
from _measure import Timing
from _peer import padded
from ignite.engine import Events
from monai.inferers import SlidingWindowInferer

from monai_unet.inferers import OverlapTileInferer, allow_tf32, compute_dtype

SECTIONS = 20  # that train
READ = 10  # iterations between two readings of the loss
COMPILING = 45.0  # seconds that have to be left, or a step is not compiled


def steps(device: Device) -> Iterator[str]:
    """Bare step and bundle, kernel by kernel and as CUDA graphs."""
    yield from _steps(device, ("eager", "graph"), 10.0)


def compiled_steps(device: Device) -> Iterator[str]:
    """The same through torch.compile."""
    yield from _steps(device, ("compile",), 0.0 if device.tiny else COMPILING)


def _steps(device: Device, ways: tuple[str, ...], seconds: float) -> Iterator[str]:
    names = ("batch, step", "bare, images a second", "bundle, images a second", "bundle / bare")
    yield from heading(*names, "first step, seconds", "most memory")
    for batch in (1, 2) if device.tiny else (1, 8, 20):
        for way in ways:
            late = device.left < seconds
            yield row(f"{batch}, {way}", *([LATE, "", "", "", ""] if late else _step(device, batch, way)))


def _step(device: Device, batch: int, way: str) -> list[str]:
    device.begin()
    torch.compiler.reset()  # else the second batch is compiled for any size
    with tempfile.TemporaryDirectory() as folder:
        # as many sections as make whole batches: a smaller last one would be counted as a whole one
        sections = list(range(SECTIONS // batch * batch))
        workflow = device.training(folder, batch_size=batch, training_sections=sections, step=way)
        step = bare_step(workflow)
        start = time.perf_counter()
        step()
        device.wait()
        first = time.perf_counter() - start
        bare = device.time(step)
        each = max(1, round(device.seconds_each / ROUNDS / bare.median / READ)) * READ
        whole = iterations(device, workflow.parser.get_parsed_content("train::trainer"), each)
    speeds = (per_second(batch, timing) for timing in (bare, whole))
    return [*speeds, f"{whole.median / bare.median:.3f}", f"{first:.1f}", device.peak()]


def iterations(device: Device, trainer: Any, each: int) -> Timing:
    """Seconds of an iteration of a trainer, in rounds of `each` after one that is not counted; it ends after them."""
    ends: list[float] = []

    def look(engine: Any) -> None:
        if engine.state.iteration % each == 0:
            device.wait()
            ends.append(time.perf_counter())
            if len(ends) > ROUNDS:
                engine.terminate()

    trainer.add_event_handler(Events.ITERATION_COMPLETED, look)
    trainer.run()
    return Timing(tuple((later - earlier) / each for earlier, later in pairwise(ends)))


def inference(device: Device) -> Iterator[str]:
    """Images a second through the network alone; normalised weights are folded."""
    precisions = ("float16", "bfloat16", "tf32", "float32")
    network = device.network()
    size = network.geometry.input_size_for(100 if device.tiny else 388)
    yield from heading(f"images of {size} at once", *precisions, "most memory")
    for batch in (1, 2) if device.tiny else (1, 8, 16):
        device.begin()
        image = torch.randn(batch, 1, size, size, device=device.name)
        speeds = []
        for precision in precisions:
            allow_tf32(precision)
            dtype = compute_dtype(precision)
            with torch.inference_mode(), _autocast(device, dtype):
                timing = device.time(lambda image=image: network(image))
            speeds.append(per_second(batch, timing, 0))
        yield row(batch, *speeds, device.peak())


def tiles(device: Device) -> Iterator[str]:
    """A large image in memory by overlap tiles, and by MONAI's sliding window with a padded network of these widths."""
    side, window_size = (600, 128) if device.tiny else (8192, 512)
    ours = device.network()
    torch.manual_seed(0)
    theirs = padded(2, device.features).eval().to(device.name, memory_format=torch.channels_last)
    image = torch.randn(1, 1, side, side, device=device.name)
    arms: list[tuple[str, torch.dtype, Callable[[], object]]] = []
    for overlap in (0.25, 0.5):
        window = SlidingWindowInferer(window_size, 8, overlap, mode="gaussian")
        name = f"MONAI's sliding window, overlap {overlap}"
        arms.append((name, torch.bfloat16, lambda window=window: window(image, theirs)))
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        for memory in ("2MB" if device.tiny else "2GB", "free"):
            inferer = OverlapTileInferer(memory=memory, amp_dtype=dtype)
            arms.append((f"overlap tiles, memory {memory}", dtype, lambda inferer=inferer: inferer(image, ours)))
    yield from heading(f"{side} x {side} pixels", "type", "Mpx/s", "to window 0.25", "to window 0.5", "most memory")
    windows: list[float] = []
    for name, dtype, task in arms:
        if device.left < 10.0:
            yield row(name, _name(dtype), LATE, "", "", "")
            continue
        device.begin()
        with torch.inference_mode(), _autocast(device, dtype):
            timing = device.time(task)
        ratios = [f"{seconds / timing.median:.1f}" for seconds in windows] if len(windows) == 2 else ["", ""]
        if name.startswith("MONAI"):
            windows.append(timing.median)
        yield row(name, _name(dtype), per_second(side * side / 1e6, timing), *ratios, device.peak())
    yield ""
    yield f"Ratios of speeds, in all rows to the windows in bfloat16. A window is {window_size} pixels wide, 8 at once."


def _autocast(device: Device, dtype: torch.dtype) -> torch.autocast:
    return torch.autocast(torch.device(device.name).type, dtype, enabled=dtype != torch.float32)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
