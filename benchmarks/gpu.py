"""All that is to be known of a GPU, in one page: training, inference, exactness, quality, resume, memory.

    python benchmarks/gpu.py --dataset-dir DIR --out benchmarks/results/gpu_2026-11.md

Takes at most `--budget` seconds, six minutes unless given; what is not reached by then says so. Needs PyTorch, MONAI,
Ignite, nibabel, scikit-image, tifffile and fire, and the files of ISBI 2012. Where there is no GPU it says so and ends;
`--device cpu --tiny` runs every part in little, to see that it works.
"""

from __future__ import annotations

import argparse
import datetime
import logging
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import tifffile
import torch
from _measure import Timing, publish, where_it_ran
from ignite.engine import Events
from monai.inferers import SlidingWindowInferer
from monai.networks.nets import BasicUNet
from training import bundle

from monai_unet.data.sections import read_labelled_sections
from monai_unet.inferers import OverlapTileInferer
from monai_unet.losses import PrepareWeightedBatch
from monai_unet.metrics import isbi2012_scores
from monai_unet.networks import OriginalUNet, fold, load_weights
from monai_unet.networks.cuda_graph import with_graph

COMPACT = (16, 32, 64, 128, 256)
WEIGHTS = Path(__file__).parents[1] / "bundles" / "isbi_compact" / "models" / "model.pt"
STEPS = ("eager", "graph", "compile")
TYPES = (torch.float16, torch.bfloat16, torch.float32)


