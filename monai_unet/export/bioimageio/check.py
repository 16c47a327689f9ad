"""Whether a BioImage.IO package does what the bundle does: bioimageio.core's own test, and predictions compared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from monai_unet.export.bioimageio.core import imported, quiet
from monai_unet.export.compare import GREY_VALUE, PROBABILITY, Difference, compared, difference, noise
from monai_unet.inferers import OverlapTileInferer
from monai_unet.prediction.model import Model
from monai_unet.transforms.restoration import Restoration

WEIGHTS = ("pytorch_state_dict", "torchscript", "onnx")


def check_package(
    model: Model, path: Path, image: torch.Tensor | None, blocks: bool, say: Callable[[str], object]
) -> list[Difference]:
    """Test a package as `bioimageio test` does, and predict with it as a user of bioimageio.core would.

    Args:
        model: what the package was made of.
        path: the package.
        image: (1, C, *size), grey values, to predict too.
        blocks: whether it is a package for blocks.
        say: called with each step, a few words, before it is taken.

    Returns:
        Differences to the overlap-tile prediction, for each weights and image: of an image of odd size, and of one
        smaller than the margin, as a whole; of a package for blocks also in blocks, after mirroring to the lattice.

    Raises:
        ValueError: when the test fails; with what it found.
    """
    say("testing the package as `bioimageio test` does")
    summary = test_package(path)
    if summary.status != "passed":
        raise ValueError(f"the package does not pass the test of bioimageio.core: {summary.format()}")
    # odd sides, off the lattice, large enough for several blocks
    stride = model.geometry.stride
    odd = [2 * model.geometry.margin + (5 + axis) * stride + 1 + 6 * axis for axis in range(model.spatial_dims)]
    small = [stride // 2 + 1 + 2 * axis for axis in range(model.spatial_dims)]
    seeded = torch.Generator().manual_seed(1)
    images = [("random", noise([1, model.in_channels, *sizes], model, seeded)) for sizes in (odd, small)]
    if image is not None:
        box = [slice(None), slice(None)] + [slice(0, n - 1 + n % 2) for n in image.shape[2:]]
        images.append(("real image", image[tuple(box)]))
    found = []
    for what, grey in images:
        say(f"predicting an image of {' x '.join(map(str, grey.shape[2:]))} pixels ({what}) with bioimageio.core")
        inferer = OverlapTileInferer(
            spatial_dims=model.spatial_dims,
            geometry=model.geometry,
            rotations=model.rotations,
            grey_values=model.restores,
        )
        several = blocks and min(grey.shape[2:]) > model.geometry.margin  # for a small image there is one block only
        for in_blocks, how in ((False, "whole"), (True, "in blocks"))[: 1 + several]:
            measured = torch.from_numpy(_padded(path, grey, in_blocks))
            normalised = model.normalised(grey, measured)
            with torch.inference_mode():
                expected = compared(model, inferer(normalised, model.network))
            for weights in WEIGHTS:
                output = predict_with_core(path, grey, weights, in_blocks)
                if isinstance(model.decoding, Restoration):
                    output = torch.stack([model.decoding.normalised(each) for each in output])
                of = GREY_VALUE if model.restores else PROBABILITY
                found.append(difference(f"{what}, {weights}, {how}", grey.shape, expected, output, of))
    return found


def test_package(path: Path) -> Any:
    """What `bioimageio test` finds, as its `ValidationSummary`; for every weights in the package, on this machine."""
    core = imported()
    with quiet():
        return core.test_model(path)


def predict_with_core(path: Path, grey: torch.Tensor, weights: str, in_blocks: bool) -> torch.Tensor:
    """Predict with a package by bioimageio.core, on a CPU.

    Args:
        path: the package.
        grey: (1, C, *size), grey values.
        weights: one of `WEIGHTS`.
        in_blocks: in blocks, the image mirrored to the lattice first, as the package's documentation says; else the
            image as it is, as a whole.
    """
    core = imported()
    array, sizes = grey.numpy(), grey.shape[2:]
    with quiet():
        description = core.load_model_description(path)
        pipeline = core.create_prediction_pipeline(description, weights_format=weights, devices=["cpu"])
        axes = [axis.id for axis in description.inputs[0].axes]
        block: dict[str, Any] = {}
        if in_blocks:
            array = _padded(path, grey, in_blocks)
            step = description.inputs[0].axes[-1].size.step
            block = {"blocksize_parameter": max(1, min(array.shape[2:]) // step // 3)}  # three or four blocks a side
        image = core.tensor.Tensor(array, dims=axes)
        # not within `with pipeline`: predict opens and closes it, and closing it twice waits for ever
        result = core.predict(model=pipeline, inputs={"image": image}, **block)
    prediction = torch.from_numpy(np.array(result.members[description.outputs[0].id].to_numpy()))
    box = [slice(None), slice(None)] + [slice(0, n) for n in sizes]
    return prediction[tuple(box)]


def _padded(path: Path, grey: torch.Tensor, in_blocks: bool) -> np.ndarray:
    """An image, (1, C, *size), as bioimageio.core measures it: with the pixels that are mirrored to it first.

    In blocks these are the ones at its far borders that bring it to the lattice, as the package's documentation says;
    as a whole those of the halo on every side, which bioimageio.core 0.11 adds by itself before it measures.
    """
    with quiet():
        description: Any = imported().load_model_description(path)
    size, halo = description.inputs[0].axes[-1].size, description.outputs[0].axes[-1].halo
    if in_blocks:
        sides = [max(size.min, -(-(n + halo) // size.step) * size.step) for n in grey.shape[2:]]
        added = [(0, side - n) for side, n in zip(sides, grey.shape[2:], strict=True)]
    else:
        added = [(halo, halo)] * (grey.ndim - 2)
    return np.pad(grey.numpy(), [(0, 0), (0, 0), *added], "reflect")
