"""How long the training of a bundle takes on this machine, from a few iterations of it at several widths."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine, Events
from monai.bundle import ConfigParser
from monai.data import DataLoader
from monai.utils import set_determinism
from torch.utils.data import ConcatDataset, Dataset

from monai_unet import inferers, malloc
from monai_unet.errors import cause_under_monai
from monai_unet.handlers.find_values import num_candidates
from monai_unet.handlers.work import (
    ENOUGH,
    LEAST,
    MOST,
    Costs,
    Run,
    as_predicted,
    halves,
    likely,
    seconds_of_scoring,
    warm_up,
)
from monai_unet.times import EVENING, duration

_WIDER = 4  # times as long at twice the width, at most: as many more multiplications
_BYTES = 3  # times what a prediction needs: what a training keeps for the backward pass (2.2 at 8 features, float32)
NOT_MEASURED = "not measured"
_MEMINFO = Path("/proc/meminfo")
_IMPORTS = "import monai.bundle, monai.engines, monai.handlers, monai_unet.handlers"  # most of a training's start
BUDGET = 40.0  # seconds that the measuring may take


@dataclass(frozen=True)
class Pace:
    """What a training at one width takes.

    Attributes:
        features: channels of each level of the network.
        parameters: of the network.
        iteration: seconds of one iteration; None when it was not measured.
        total: seconds of the whole training; None when it was not measured.
        why_not: it was not measured.
    """

    features: tuple[int, ...]
    parameters: int
    iteration: float | None = None
    total: float | None = None
    why_not: str = ""


def run_of(parser: ConfigParser) -> Run:
    """How much work the training of a bundle is, by its training config."""
    value = parser.get_parsed_content
    targets = value("targets") if "targets" in parser else ""
    training, validation = (num_samples(part, targets) for part in value("split"))
    searches = bool(validation) and bool(_handlers(parser, "FindValues"))
    return Run(
        value("epochs"),
        training,
        validation or training,
        value("batch_size"),
        max(value("val_interval"), 1),
        num_candidates(value("decoding")) if searches else 0,
    )


def num_samples(files: Sequence[Mapping[str, Any]], targets: str) -> int:
    """How many samples a data set makes of the sections of these files: one of each, with a neighbour one of each pair.

    Example:
        >>> num_samples([{"sections": [0, 1, 2, 5]}], ""), num_samples([{"sections": [0, 1, 2, 5]}], "noise2noise")
        (4, 4)
    """
    if targets != "noise2noise":
        return sum(len(file["sections"]) for file in files)
    return sum(other in file["sections"] for file in files for one in file["sections"] for other in (one - 1, one + 1))


def _handlers(parser: ConfigParser, name: str) -> list[Any]:
    """The trainer's handlers of this class, as the config has them."""
    return [each for each in parser["train::handlers"] if name in str(each.get("_target_"))]