class Machine:
    """The device, what is measured on it, and how much of it."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.device, self.dataset_dir, self.tiny = args.device, str(args.dataset_dir), args.tiny
        self.features = [4, 8, 16] if args.tiny else args.features
        self.rounds = 2 if args.tiny else 5
        self.deadline = time.perf_counter() + args.budget

    def is_late(self, seconds: float = 0.0) -> bool:
        """Whether the time is up for something that takes so long."""
        return time.perf_counter() + seconds > self.deadline

    @property
    def on_cuda(self) -> bool:
        """Else memory and waits are not told."""
        return self.device.startswith("cuda")

    def wait(self) -> None:
        """Until all is done."""
        if self.on_cuda:
            torch.cuda.synchronize()

    def time(self, task: Callable[[], object], calls: int = 1) -> Timing:
        """Seconds a call, in rounds of some calls, after one round that is not counted."""
        seconds = []
        for _ in range(self.rounds + 1):
            start = time.perf_counter()
            for _ in range(calls):
                task()
            self.wait()
            seconds.append((time.perf_counter() - start) / calls)
        return Timing(tuple(seconds[1:]))

    @contextmanager
    def peak(self, into: list[str]) -> Iterator[None]:
        """Append the most memory that tensors took."""
        if self.on_cuda:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        yield
        into.append(f"{torch.cuda.max_memory_allocated() / 1e9:.1f} GB" if self.on_cuda else "not told")

    def training(self, folder: str, epochs: int = 10**6, **overrides: Any) -> Any:
        """The isbi bundle, initialised, without a validation before the end."""
        values = {"features": self.features, "device": self.device, "validation": [23], **overrides}
        if self.tiny:
            values |= {"tile": 100}
        return bundle(self.dataset_dir, folder, epochs, **values)


def per_second(images: int, timing: Timing) -> str:
    """Images a second: median, and lowest to highest."""
    rates = sorted(images / seconds for seconds in timing.seconds)
    return f"{rates[len(rates) // 2]:.1f} ({rates[0]:.1f} to {rates[-1]:.1f})"


def bare_step(workflow: Any, step: str, device: str) -> Callable[[], None]:
    """Forward, loss, backward, clipping and update on a batch that stays where it is."""
    content = workflow.parser.get_parsed_content
    network, loss, inferer = content("network"), content("loss"), content("train::inferer")
    called = torch.compile(network) if step == "compile" else with_graph(network, step, device)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)
    image, target = PrepareWeightedBatch()(next(iter(content("train::dataloader"))), device)
    called.train()

    def run() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss(inferer(image, called), *target).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), content("clip_norm"))
        optimizer.step()

    return run


def bundle_iterations(machine: Machine, trainer: Any, each: int) -> Timing:
    """Seconds an iteration of a trainer, in rounds after one that is not counted."""
    ends: list[float] = []

    def look(engine: Any) -> None:
        if engine.state.iteration % each == 0:
            machine.wait()
            ends.append(time.perf_counter())
            if len(ends) == machine.rounds + 2:
                engine.terminate()

    trainer.add_event_handler(Events.ITERATION_COMPLETED, look)
    trainer.run()
    return Timing(tuple((later - one) / each for one, later in pairwise(ends[1:])))


def training(machine: Machine) -> list[str]:
    """Images a second of the bare step and of the bundle's own iteration."""
    lines = ["| batch | step | bare, images a second | bundle | bundle / bare | first step | memory |"]
    lines += ["|--:|---|--:|--:|--:|--:|--:|"]
    for step in STEPS[: 2 if machine.tiny else 3]:
        for batch in (1, 2) if machine.tiny else (1, 8, 20):
            if machine.is_late(60 if step == "compile" else 10):
                lines.append(f"| {batch} | {step} | not run: the time was up | | | | |")
                continue
            sections = list(range(batch * (20 // batch)))
            each = max(2, 20 // batch)
            memory: list[str] = []
            with tempfile.TemporaryDirectory() as folder, machine.peak(memory):
                settings = {"batch_size": batch, "training_sections": sections, "step": step}
                workflow = machine.training(folder, **settings)
                run = bare_step(workflow, step, machine.device)
                start = time.perf_counter()
                run()
                machine.wait()
                first = time.perf_counter() - start
                bare = machine.time(run, each)
                del run
                workflow = machine.training(folder, **settings)
                whole = bundle_iterations(machine, workflow.parser.get_parsed_content("train::trainer"), each)
            lines.append(
                f"| {batch} | {step} | {per_second(batch, bare)} | {per_second(batch, whole)} | "
                f"{whole.median / bare.median:.3f} | {first:.1f} s | {memory[0]} |"
            )
    return lines


def inference(machine: Machine) -> list[str]:
    """Images of 572 a second through the network alone."""
    size = 108 if machine.tiny else 572
    network = fold(OriginalUNet(features=machine.features, normalisation="weights")).eval()
    network = network.to(machine.device, memory_format=torch.channels_last)
    lines = [f"| images of {size} at once | " + " | ".join(str(dtype)[6:] for dtype in TYPES) + " |"]
    lines += ["|--:|" + "--:|" * len(TYPES)]
    for batch in (1, 2) if machine.tiny else (1, 8, 16, 32):
        image, cells = torch.rand(batch, 1, size, size, device=machine.device), []
        for dtype in TYPES:
            with torch.inference_mode(), autocast(machine, dtype):
                cells.append(per_second(batch, machine.time(lambda image=image: network(image), 5)))
        lines.append(f"| {batch} | " + " | ".join(cells) + " |")
    return lines


def autocast(machine: Machine, dtype: torch.dtype) -> torch.autocast:
    """Compute in a type."""
    return torch.autocast(torch.device(machine.device).type, dtype, enabled=dtype != torch.float32)


def tiles(machine: Machine) -> list[str]:
    """A large image in memory, by overlap tiles and by MONAI's sliding window."""
    side = 600 if machine.tiny else 8192
    image = torch.rand(1, 1, side, side, device=machine.device)
    ours = fold(OriginalUNet(features=machine.features, normalisation="weights")).eval()
    widths = (list(machine.features) + [256] * 5)[:5]
    theirs = BasicUNet(2, 1, 2, features=(*widths, widths[0]), norm=None).eval()
    ours, theirs = (one.to(machine.device, memory_format=torch.channels_last) for one in (ours, theirs))
    lines = [f"| {side} x {side} | type | seconds | Mpx/s | memory |", "|---|---|--:|--:|--:|"]
    arms: list[tuple[str, torch.dtype, Callable[[], object]]] = []
    for dtype in (torch.float16, torch.float32):
        for memory in ("2GB",) if machine.tiny else ("2GB", "free"):
            inferer = OverlapTileInferer(memory=memory)
            arms.append((f"overlap tiles, {memory}", dtype, lambda inferer=inferer: inferer(image, ours)))
    for overlap in (0.25, 0.5):
        window = SlidingWindowInferer(128 if machine.tiny else 512, 8, overlap, mode="gaussian")
        arms.append((f"MONAI's window, {overlap}", torch.float16, lambda window=window: window(image, theirs)))
    for name, dtype, task in arms:
        memory_taken: list[str] = []
        with torch.inference_mode(), autocast(machine, dtype), machine.peak(memory_taken):
            timing = machine.time(task)
        rate = side * side / timing.median / 1e6
        lines.append(f"| {name} | {str(dtype)[6:]} | {timing} | {rate:.1f} | {memory_taken[0]} |")
    return lines


def from_file_to_file(machine: Machine) -> list[str]:
    """`predict` from a tiled TIFF to OME-Zarr, and how long it read, computed and wrote, added over its threads."""
    try:
        from out_of_core import make_bundle

        from monai_unet.io.sources.tiff import TiffSource
        from monai_unet.io.zarr_store import PredictionStore
        from monai_unet.prediction import chunk
        from monai_unet.prediction.out_of_core import predict
    except ImportError as error:
        return [f"Not run: {error}"]
    side = 600 if machine.tiny else 8192
    spent: dict[str, list[Any]] = {"reading": [], "computing": [], "writing": []}

    def watched(name: str, function: Callable[..., Any], on_device: bool) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            mark = Mark(on_device)
            found = function(*args, **kwargs)
            spent[name].append(mark.until_now())
            return found

        return run

    with tempfile.TemporaryDirectory() as name, ExitStack() as patches:
        folder = Path(name)
        tifffile.imwrite(
            folder / "image.tif",
            np.random.default_rng(0).integers(0, 255, (side, side), np.uint8),
            tile=(256, 256),
            photometric="minisblack",
        )
        model = make_bundle(folder, machine.features)
        for part, owner, attribute, on_device in (
            ("reading", TiffSource, "read", False),
            ("computing", chunk, "mean_over_rotations", machine.on_cuda),
            ("writing", PredictionStore, "write", False),
        ):
            function = watched(part, getattr(owner, attribute), on_device)
            patches.enter_context(mock.patch.object(owner, attribute, function))
        given = {"features": machine.features}
        seconds = []
        for run in range(2):  # the first one pays for what is loaded once
            for times in spent.values():
                times.clear()
            start = time.perf_counter()
            predict(folder / "image.tif", folder / f"{run}.zarr", model, given, device=machine.device, progress=False)
            seconds.append(time.perf_counter() - start)
        machine.wait()
    sums = {part: sum(each() for each in times) for part, times in spent.items()}
    parts = ", ".join(f"{part} {each:.2f} s" for part, each in sums.items())
    rate = f"{seconds[1]:.2f} s, {side * side / seconds[1] / 1e6:.1f} Mpx/s"
    return [f"- {side} x {side} pixels: {rate}; {parts}, added over all threads"]


class Mark:
    """A moment of this thread, or of the GPU's work."""

    def __init__(self, on_device: bool) -> None:
        self.on_device = on_device
        self.at = self._now()

    def _now(self) -> Any:
        if not self.on_device:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def until_now(self) -> Callable[[], float]:
        """Seconds between then and now, which can be told when the device has done its work."""
        now = self._now()
        return lambda: self.at.elapsed_time(now) / 1e3 if self.on_device else now - self.at


def agreement(machine: Machine) -> list[str]:
    """Whether tiles agree to the last bit where they overlap."""
    network = fold(OriginalUNet(features=machine.features, normalisation="weights")).eval()
    network = network.to(machine.device, memory_format=torch.channels_last)
    geometry = network.geometry
    size = geometry.input_size_for(100 if machine.tiny else 388)
    large = geometry.input_size_for(200 if machine.tiny else 1216)
    image = torch.rand(1, 1, large + 64, large + 64, device=machine.device)
    lines = ["| type | tiles of one size | largest difference | tiles of another size |", "|---|--:|--:|--:|"]
    for dtype in TYPES:
        with torch.inference_mode(), autocast(machine, dtype):
            first = network(image[..., :size, :size].contiguous()).float().softmax(1)
            equal, worst, places = 0, 0.0, [(1, 0), (0, 1), (2, 3), (4, 1)]
            for down, along in places:
                y, x = down * geometry.stride, along * geometry.stride
                tile = network(image[..., y : y + size, x : x + size].contiguous()).float().softmax(1)
                one, other = first[..., y:, x:], tile[..., : first.shape[-2] - y, : first.shape[-1] - x]
                equal += torch.equal(one, other)
                worst = max(worst, float((one - other).abs().max()))
            whole = network(image[..., :large, :large].contiguous()).float().softmax(1)
        difference = float((whole[..., : first.shape[-2], : first.shape[-1]] - first).abs().max())
        lines.append(f"| {str(dtype)[6:]} | {equal} of {len(places)} bit for bit | {worst:.2g} | {difference:.2g} |")
    return lines


def against_the_cpu(machine: Machine) -> list[str]:
    """The shipped weights in single precision, on both."""
    network = OriginalUNet(features=COMPACT, normalisation="weights").eval()
    load_weights(network, WEIGHTS)
    network = fold(network)
    sections = read_labelled_sections(
        f"{machine.dataset_dir}/train-volume.tif", f"{machine.dataset_dir}/train-labels.tif"
    )
    image = (sections[0]["image"][None] - 128) / 45
    inferer = OverlapTileInferer()
    with torch.inference_mode():
        here = inferer(image, network).softmax(1)
        network.to(machine.device, memory_format=torch.channels_last)
        there = {
            str(dtype)[6:]: OverlapTileInferer(amp_dtype=dtype)(image.to(machine.device), network).softmax(1).cpu()
            for dtype in TYPES
        }
    return [
        f"- {name}: at most {float((here - found).abs().max()):.2g} in probability" for name, found in there.items()
    ]


def quality(machine: Machine) -> list[str]:
    """A short training by the bundle, scored on sections that it was not trained on."""
    lines = ["| features | seconds | iterations | V_rand (at) | at 0.5 | V_info (at) |", "|---|--:|--:|--:|--:|--:|"]
    widths = [machine.features] if machine.tiny else [list(COMPACT), machine.features]
    for features in widths:
        with tempfile.TemporaryDirectory() as folder:
            epochs = 2 if machine.tiny else 240
            settings = {"features": features, "batch_size": 4, "training_sections": list(range(18))}
            workflow = machine.training(folder, epochs, **settings)
            trainer = workflow.parser.get_parsed_content("train::trainer")
            start = time.perf_counter()
            trainer.run()
            machine.wait()
            seconds = time.perf_counter() - start
            network = workflow.parser.get_parsed_content("network").eval()
        sections = read_labelled_sections(
            f"{machine.dataset_dir}/train-volume.tif", f"{machine.dataset_dir}/train-labels.tif"
        )[18:]
        image = (torch.stack([one["image"] for one in sections]) - 128) / 45
        with torch.inference_mode():
            found = OverlapTileInferer()(image.to(machine.device), network).softmax(1)[:, 1].cpu().numpy()
        labels = torch.stack([one["label"][0] for one in sections]).numpy()
        best = isbi2012_scores(labels, found, warping=False)
        half = isbi2012_scores(labels, found, (0.5,), warping=False)
        at = best.best_threshold
        lines.append(
            f"| {features[0]} to {features[-1]} | {seconds:.0f} | {trainer.state.iteration} | {best.v_rand_macro:.4f} "
            f"({at['v_rand_macro']}) | {half.v_rand_macro:.4f} | {best.v_info:.4f} ({at['v_info']}) |"
        )
    return lines


def resume(machine: Machine) -> list[str]:
    """Two epochs at once, and one after the other."""
    lines = []
    for exact in (False, True):
        torch.use_deterministic_algorithms(exact, warn_only=True)
        found = []
        for parts in ((2,), (1, 2), (2,)):
            with tempfile.TemporaryDirectory() as folder:
                for epochs in parts:
                    # the learning rate follows the whole run's curve
                    settings = {"training_sections": list(range(8)), "decay": False, "validation": [23]}
                    workflow = machine.training(folder, epochs, **settings, val_interval=1)
                    workflow.parser.get_parsed_content("train::trainer").run()
                network = workflow.parser.get_parsed_content("network")
                found.append([value.detach().cpu().clone() for value in network.parameters()])
        torch.use_deterministic_algorithms(False)
        straight, resumed, again = found
        how = "deterministic algorithms" if exact else "as it is"
        lines.append(
            f"- {how}: resumed {differing(straight, resumed)}; the same run again {differing(straight, again)}"
        )
    return lines


def differing(ones: list[torch.Tensor], others: list[torch.Tensor]) -> str:
    """How far two sets of weights are apart."""
    pairs = list(zip(ones, others, strict=True))
    if all(torch.equal(one, other) for one, other in pairs):
        return "equal bit for bit"
    return f"differs by {max(float((one - other).abs().max()) for one, other in pairs):.2g} at most"


def waits(machine: Machine) -> list[str]:
    """How often an iteration waits for the device."""
    if not machine.on_cuda:
        return ["- not told without CUDA"]
    count, iterations = 0, 40
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        workflow = machine.training(folder, batch_size=4, training_sections=list(range(20)))
        trainer = workflow.parser.get_parsed_content("train::trainer")

        def look(engine: Any) -> None:
            nonlocal count
            if engine.state.iteration == 20:
                caught.clear()
                torch.cuda.set_sync_debug_mode("warn")
            elif engine.state.iteration == 20 + iterations:
                torch.cuda.set_sync_debug_mode("default")
                count = sum("synchronizing" in str(each.message) for each in caught)
                engine.terminate()

        trainer.add_event_handler(Events.ITERATION_COMPLETED, look)
        trainer.run()
    return [
        f"- {count} in {iterations} iterations, of which every tenth reads the loss for the bar, the curves and NaN"
    ]


PARTS: dict[str, Callable[[Machine], list[str]]] = {
    "Agreement of tiles": agreement,
    "Against the CPU, isbi_compact's weights": against_the_cpu,
    "Waits for the device": waits,
    "Exact resume": resume,
    "Inference, images a second": inference,
    "Overlap tiles": tiles,
    "From a tiled TIFF to OME-Zarr": from_file_to_file,
    "A short training, scored on sections 18 to 23": quality,
    "Training, images a second": training,
}


def main() -> None:
    """Measure part by part, write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset-dir", type=Path, required=True, help="the ISBI 2012 files")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--features", type=int, nargs="+", default=[64, 128, 256, 512, 1024])
    parser.add_argument("--budget", type=float, default=360, help="seconds after which no part is begun")
    parser.add_argument("--tiny", action="store_true", help="every part in little")
    args = parser.parse_args()
    if args.device.startswith("cuda") and not torch.cuda.is_available():
        print("there is no CUDA device here: nothing was measured, nothing was written")
        return
    logging.disable(logging.INFO)
    machine = Machine(args)
    lines = [
        "# On a GPU",
        "",
        f"- Date: {datetime.date.today()}",
        f"- Machine: {where_it_ran('torch', 'monai', 'pytorch-ignite')}",
        f"- Device: {torch.cuda.get_device_name() if machine.on_cuda else machine.device}, CUDA {torch.version.cuda}",
        f"- Network: features {machine.features}, 572 px in, 388 out; ISBI 2012 (`benchmarks/gpu.py`)",
        f"- Medians of {machine.rounds} rounds, lowest to highest in brackets",
    ]
    for title, part in PARTS.items():
        lines += ["", f"## {title}", ""]
        if machine.is_late():
            lines.append("Not run: the time was up.")
            continue
        start = time.perf_counter()
        try:
            lines += part(machine)
        except Exception as error:  # one part must not cost the others
            lines.append(f"Failed: {type(error).__name__}: {(str(error).splitlines() or [''])[0]}")
        lines += ["", f"({time.perf_counter() - start:.0f} s)"]
    publish(lines, args.out)


if __name__ == "__main__":
    main()
