"""The parts of `gpu.py` that compare: tiles with tiles, the device with the CPU, a resumed run with a whole one."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from _device import Device, heading, row
from ignite.engine import Events

from monai_unet.inferers import OverlapTileInferer
from monai_unet.inferers.precision import without_tf32
from monai_unet.networks import OriginalUNet, fold, load_weights

COMPACT = (16, 32, 64, 128, 256)
WEIGHTS = Path(__file__).parents[1] / "bundles" / "isbi_compact" / "models" / "model.pt"
GOAL = 1e-4
TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
PLACES = ((1, 0), (0, 1), (2, 3), (4, 1), (3, 5))  # of tiles, in steps of the lattice from the first one
WATCHED = 20  # iterations


def agreement(device: Device) -> Iterator[str]:
    """Whether tiles agree where they overlap: of one input size, and of different ones; random weights."""
    network = device.network()
    geometry = network.geometry
    small, middle, large = map(geometry.input_size_for, (40, 100, 200) if device.tiny else (100, 388, 1216))
    largest = max(max(place) for place in PLACES) * geometry.stride
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(1, 1, large + largest, large + largest, generator=generator).to(device.name)

    def probability(y: int, x: int, size: int, dtype: torch.dtype) -> torch.Tensor:
        patch = image[..., y : y + size, x : x + size].contiguous()
        low = torch.autocast(patch.device.type, dtype, enabled=dtype != torch.float32)
        with torch.inference_mode(), without_tf32(), low:
            return network(patch).float().softmax(1)

    pairs = f"pairs of {middle} equal bit for bit"
    yield from heading("type", pairs, "largest difference", f"{small} to {middle}", f"{large} to {middle}")
    for name, dtype in TYPES.items():
        first = probability(0, 0, middle, dtype)
        equal, differences = 0, []
        for down, along in PLACES:
            y, x = down * geometry.stride, along * geometry.stride
            other = probability(y, x, middle, dtype)[..., : first.shape[-2] - y, : first.shape[-1] - x]
            equal += torch.equal(first[..., y:, x:], other)
            differences.append(_difference(first[..., y:, x:], other))
        others = [_common(first, probability(0, 0, size, dtype)) for size in (small, large)]
        yield row(name, f"{equal} of {len(PLACES)}", *(f"{each:.1e}" for each in (max(differences), *others)))
    yield ""
    yield "Differences are the largest of a probability; float32 is without TF32, as in every prediction."


def _common(one: torch.Tensor, other: torch.Tensor) -> float:
    size = min(one.shape[-1], other.shape[-1])
    return _difference(one[..., :size, :size], other[..., :size, :size])


def _difference(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).abs().max())


def against_the_cpu(device: Device) -> Iterator[str]:
    """The shipped weights of isbi_compact on two sections: this device beside single precision on the CPU."""
    network = OriginalUNet(features=COMPACT, normalisation="weights").eval()
    load_weights(network, WEIGHTS)
    network = fold(network)
    image = device.sections(0, 2)
    with torch.inference_mode():
        expected = OverlapTileInferer()(image, network).softmax(1)
        network.to(device.name, memory_format=torch.channels_last)
        yield from heading("type", "largest difference of a probability", f"goal {GOAL}")
        for name, dtype in TYPES.items():
            found = OverlapTileInferer(amp_dtype=dtype)(image.to(device.name), network).softmax(1).cpu()
            difference = _difference(found, expected)
            goal = ("met" if difference <= GOAL else "missed") if dtype == torch.float32 else ""
            yield row(name, f"{difference:.1e}", goal)


def resume(device: Device) -> Iterator[str]:
    """Two epochs in one run, and in two: the weights afterwards. Beside it the same run twice, which is the limit."""
    yield from heading("PyTorch's deterministic algorithms", "resumed to straight", "straight to straight again")
    doubtful: set[str] = set()
    for exact in (False, True):
        device.begin()
        torch.use_deterministic_algorithms(exact, warn_only=True)
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                straight, resumed, again = (_weights(device, runs) for runs in ((2,), (1, 2), (2,)))
        finally:
            torch.use_deterministic_algorithms(False)
        said = [str(each.message) for each in caught]
        doubtful |= {text.split()[0] for text in said if "does not have a deterministic implementation" in text}
        yield row("on" if exact else "off", _apart(straight, resumed), _apart(straight, again))
    yield ""
    yield "cuDNN's own switch is on in both, as the bundle sets it. Without a deterministic version in PyTorch: " + (
        f"{', '.join(sorted(doubtful))}." if doubtful else "nothing that was run."
    )


def _weights(device: Device, runs: Sequence[int]) -> list[torch.Tensor]:
    """After runs of the bundle up to so many epochs, each of which goes on where the one before it ended."""
    with tempfile.TemporaryDirectory() as folder:
        for epochs in runs:
            # the rate follows the number of epochs, so it is to stay as it is after the warm-up
            settings = {"training_sections": list(range(4)), "validation": [23], "decay": False, "val_interval": 1}
            workflow = device.training(folder, epochs, **settings)
            workflow.run()
        network = workflow.parser.get_parsed_content("network")
        return [value.detach().cpu().clone() for value in network.parameters()]


def _apart(ones: Sequence[torch.Tensor], others: Sequence[torch.Tensor]) -> str:
    pairs = list(zip(ones, others, strict=True))
    if all(torch.equal(*pair) for pair in pairs):
        return "equal bit for bit"
    return f"at most {max(_difference(*pair) for pair in pairs):.1e}"


def waits(device: Device) -> Iterator[str]:
    """How often an iteration of the bundle waits for the device, and where, once it runs."""
    if not device.is_cuda:
        yield f"Not measured on {device.name}: only CUDA tells."
        return
    found: dict[int, list[str]] = {}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        workflow = device.training(folder)
        trainer = workflow.parser.get_parsed_content("train::trainer")

        def look(engine: Any) -> None:
            iteration = engine.state.iteration
            if iteration > WATCHED:
                text = [each for each in caught if "called a synchronizing CUDA operation" in str(each.message)]
                found[iteration] = [f"{Path(each.filename).name}:{each.lineno}" for each in text]
            caught.clear()
            torch.cuda.set_sync_debug_mode("warn" if iteration >= WATCHED else "default")
            if iteration == 2 * WATCHED:
                engine.terminate()

        trainer.add_event_handler(Events.ITERATION_COMPLETED, look)
        try:
            trainer.run()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    waiting = {iteration: places for iteration, places in found.items() if places}
    count = sum(map(len, waiting.values()))
    yield f"{count} waits in {len(found)} iterations, in {len(waiting)} of them; every tenth reads the loss."
    yield from ("", *(f"- iteration {number}: {', '.join(places)}" for number, places in waiting.items()))
