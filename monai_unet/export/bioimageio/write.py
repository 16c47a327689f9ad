"""A BioImage.IO model package: weights, architecture and description for ilastik, deepImageJ, bioimageio.core ...

The network is wrapped: for whole images of any size (`monai_unet.export.whole`), or so that it may be applied block by
block (`monai_unet.export.blockwise`).
"""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch.export import Dim

from monai_unet import __version__, geometry
from monai_unet.export import blockwise, packaged, whole
from monai_unet.export.bioimageio.core import imported, quiet
from monai_unet.export.bioimageio.description import check_sources, describe, output_id
from monai_unet.export.bioimageio.options import PackageOptions
from monai_unet.export.bioimageio.texts import readme, write_cover
from monai_unet.export.blockwise import BlockwiseUNet
from monai_unet.export.compare import noise
from monai_unet.export.onnx import onnx_program
from monai_unet.export.packaged import PackagedUNet
from monai_unet.export.whole import WholeUNet
from monai_unet.networks import original_unet, save_whole, standardised_conv, write_whole
from monai_unet.prediction.model import Model
from monai_unet.transforms.restoration import Restoration

REFUSED = "refuses_a_block_of_a_larger_image"
"""Name of the operation of an ONNX model that fails for a block; onnxruntime's error tells it."""


def write_bioimageio(
    model: Model,
    bundle: str,
    overrides: str,
    path: Path,
    image: torch.Tensor | None,
    options: PackageOptions,
    say: Callable[[str], object],
) -> None:
    """Write the package.

    Args:
        model: of the bundle.
        bundle: its folder, absolute; its `metadata.json` is the source of name, description, authors, references and
            the licence by its SPDX name, its `docs/README.md` of the documentation, its `LICENSE` is that of the
            weights.
        overrides: JSON, with which the model was loaded.
        path: the package, ".zip".
        image: (1, C, *size), grey values; its middle becomes the test input and the cover. Noise when None.
        options: what does not follow from the bundle.
        say: called with each step, a few words, before it is taken.

    Raises:
        ImportError: without bioimageio.core and what ONNX needs.
        FileNotFoundError: when the bundle has no LICENSE.
        ValueError: when the bundle's metadata cannot be put into a package.
    """
    imported()
    from bioimageio.spec import save_bioimageio_package

    licence = Path(bundle) / "LICENSE"
    if not licence.is_file():
        raise FileNotFoundError(f"{licence} does not exist: a package must state the licence of its weights")
    check_sources(model, bundle, options)
    network: Any = model.network
    wrapper = BlockwiseUNet if options.blocks else WholeUNet
    wrapped = wrapper(network, model.rotations, model.restores).eval()
    test = _test_input(model, wrapped, image)
    with torch.inference_mode():
        output = wrapped(model.normalised(test))
        if isinstance(model.decoding, Restoration):
            output = torch.stack([model.decoding.grey_values(each) for each in output])
    with tempfile.TemporaryDirectory() as name, quiet():
        folder = Path(name)
        (folder / "LICENSE").write_bytes(licence.read_bytes())
        (folder / "README.md").write_text(readme(model, wrapped, bundle), encoding="utf-8")
        (folder / "architecture.py").write_text(_architecture(wrapped), encoding="utf-8")
        for file, array in (("test_input.npy", test.numpy()), ("test_output.npy", output.numpy())):
            write_whole(folder / file, partial(np.save, arr=array))
        write_cover(folder / "cover.png", test, output, model, wrapped.halo)
        say("writing the weights for PyTorch and TorchScript")
        state = {key: value.contiguous() for key, value in wrapped.state_dict().items()}
        save_whole(state, folder / "weights.pt")
        write_whole(folder / "weights.ts", lambda file: torch.jit.save(torch.jit.script(wrapped), file))
        say("writing the weights for ONNX")
        _write_onnx(model, wrapped, folder / "weights.onnx")
        description = describe(model, wrapped, bundle, overrides, folder, options)
        save_bioimageio_package(description, output_path=path, allow_invalid=False)


def _write_onnx(model: Model, wrapped: BlockwiseUNet | WholeUNet, path: Path) -> None:
    network: torch.nn.Module = wrapped
    if isinstance(wrapped, WholeUNet):
        network = WholeUNet(wrapped.network, wrapped.rotations, wrapped.grey_values, raises=False).eval()
    # no two sides alike, and none the smallest: torch.export would take it for a constant
    example = [wrapped.least + (2 + axis) * model.geometry.stride for axis in range(model.spatial_dims)]
    sizes = dict.fromkeys((0, *range(2, 2 + model.spatial_dims)), Dim.DYNAMIC)
    program = onnx_program(network, torch.zeros(2, model.in_channels, *example), sizes, output_id(model))
    if isinstance(wrapped, WholeUNet):
        *_, last = (node for node in program.model.graph if node.op_type == "Gather")
        last.name = REFUSED
    program.save(path)


def _test_input(model: Model, wrapped: PackagedUNet, image: torch.Tensor | None) -> torch.Tensor:
    """Grey values in a declared size, with their halo: the middle of the image, or noise."""
    halo, step = wrapped.halo, wrapped.step
    wanted = 128 if model.spatial_dims == 2 else 2 * model.geometry.stride
    wanted = -(-wanted // step) * step
    if isinstance(wrapped, WholeUNet):
        grey = (
            noise([1, model.in_channels, *[wanted] * model.spatial_dims], model, _seeded()) if image is None else image
        )
        grey = _middle(grey, [min(n, wanted) for n in grey.shape[2:]])
        return torch.from_numpy(np.pad(grey.numpy(), [(0, 0), (0, 0), *[(halo, halo)] * model.spatial_dims], "reflect"))
    if image is None or min(image.shape[2:]) < wrapped.least:
        return noise([1, model.in_channels, *[wanted + 2 * halo] * model.spatial_dims], model, _seeded())
    return _middle(image, [2 * halo + (min(n, wanted + 2 * halo) - 2 * halo) // step * step for n in image.shape[2:]])


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _middle(image: torch.Tensor, sizes: Sequence[int]) -> torch.Tensor:
    box: list[slice] = [slice(None), slice(None)]
    box += [slice((n - size) // 2, (n - size) // 2 + size) for n, size in zip(image.shape[2:], sizes, strict=True)]
    return image[tuple(box)].contiguous()


def _architecture(wrapped: PackagedUNet) -> str:
    """The network's source in one file that needs PyTorch and MONAI, but not this project."""
    lines = [
        f'"""The network of a model by monai-unet {__version__}, Apache-2.0; its modules, one after the other."""',
        "",
    ]
    lines += ["from __future__ import annotations", ""]
    last: ModuleType = whole if isinstance(wrapped, WholeUNet) else blockwise
    for module in (geometry, standardised_conv, original_unet, packaged, last):
        for line in inspect.getsource(module).splitlines():
            if not line.startswith(("from __future__", "from monai_unet")):
                lines.append(line)
    return "\n".join(lines) + "\n"