def widths(features: Sequence[int]) -> list[tuple[int, ...]]:
    """A network's own width, half of it, and twice as much.

    Example:
        >>> widths([1, 2])
        [(1, 2), (1, 1), (2, 4)]
    """
    others = (tuple(max(number // 2, 1) for number in features), tuple(2 * number for number in features))
    return [tuple(features), *(other for other in others if other != tuple(features))]


def measure(config: Path, root: Path, dataset: Dataset, preparing: float, budget: float = BUDGET) -> list[Pace]:
    """Run a few iterations of a bundle's own trainer, and one validation, at three widths or more.

    The bundle's own width comes first and is always measured. Another one is left out where its iterations would take
    more than what is left of the budget, by half or four times those of the own width, or where it needs more memory
    than is available. Where the own width takes longer than an evening on a CPU, it is halved until it does not. No
    handler of the bundle runs but the one that clips gradients, so nothing is written. A GPU is waited for after each
    iteration, which training does not do, so the time is a bit too long there. Left out are the files that are written,
    and that the first iteration is slower than the others.

    Args:
        config: the training config, `train.json`.
        root: the bundle's folder.
        dataset: some of its training sections, prepared; they stand for all.
        preparing: seconds that preparing one of them took.
        budget: seconds for all widths together; one iteration is always finished.

    Returns:
        A `Pace` for each of `widths`, and for narrower ones.
    """
    start = time.perf_counter()
    plain = parsed(config, root)
    value = plain.get_parsed_content
    set_determinism(value("seed"))  # as the config's `initialize` does, since these change the speed
    inferers.allow_tf32(value("precision"))
    malloc.keep_freed_blocks()
    run, paces = run_of(plain), list[Pace]()
    starting = seconds_of_a_start()

    def at(features: tuple[int, ...]) -> None:
        left = budget - (time.perf_counter() - start)
        expected = 0.0  # as is the own width, whatever it takes
        if paces:
            times = _WIDER if features > paces[0].features else 1 / 2
            expected = math.inf if paces[0].iteration is None else times * paces[0].iteration
        costs = Costs(0.0, 0.0, preparing=preparing, start=starting)
        paces.append(_pace(parsed(config, root), run, features, dataset, costs, left, expected))

    for features in widths(value("features")):
        at(features)
    if torch.device(value("device")).type == "cpu" and is_long(paces[0]):
        for features in halves(value("features"))[1:]:
            if any(pace.total is not None and pace.total <= EVENING for pace in paces):
                break
            at(features)
    return paces


def parsed(config: Path, root: Path) -> ConfigParser:
    """A config outside of MONAI's workflow, which is what would know the bundle's folder."""
    parser = ConfigParser()
    parser.read_config(str(config))
    parser["bundle_root"] = str(root)
    return parser


def _pace(
    parser: ConfigParser,
    run: Run,
    features: tuple[int, ...],
    dataset: Dataset,
    costs: Costs,
    left: float,
    expected: float,
) -> Pace:
    """At one width, with `left` seconds to spend, of which an iteration is expected to take some.

    `costs` are those that do not depend on the width.
    """
    parser["features"] = list(features)
    device = torch.device(parser.get_parsed_content("device"))
    network = parser.get_parsed_content("network_def")
    parameters = sum(parameter.numel() for parameter in network.parameters())
    batch = min(run.batch_size, run.training)
    pixels = batch * parser.get_parsed_content("input_size") ** 2
    if _BYTES * network.bytes_per_pixel * pixels > _available(device):
        return Pace(features, parameters, why_not="needs more memory than is free")
    idle = warm_up(device.type)
    if expected and expected * (idle + 1) > left:
        return Pace(features, parameters, why_not=NOT_MEASURED)
    try:
        clock = _Clock(device, idle, left)
        iteration = _seconds_of_an_iteration(parser, dataset, batch, clock)
        validation, scoring = _seconds_of_a_validation(parser, bool(run.candidates))
    except RuntimeError as error:
        if not isinstance(cause_under_monai(error), torch.OutOfMemoryError):
            raise
        torch.cuda.empty_cache()
        return Pace(features, parameters, why_not="needs more memory than is free")
    costs = replace(costs, iteration=iteration, validation=validation, scoring=scoring)
    return Pace(features, parameters, iteration, run.seconds(costs))


class _Clock:
    """Ends a trainer's run when enough of its iterations have been timed; the first ones do not count."""

    def __init__(self, device: torch.device, warm_up: int, seconds: float) -> None:
        self.device, self.warm_up, self.seconds = device, warm_up, seconds
        self.start, self.ends = time.perf_counter(), list[float]()

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self.ends.append(time.perf_counter())
        timed = len(self.ends) - self.warm_up
        late = self.ends[-1] - self.start > self.seconds / 2
        spent = self.ends[-1] - self.ends[self.warm_up - 1] if timed > 0 else 0.0
        if timed >= MOST or (timed >= 1 and late) or (timed >= LEAST and spent >= ENOUGH):
            engine.terminate()

    @property
    def iteration(self) -> float:
        """Seconds, the mean: what a whole run adds up to, pauses included."""
        return (self.ends[-1] - self.ends[self.warm_up - 1]) / (len(self.ends) - self.warm_up)


def _seconds_of_an_iteration(parser: ConfigParser, dataset: Dataset, batch: int, clock: _Clock) -> float:
    tiles = (clock.warm_up + MOST) * batch
    many: Dataset = ConcatDataset([dataset] * math.ceil(tiles / len(dataset)))  # type: ignore[arg-type]
    parser["train::dataloader"] = DataLoader(many, batch_size=batch, drop_last=True, num_workers=0)
    parser["train::handlers"] = [*_handlers(parser, "ClipGradients"), clock]
    parser["train::trainer::max_epochs"] = 1
    parser.get_parsed_content("train::trainer").run()
    return clock.iteration


def _seconds_of_a_validation(parser: ConfigParser, searches: bool) -> tuple[float, float]:
    """Of one section: prediction and scores; and the scores alone, where values are searched for, else 0.

    Scoring depends on what is scored; see `likely`.
    """
    training, validation = parser.get_parsed_content("split")
    targets = parser.get_parsed_content("targets") if "targets" in parser else ""
    parser["validate::dataset::data"] = [_least_data(validation or training, targets)]
    parser["validate::handlers"] = []
    evaluator: Any = parser.get_parsed_content("validate::evaluator")
    start = time.perf_counter()
    evaluator.run()
    seconds = (time.perf_counter() - start) / len(parser.get_parsed_content("validate::dataset"))
    if not searches:
        return seconds, 0.0
    decoding = parser.get_parsed_content("decoding")
    sample: Any = parser.get_parsed_content("validate::dataset")[0]
    image = torch.as_tensor(sample["image"])[None].to(parser.get_parsed_content("device"))
    start = time.perf_counter()
    with torch.inference_mode():
        logits = parser.get_parsed_content("validate::inferer")(image, parser.get_parsed_content("network").eval())
        predicted = logits.float().softmax(1)[0].cpu().numpy()
    predicting = time.perf_counter() - start
    truth = np.asarray(sample["cells" if decoding.objects else "label"])[0].astype(np.int32)
    of_network, of_truth = (
        seconds_of_scoring(each, truth, decoding) for each in (predicted, as_predicted(truth, decoding))
    )
    scoring = likely(of_network, of_truth)
    return predicting + max(seconds - predicting, 0.0) * scoring / max(of_network, 1e-9), scoring


def _least_data(files: Sequence[dict[str, Any]], targets: str) -> dict[str, Any]:
    """A file with one of its sections, or with two neighbours where one is the other's target."""
    for file in files:
        for section in file["sections"]:
            if targets != "noise2noise":
                return {**file, "sections": [section]}
            if section + 1 in file["sections"]:
                return {**file, "sections": [section, section + 1]}
    raise ValueError("no section validates, or none that has a neighbour")


def seconds_of_a_start() -> float:
    """Of a process like a training's, until it has its packages."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", _IMPORTS], check=True, capture_output=True)
    return time.perf_counter() - start


def _available(device: torch.device) -> float:
    """Bytes that can be had; infinitely many where that is not known, and on a GPU, which says when there are none."""
    if device.type != "cpu":
        return math.inf
    try:
        lines = _MEMINFO.read_text(encoding="ascii").splitlines()
    except OSError:
        return math.inf
    found = [int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
    return 1024 * found[0] if found else math.inf


def is_long(pace: Pace) -> bool:
    """Whether a training takes longer than an evening."""
    return pace.total is not None and pace.total > EVENING


def proposal(paces: Sequence[Pace]) -> str:
    """The widest network that fits an evening, or else the narrowest, where the bundle's own, the first, does not."""
    if not is_long(paces[0]):
        return ""
    measured = [(pace.features, pace.total) for pace in paces if pace.total is not None]
    fitting = [each for each in measured if each[1] <= EVENING]
    features, total = max(fitting) if fitting else min(measured)
    width = ",".join(map(str, features))
    return (
        f'longer than an evening ({duration(EVENING)}): {"" if fitting else "even "}--features "[{width}]", in all '
        f"commands, takes about {duration(total)}; a GPU takes a small part of that"
    )


def lines_of(paces: Sequence[Pace]) -> list[list[str]]:
    """The table for people: its head, and a line for each width, the bundle's own, which is the first, being marked.

    What was not measured is bounded by the own width: the work grows at least with the width, and at most with its
    square.
    """
    own = paces[0]
    table = [["features", "parameters", "an iteration", "the whole training"]]
    for pace in sorted(paces, key=lambda each: each.features):
        iteration, total = "", pace.why_not
        if pace.iteration is not None and pace.total is not None:
            iteration, total = f"{pace.iteration:.2g} s", f"about {duration(pace.total)}"
        elif pace.why_not == NOT_MEASURED and own.total is not None:
            bounds = (2, _WIDER) if pace.features > own.features else (1 / _WIDER, 1 / 2)
            total = f"{NOT_MEASURED}; {' to '.join(duration(own.total * times) for times in bounds)}"
        features = "[" + ",".join(map(str, pace.features)) + "]"
        mark = ", as it is set" if pace is own else ""
        table.append([features, f"{pace.parameters / 1e6:.2g} million", iteration, total + mark])
    return table
