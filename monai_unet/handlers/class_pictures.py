"""Pictures of classes while a network trains, in TensorBoard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ignite.engine import Engine, Events
from monai.utils import convert_data_type
from torch.utils.tensorboard import SummaryWriter

from monai_unet import report
from monai_unet.handlers.class_results import class_palette, class_panels


class ClassPictures:
    """Add the first section of each validation to TensorBoard: image, truth, prediction, probability and errors.

    The same pictures as in the report of an evaluation, side by side, in the same colours. A section is a dictionary of
    the engine's output, with `pred` (C, H, W), probabilities; what is not there is taken from its batch: `image`
    (C, H, W), `label` (1, H, W), the class of each pixel, and perhaps `ignore` (1, H, W), not 0 where it is unknown.

    Args:
        summary_writer: of TensorBoard; its step is the epoch of the training.
        classes: names, background first.
        colours: of labels in colour, as the knob has them, for the classes in the pictures too.
        tag: name of the picture.
    """

    def __init__(
        self, summary_writer: SummaryWriter, classes: Sequence[str], colours: str | None = None, tag: str = "validation"
    ) -> None:
        self.writer = summary_writer
        self.palette = class_palette(classes, colours)
        self.tag = tag

    def attach(self, engine: Engine) -> None:
        """Listen to the evaluator."""
        engine.add_event_handler(Events.ITERATION_COMPLETED(once=1), self)

    def __call__(self, engine: Engine) -> None:
        """Add the picture of the first section."""
        outputs: Any = engine.state.output
        batch: Any = engine.state.batch
        sample = {**(batch[0] if isinstance(batch, list) else {}), **outputs[0]}
        image, label, pred = (_array(sample[key]) for key in ("image", "label", "pred"))
        unknown = _array(sample["ignore"])[0] > 0 if "ignore" in sample else None
        panels, _ = class_panels(label[0], pred, unknown, self.palette)
        shown = report.side_by_side([report.colour(image), *panels.values()])
        self.writer.add_image(self.tag, shown, engine.state.epoch, dataformats="HWC")


def _array(values: Any) -> np.ndarray:
    return convert_data_type(values, np.ndarray)[0]
