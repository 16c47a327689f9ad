"""Learning curves: read from TensorBoard's event files, drawn one by one."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np

_FEW = 5  # values, or steps whose numbers all stand at the axis


def read_curves(folder: str | os.PathLike[str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The scalars in the event files of a folder, not of the folders in it.

    A run that goes on writes a file of its own and may repeat the last steps of the file before. So files are taken in
    the order of their names, which begin with the time, and what a later file says of a tag replaces all that earlier
    ones say from its first step on.

    Args:
        folder: where a training wrote its events; may be missing.

    Returns:
        By tag, losses first and else in order of the alphabet: steps (int64) and values (float64), both (n,).
    """
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # slow to import

    curves: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for file in sorted(Path(folder).glob("events.out.tfevents.*")):
        events = EventAccumulator(str(file), size_guidance={"scalars": 0, "images": 1, "tensors": 1}).Reload()
        for tag in events.Tags()["scalars"]:
            found = events.Scalars(tag)
            steps = np.array([event.step for event in found], np.int64)
            values = np.array([event.value for event in found], np.float64)
            if tag in curves:
                before = curves[tag][0] < steps[0]
                steps = np.concatenate([curves[tag][0][before], steps])
                values = np.concatenate([curves[tag][1][before], values])
            curves[tag] = steps, values
    return dict(sorted(curves.items(), key=lambda item: ("loss" not in item[0], item[0])))


def draw_curve(
    name: str, steps: np.ndarray, values: np.ndarray, higher_is_better: bool = True, along: str = ""
) -> bytes:
    """A curve as a PNG of 840 x 560 pixels.

    A loss is noisy: it is drawn pale, with the mean of a fiftieth of the run around each step on top. The best value
    of any other curve is marked. Few values are drawn as points, as a line of one would not be seen.

    Args:
        name: the tag; one with "loss" in it counts iterations, any other one epochs, as MONAI's handlers do.
        steps: (n,).
        values: (n,), NaN where there is none.
        higher_is_better: which value to mark.
        along: what the steps are, if neither iterations nor epochs.
    """
    from matplotlib.figure import Figure  # slow to import; pyplot would change what the user has set
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(4.2, 2.8), dpi=200, layout="constrained", facecolor="white")
    axes = figure.add_subplot(facecolor="white")
    blue, ink = "#004488", "#3a424c"
    known = np.isfinite(values)
    if "loss" in name:
        width = max(1, len(values) // 50)
        dots = "o" if known.sum() <= _FEW else ""
        axes.plot(steps, values, color=blue, alpha=0.25 if width > 1 else 1, linewidth=0.8, marker=dots, markersize=3)
        if width > 1 and known.all():
            total = np.convolve(values, np.ones(width), "same")
            mean = total / np.convolve(np.ones(len(values)), np.ones(width), "same")
            axes.plot(steps, mean, color=blue, linewidth=1.6)
    else:
        axes.plot(steps, values, color=blue, linewidth=1.6, marker="o", markersize=3)
        if known.any():
            best = np.nanargmax(values) if higher_is_better else np.nanargmin(values)
            axes.plot(steps[best], values[best], "o", markersize=8, markerfacecolor="none", markeredgecolor="#bb5566")
    axes.set_xlabel(along or ("iteration" if "loss" in name else "epoch"), color=ink, fontsize=9)
    axes.tick_params(colors=ink, labelsize=8)
    axes.grid(axis="y", color="#e3e6ea", linewidth=0.8)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color("#9aa3ad")
    if not known.any():
        axes.text(0.5, 0.5, "no value is a number", ha="center", va="center", color=ink, transform=axes.transAxes)
    if along or len(np.unique(steps)) > _FEW:
        axes.xaxis.set_major_locator(MaxNLocator(integer=not along, steps=[1, 2, 5, 10]))
    else:  # left to itself, an axis around a single step is numbered from 1.90 to 2.10
        axes.set_xticks(np.unique(steps))
        axes.set_xlim(steps.min() - 0.5, steps.max() + 0.5)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
