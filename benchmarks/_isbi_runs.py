"""What the benchmarks of training share: train the isbi bundle in a process of its own, score it, give the numbers."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

BUNDLE = Path(__file__).parents[1] / "bundles" / "isbi"
SCORES = ("v_rand", "v_info", "rand_error", "pixel_error")
THRESHOLDS = tuple(tenth / 10 for tenth in range(10))


def train_bundle(overrides: dict[str, Any], configs: Sequence[str] = ("train",)) -> dict[str, float]:
    """Train once with one thread, validate once at the end; scores of the last weights, and seconds of the training.

    Args:
        overrides: names of the config with other values; `epochs` has to be there.
        configs: files of the bundle, the later ones over the earlier.
    """
    import torch
    from ignite.engine import Events
    from monai.bundle import ConfigWorkflow

    torch.set_num_threads(1)
    files = [str(BUNDLE / "configs" / f"{name}.json") for name in configs]
    with tempfile.TemporaryDirectory() as folder:
        workflow = ConfigWorkflow(
            files if len(files) > 1 else files[0],
            workflow_type="train",
            logging_file=False,
            bundle_root=str(BUNDLE),
            ckpt_dir=folder,
            output_dir=folder,
            device="cpu",
            val_interval=overrides["epochs"],
            thresholds=list(THRESHOLDS),
            **overrides,
        )
        workflow.initialize()
        times: dict[str, float] = {}
        trainer, evaluator = (
            workflow.parser.get_parsed_content(f"{part}") for part in ("train::trainer", "validate::evaluator")
        )
        trainer.add_event_handler(Events.STARTED, lambda: times.update(start=time.process_time()))
        evaluator.add_event_handler(Events.STARTED, lambda: times.update(end=time.process_time()))
        workflow.run()
        scores = {score: float(evaluator.state.metrics[score]) for score in SCORES}
        return {**scores, "seconds": times["end"] - times["start"], "iterations": float(trainer.state.iteration)}


def spread(values: Sequence[float], digits: int = 3) -> str:
    """Mean, and lowest to highest."""
    mean = sum(values) / len(values)
    return f"{mean:.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"
