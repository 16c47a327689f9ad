"""A picture a section: input, truth, probability and prediction side by side."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch
from ignite.engine import Events
from monai.engines import Workflow
from monai.utils import convert_data_type
from skimage.io import imsave

from monai_unet.io import written_aside

logger = logging.getLogger(__name__)


def side_by_side(image: np.ndarray, label: np.ndarray, probability: np.ndarray, threshold: float = 0.5) -> np.ndarray:
    """Input | truth | probability | prediction of one section.

    Args:
        image: (H, W), any range; its smallest value becomes black and its largest white.
        label: (H, W), above 0 inside cells.
        probability: (H, W), of being inside, 0 to 1.
        threshold: above it a pixel is predicted inside.

    Returns:
        uint8, (H, 4 W + 12): the panels with white bars of 4 pixels between them.
    """
    span = max(float(image.max() - image.min()), 1e-12)
    panels = [(image - image.min()) / span, label > 0, probability, probability > threshold]
    bar = np.full((image.shape[0], 4), 255, np.uint8)
    row: list[np.ndarray] = []
    for panel in panels:
        row += [np.round(np.clip(panel.astype(np.float32), 0, 1) * 255).astype(np.uint8), bar]
    return np.concatenate(row[:-1], axis=1)


class SavePictures:
    """Write `side_by_side` of every section that an evaluator sees; attached to the evaluator.

    Args:
        output_dir: folder of the pictures, `section_000.png` and so on in the order of evaluation.
        threshold: above it a pixel is predicted inside.

    Needs `image`, `label` and `pred`, the probabilities of (background, inside), in the engine's output.
    """

    def __init__(self, output_dir: str | Path, threshold: float = 0.5) -> None:
        self.output_dir = Path(output_dir)
        self.threshold = threshold
        self._count = 0

    def attach(self, engine: Workflow) -> None:
        """Listen to the evaluator."""
        engine.add_event_handler(Events.STARTED, self._restart)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)
        engine.add_event_handler(Events.COMPLETED, self._report)

    def __call__(self, engine: Workflow) -> None:
        """Write the pictures of a batch."""
        for output in engine.state.output:
            image, label, pred = (_array(output[key]) for key in ("image", "label", "pred"))
            picture = side_by_side(image[0], label[0], pred[1], self.threshold)
            with written_aside(self.output_dir / f"section_{self._count:03d}.png") as temporary:
                imsave(temporary, picture, check_contrast=False)
            self._count += 1

    def _restart(self) -> None:
        self._count = 0

    def _report(self) -> None:
        logger.info(f"input | truth | probability | prediction: {self.output_dir}/section_*.png, {self._count} of them")


def _array(tensor: torch.Tensor) -> np.ndarray:
    return convert_data_type(tensor, np.ndarray)[0]
