"""What the benchmarks of training share: a bundle ready to train, and its network's step alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigWorkflow

from monai_unet.losses import PrepareWeightedBatch

BUNDLE = Path(__file__).parents[1] / "bundles" / "isbi"


def bundle(
    dataset_dir: str | Path, folder: str | Path, epochs: int, root: Path = BUNDLE, **overrides: Any
) -> ConfigWorkflow:
    """A bundle's training, initialised; without a validation before its end unless `val_interval` is given."""
    workflow = ConfigWorkflow(
        str(root / "configs" / "train.json"),
        workflow_type="train",
        logging_file=False,
        bundle_root=str(root),
        dataset_dir=str(dataset_dir),
        ckpt_dir=str(folder),
        output_dir=str(folder),
        epochs=epochs,
        **{"val_interval": epochs + 1, **overrides},
    )
    workflow.initialize()
    return workflow


def bare_step(workflow: ConfigWorkflow) -> Callable[[], None]:
    """Forward, loss, backward, clipping and the optimiser's step, on one batch that stays where it is.

    The network is the trainer's own, so it is launched as the bundle launches it: as it is, as CUDA graphs, compiled.
    """
    content = workflow.parser.get_parsed_content
    network, loss, inferer = content("train::trainer").network, content("loss"), content("train::inferer")
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)
    batch = next(iter(content("train::dataloader")))
    image, target = PrepareWeightedBatch()(batch, content("device"))
    network.train()

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss(inferer(image, network), *target).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), content("clip_norm"))
        optimizer.step()

    return step
