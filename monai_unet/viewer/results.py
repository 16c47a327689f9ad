"""Show the results of a prediction as layers of a viewer, in the place of those that were shown before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from monai_unet.viewer.images import placed
from monai_unet.viewer.parts import RESULT, keep_selection
from monai_unet.viewer.predicting import Shown


def show_results(
    viewer: Any, image: Any, results: Sequence[Shown], part: str, start: Sequence[int] | None = None
) -> list[Any]:
    """Put results above their image.

    Args:
        viewer: the viewer.
        image: the layer that they were predicted from.
        results: what is to be shown; probabilities are hidden where there are labels.
        part: "visible" or "whole"; the result that was shown before of the same image, part and name is replaced.
        start: the first pixel of the results.

    Returns:
        The layers.
    """
    has_labels = any(result.kind == "labels" for result in results)
    layers: list[Any] = []

    def change() -> None:
        for result in results:
            name = f"{image.name}: {result.name}" + (" (visible part)" if part == "visible" else "")
            options: dict[str, Any] = {**result.options, **placed(image, start)}
            old = next((layer for layer in viewer.layers if layer.name == name and RESULT in layer.metadata), None)
            if old is not None:
                if _takes(old, result):
                    old.data = result.data
                    old.scale, old.translate = options["scale"], options["translate"]
                    layers.append(old)
                    continue
                viewer.layers.remove(old)
            is_hidden = result.kind == "image" and has_labels
            options |= {"name": name, "metadata": {RESULT: part}, "visible": not is_hidden}
            add = viewer.add_labels if result.kind == "labels" else viewer.add_image
            if isinstance(result.data, list):
                options["multiscale"] = True
            layers.append(add(result.data, **options))
            viewer.layers.move(len(viewer.layers) - 1, viewer.layers.index(image) + 1)

    keep_selection(viewer, change)
    return layers


def _takes(layer: Any, result: Shown) -> bool:
    """Whether a layer can show other data without being made anew."""
    return (
        layer._type_string == result.kind
        and not layer.multiscale
        and not isinstance(result.data, list)
        and layer.data.ndim == result.data.ndim
        and layer.data.dtype == result.data.dtype
    )
