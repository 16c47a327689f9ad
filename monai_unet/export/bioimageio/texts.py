"""What a BioImage.IO package shows to people: its documentation and its cover."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from monai_unet import __version__
from monai_unet.export.bioimageio.description import output_id
from monai_unet.export.compare import GREY_VALUE, PROBABILITY
from monai_unet.export.packaged import PackagedUNet
from monai_unet.export.whole import WholeUNet
from monai_unet.io import Exposure, channel_names
from monai_unet.prediction.load import bundle_metadata
from monai_unet.prediction.model import Model

COVER = 256  # pixels; a cover is twice as wide as high and at most 500 kB

_README = """# {name}

{description}

{card}

## Input and output

Input ({channels}): grey values{limits}, as they are; the normalisation,
{normalisation}, is part of the package.{measured} Output: {output}, one channel each.

{usage}

## Validation

When the package was made (monai-unet {version}), its prediction by bioimageio.core was compared with the overlap-tile
prediction of the network on images of odd size, {compared}: they agree to 1e-4 in {of}.
"""

_WHOLE = """An image of any size is predicted as a whole, and mirrored at its borders by the network itself:

```bash
bioimageio predict PACKAGE.zip --inputs IMAGE.tif --outputs PROBABILITY.tif
```

```python
sample = bioimageio.core.predict(model="PACKAGE.zip", inputs={{"image": image}})
```

In blocks (`--blockwise`) there would be seams, so it is refused. The network tells a whole image by one mirrored pixel
on each side, the declared halo, which bioimageio.core adds and cuts off again. For images that are too large for that,
`monai-unet predict` reads and writes tile by tile; `monai-unet export --blocks` makes a package for blocks."""

_BLOCKS = """The network's context is {margin} pixels a side, and its lattice has a step of {stride} pixels. With the
declared halo of {halo} pixels, blocks on the lattice are predicted exactly as they are in the whole image.
bioimageio.core takes arrays whose sides are multiples of {stride}, {least} or more; mirror another one at its far
borders, and cut the prediction back:

```python
sides = [max({least}, -(-(n + {halo}) // {stride}) * {stride}) for n in image.shape[2:]]
padding = [(0, 0), (0, 0), *((0, side - n) for side, n in zip(sides, image.shape[2:]))]
inputs = {{"image": np.pad(image, padding, "reflect")}}
sample = bioimageio.core.predict(model="PACKAGE.zip", inputs=inputs, blocksize_parameter=10)
{id} = sample.members["{id}"].to_numpy()[(..., *(slice(n) for n in image.shape[2:]))]
```

A `Tensor` with named axes is not checked for its size: as a whole it is predicted exactly, in blocks the last ones lie
off the lattice, and there is a seam before them."""

_MEASURED = """ Pixels that are mirrored to an image,
those of the halo included, are measured too, which shifts its numbers a little."""


def readme(model: Model, wrapped: PackagedUNet, bundle: str) -> str:
    """The documentation: what is in the bundle's model card, and how the package is used."""
    metadata = bundle_metadata(bundle)
    whole = isinstance(wrapped, WholeUNet)
    card = Path(bundle) / "docs" / "README.md"
    # the sections of the model card, without its title and the commands, which are for the bundle
    parts = re.split(r"(?m)^## ", card.read_text(encoding="utf-8"))[1:] if card.is_file() else []
    kept = [part.strip() for part in parts if not part.startswith(("Commands", "Preprocessing"))]
    return _README.format(
        name=metadata.get("name", Path(bundle).name),
        description=metadata.get("description", ""),
        card="\n\n".join(f"## {part}" for part in kept),
        limits="" if model.value_range is None else " between {:g} and {:g}".format(*model.value_range),
        normalisation=_normalisation_in_words(model.exposure, model.spatial_dims),
        measured=_MEASURED if model.exposure.of_the_image else "",
        channels=", ".join(channel_names(model.channels)),
        output=f"{'grey values of' if model.restores else 'the probability of'} "
        + " and ".join(model.decoding.channel_names),
        usage=(_WHOLE if whole else _BLOCKS).format(
            id=output_id(model),
            margin=wrapped.margin,
            halo=wrapped.halo,
            stride=wrapped.stride,
            least=wrapped.least,
        ),
        compared="as a whole" if whole else "whole and in blocks",
        of=GREY_VALUE if model.restores else PROBABILITY,
        version=__version__,
    )


def _normalisation_in_words(exposure: Exposure, spatial_dims: int) -> str:
    if not exposure.of_the_image:
        return f"(x - {_in_words(exposure.mean)}) / {_in_words(exposure.std)}"
    by_section = exposure.normalise == "section" or spatial_dims == 2
    whole = "each section by itself" if by_section else "the whole image"
    if exposure.percentiles is None:
        return f"by mean and deviation of {whole}"
    low, high = exposure.percentiles
    return f"by which the percentiles {low:g} and {high:g} of {whole} become -2 and 2"


def _in_words(value: float | Sequence[float]) -> str:
    return " and ".join(f"{each:g}" for each in value) if isinstance(value, Sequence) else f"{value:g}"


def write_cover(path: Path, test: torch.Tensor, output: torch.Tensor, model: Model, halo: int) -> None:
    """Input beside the probability of the last class, or the restored image, without the halo."""
    from PIL import Image

    inner = (slice(halo, -halo),) * model.spatial_dims
    pictures = []
    of_input = _spread(test)
    for tensor, low, high in ((test[0, 0], *of_input), (output[0, -1], *(of_input if model.restores else (0.0, 1.0)))):
        plane = tensor[inner]
        plane = plane[plane.shape[0] // 2] if model.spatial_dims == 3 else plane
        side = min(plane.shape)
        grey = ((plane[:side, :side] - low) / (high - low)).clamp(0, 1) * 255
        picture = Image.fromarray(grey.round().to(torch.uint8).numpy())
        pictures.append(np.asarray(picture.resize((COVER, COVER), Image.Resampling.BICUBIC)))
    Image.fromarray(np.hstack(pictures)).save(path)


def _spread(tensor: torch.Tensor) -> tuple[float, float]:
    low, high = float(tensor.min()), float(tensor.max())
    return low, max(high, low + 1e-6)
