"""A BioImage.IO model package: weights, architecture and description for ilastik, deepImageJ, bioimageio.core ...

The network is wrapped (`monai_unet.export.blockwise`), so that it may be applied block by block.
"""

from __future__ import annotations

import inspect
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from monai_unet import __version__, geometry
from monai_unet.export import blockwise
from monai_unet.export.bioimageio.core import imported, quiet
from monai_unet.export.bioimageio.description import describe
from monai_unet.export.bioimageio.texts import readme, write_cover
from monai_unet.export.blockwise import BlockwiseUNet
from monai_unet.export.compare import noise
from monai_unet.networks import original_unet, save_whole, standardised_conv, write_whole
from monai_unet.prediction.model import Model
from monai_unet.transforms.restoration import Restoration


def write_bioimageio(model: Model, bundle: str, overrides: str, path: Path, image: torch.Tensor | None) -> None:
    """Write the package.

    Args:
        model: of the bundle.
        bundle: its folder, absolute; its `metadata.json` is the source of name, description, authors and references,
            its `docs/README.md` of the documentation, its `LICENSE` is that of the weights.
        overrides: JSON, with which the model was loaded.
        path: the package, ".zip".
        image: (1, C, *size), grey values; its middle becomes the test input and the cover. Noise when None.

    Raises:
        ImportError: without bioimageio.core.
        FileNotFoundError: when the bundle has no LICENSE.
    """
    imported()
    from bioimageio.spec import save_bioimageio_package

    licence = Path(bundle) / "LICENSE"
    if not licence.is_file():
        raise FileNotFoundError(f"{licence} does not exist: a package must state the licence of its weights")
    network: Any = model.network
    wrapped = BlockwiseUNet(network, model.rotations, model.restores).eval()
    test = _test_input(model, wrapped.halo, image)
    with torch.inference_mode():
        output = wrapped(model.normalised(test))
        if isinstance(model.decoding, Restoration):
            output = torch.stack([model.decoding.grey_values(each) for each in output])
    with tempfile.TemporaryDirectory() as name, quiet():
        folder = Path(name)
        (folder / "LICENSE").write_bytes(licence.read_bytes())
        (folder / "README.md").write_text(readme(model, wrapped, bundle), encoding="utf-8")
        (folder / "architecture.py").write_text(_architecture(), encoding="utf-8")
        for file, array in (("test_input.npy", test.numpy()), ("test_output.npy", output.numpy())):
            write_whole(folder / file, partial(np.save, arr=array))
        write_cover(folder / "cover.png", test, output, model, wrapped.halo)
        state = {key: value.contiguous() for key, value in wrapped.state_dict().items()}
        save_whole(state, folder / "weights.pt")
        write_whole(folder / "weights.ts", lambda file: torch.jit.save(torch.jit.script(wrapped), file))
        description = describe(model, wrapped, bundle, overrides, folder)
        save_bioimageio_package(description, output_path=path, allow_invalid=False)


def _test_input(model: Model, halo: int, image: torch.Tensor | None) -> torch.Tensor:
    """Grey values in a declared size: the middle of the image, or noise."""
    stride = model.geometry.stride
    wanted = 2 * halo + (128 if model.spatial_dims == 2 else 2 * stride)
    if image is None or min(image.shape[2:]) < 2 * halo + stride:
        shape = [1, model.in_channels, *[-(-wanted // stride) * stride] * model.spatial_dims]
        return noise(shape, model, torch.Generator().manual_seed(0))
    box: list[slice] = [slice(None), slice(None)]
    for n in image.shape[2:]:
        size = 2 * halo + (min(n, wanted) - 2 * halo) // stride * stride
        box.append(slice((n - size) // 2, (n - size) // 2 + size))
    return image[tuple(box)].contiguous()


def _architecture() -> str:
    """The network's source in one file that needs PyTorch and MONAI, but not this project."""
    lines = [
        f'"""The network of a model by monai-unet {__version__}, Apache-2.0; its modules, one after the other."""',
        "",
    ]
    lines += ["from __future__ import annotations", ""]
    for module in (geometry, standardised_conv, original_unet, blockwise):
        for line in inspect.getsource(module).splitlines():
            if not line.startswith(("from __future__", "from monai_unet")):
                lines.append(line)
    return "\n".join(lines) + "\n"
