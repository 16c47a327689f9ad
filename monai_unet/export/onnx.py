"""ONNX: the network with batch and sizes left open, with the settings of its prediction in the model's metadata."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.export import Dim

from monai_unet.prediction.exported import SETTINGS, settings_text
from monai_unet.prediction.model import Model

OPSET = 20  # of ONNX 1.15; the lowest that torch's exporter needs no conversion for


def write_onnx(model: Model, path: Path) -> None:
    """Export by torch.export (the "dynamo" exporter): `image` (B, C, *size) -> `logits`, or `restored`, normalised.

    The sizes are declared as stride * k - 2 * convs_per_block, one k per axis, so that the network's own check of
    sizes is proved rather than left out. onnxruntime does not check that: of another size it computes something wrong,
    which is why `monai_unet.prediction.exported` checks first.

    Raises:
        ImportError: without onnx and onnxscript.
    """
    geometry = model.geometry
    offset = 2 * geometry.convs_per_block
    sizes: dict[int, Any] = {0: Dim("batch", min=1)}
    for axis in range(model.spatial_dims):
        k = Dim(f"k{axis}", min=(geometry.smallest_input + offset) // geometry.stride)
        sizes[2 + axis] = geometry.stride * k - offset
    # no size of the example may be the smallest, or 1 for the batch: torch.export would take it for a constant
    example = [geometry.input_size_for((2 + axis) * geometry.stride + 1) for axis in range(model.spatial_dims)]
    output = "restored" if model.restores else "logits"
    program = onnx_program(model.network, torch.zeros(2, model.in_channels, *example), sizes, output)
    program.model.metadata_props[SETTINGS] = settings_text(model)
    program.save(path)


def onnx_program(
    network: torch.nn.Module, example: torch.Tensor, sizes: Mapping[int, Any], output: str
) -> torch.onnx.ONNXProgram:
    """A network as an ONNX model, `image` -> `output`.

    Args:
        network: of one input and one output.
        example: an input that it takes.
        sizes: of the input's axes that are open, as torch.export has them.
        output: name of the output.

    Raises:
        ImportError: without onnx and onnxscript.
    """
    try:
        import onnx  # noqa: F401 - the exporter needs both
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError("an export to ONNX needs more packages: pip install 'monai-unet[export]'") from error
    with _quiet():
        program = torch.onnx.export(
            network,
            (example,),
            dynamo=True,
            dynamic_shapes=(dict(sizes),),
            input_names=["image"],
            output_names=[output],
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None, "the dynamo exporter returns what it made"
    return program


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter tells about itself; its errors are exceptions."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
