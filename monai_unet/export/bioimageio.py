"""A BioImage.IO model package: weights, architecture and description for ilastik, deepImageJ, bioimageio.core ...

The description is that of `bioimageio.spec` 0.5; sizes and halo come from the network's geometry. The network is
wrapped (`monai_unet.export.blockwise`), so that it may be applied block by block.
"""

from __future__ import annotations

import inspect
import json
import re
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from monai_unet import __version__, geometry
from monai_unet.export import blockwise
from monai_unet.export.blockwise import BlockwiseUNet
from monai_unet.export.compare import GREY_VALUE, PROBABILITY, Difference, compared, difference, noise
from monai_unet.inferers import OverlapTileInferer
from monai_unet.io import Exposure, channel_names
from monai_unet.networks import original_unet, save_whole, standardised_conv, write_whole
from monai_unet.prediction.load import bundle_metadata, bundle_parser
from monai_unet.prediction.model import Model
from monai_unet.transforms.restoration import Restoration

COVER = 256  # pixels; a cover is twice as wide as high and at most 500 kB

_README = """# {name}

{description}

{card}

## Input and output

Input ({channels}): grey values{limits}, as they are; the normalisation,
{normalisation}, is part of the package.{measured} Output: {output}, one channel each.

The network's context is {margin} pixels a side, and its lattice has a step of {stride} pixels. With the declared halo
of {halo} pixels, blocks on the lattice are predicted exactly as they are in the whole image. bioimageio.core takes
arrays whose sides are multiples of {stride}, {least} or more; mirror another one at its far borders, and cut the
prediction back:

```python
sides = [max({least}, -(-(n + {halo}) // {stride}) * {stride}) for n in image.shape[2:]]
padding = [(0, 0), (0, 0), *((0, side - n) for side, n in zip(sides, image.shape[2:]))]
inputs = {{"image": np.pad(image, padding, "reflect")}}
sample = bioimageio.core.predict(model="PACKAGE.zip", inputs=inputs, blocksize_parameter=10)
{id} = sample.members["{id}"].to_numpy()[(..., *(slice(n) for n in image.shape[2:]))]
```

A `Tensor` with named axes is not checked for its size: as a whole it is predicted exactly, in blocks the last ones lie
off the lattice, and there is a seam before them.

## Validation

When the package was made (monai-unet {version}), its prediction by bioimageio.core was compared with the overlap-tile
prediction of the network on images of odd size, whole and in blocks: they agree to 1e-4 in {of}.
"""


_EPS = 1e-12  # grey values; it is added to a deviation, which must not be seen
_MEASURED = """ Pixels that are mirrored to an image are
measured too (as below, and those of the halo where it is predicted as a whole), which shifts its numbers a little."""


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
    _imported()
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
    with tempfile.TemporaryDirectory() as name, _quiet():
        folder = Path(name)
        (folder / "LICENSE").write_bytes(licence.read_bytes())
        (folder / "README.md").write_text(_readme(model, wrapped, bundle), encoding="utf-8")
        (folder / "architecture.py").write_text(_architecture(), encoding="utf-8")
        for file, array in (("test_input.npy", test.numpy()), ("test_output.npy", output.numpy())):
            write_whole(folder / file, partial(np.save, arr=array))
        _write_cover(folder / "cover.png", test, output, model, wrapped.halo)
        state = {key: value.contiguous() for key, value in wrapped.state_dict().items()}
        save_whole(state, folder / "weights.pt")
        write_whole(folder / "weights.ts", lambda file: torch.jit.save(torch.jit.script(wrapped), file))
        description = _description(model, wrapped, bundle, overrides, folder)
        save_bioimageio_package(description, output_path=path, allow_invalid=False)


def check_package(model: Model, path: Path, image: torch.Tensor | None) -> list[Difference]:
    """Test a package as `bioimageio test` does, and predict with it as a user of bioimageio.core would.

    Args:
        model: what the package was made of.
        path: the package.
        image: (1, C, *size), grey values, to predict too.

    Returns:
        Differences to the overlap-tile prediction, for each weights and image: of an image of odd size as a whole and
        in blocks after mirroring it to the lattice.

    Raises:
        ValueError: when the test fails; with what it found.
    """
    summary = test_package(path)
    if summary.status != "passed":
        raise ValueError(f"the package does not pass the test of bioimageio.core: {summary.format()}")
    # odd sides, off the lattice, large enough for several blocks
    stride = model.geometry.stride
    odd = [2 * model.geometry.margin + (5 + axis) * stride + 1 + 6 * axis for axis in range(model.spatial_dims)]
    images = [("random", noise([1, model.in_channels, *odd], model, torch.Generator().manual_seed(1)))]
    if image is not None:
        box = [slice(None), slice(None)] + [slice(0, n - 1 + n % 2) for n in image.shape[2:]]
        images.append(("real image", image[tuple(box)]))
    found = []
    for what, grey in images:
        inferer = OverlapTileInferer(
            spatial_dims=model.spatial_dims,
            geometry=model.geometry,
            rotations=model.rotations,
            grey_values=model.restores,
        )
        for in_blocks, how in ((False, "whole"), (True, "in blocks")):
            measured = torch.from_numpy(_padded(path, grey, in_blocks))
            normalised = model.normalised(grey, measured)
            with torch.inference_mode():
                expected = compared(model, inferer(normalised, model.network))
            for weights in ("torchscript", "pytorch_state_dict"):
                output = predict_with_core(path, grey, weights, in_blocks)
                if isinstance(model.decoding, Restoration):
                    output = torch.stack([model.decoding.normalised(each) for each in output])
                found.append(difference(f"{what}, {weights}, {how}", grey.shape, expected, output, _of(model)))
    return found


def test_package(path: Path) -> Any:
    """What `bioimageio test` finds, as its `ValidationSummary`; for every weights in the package, on this machine."""
    core = _imported()
    with _quiet():
        return core.test_model(path)


def predict_with_core(path: Path, grey: torch.Tensor, weights: str, in_blocks: bool) -> torch.Tensor:
    """Predict with a package by bioimageio.core, on a CPU.

    Args:
        path: the package.
        grey: (1, C, *size), grey values.
        weights: "torchscript" or "pytorch_state_dict".
        in_blocks: in blocks, the image mirrored to the lattice first, as the package's documentation says; else the
            image as it is, as a whole.
    """
    core = _imported()
    array, sizes = grey.numpy(), grey.shape[2:]
    with _quiet():
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
    with _quiet():
        description: Any = _imported().load_model_description(path)
    size, halo = description.inputs[0].axes[-1].size, description.outputs[0].axes[-1].halo
    if in_blocks:
        sides = [max(size.min, -(-(n + halo) // size.step) * size.step) for n in grey.shape[2:]]
        added = [(0, side - n) for side, n in zip(sides, grey.shape[2:], strict=True)]
    else:
        added = [(halo, halo)] * (grey.ndim - 2)
    return np.pad(grey.numpy(), [(0, 0), (0, 0), *added], "reflect")


def _description(model: Model, wrapped: BlockwiseUNet, bundle: str, overrides: str, folder: Path) -> Any:
    from bioimageio.spec.common import FileDescr
    from bioimageio.spec.model import v0_5

    metadata = bundle_metadata(bundle)
    letters = "zyx"[3 - model.spatial_dims :]
    size = v0_5.ParameterizedSize(min=2 * wrapped.halo + wrapped.stride, step=wrapped.stride)
    batch = v0_5.BatchAxis()
    names: list[str] = [v0_5.Identifier(_identifier(name)) for name in channel_names(model.channels)]
    inputs = v0_5.InputTensorDescr(
        id=v0_5.TensorId("image"),
        description="grey values as they are",
        axes=[
            batch,
            v0_5.ChannelAxis(channel_names=names),
            *(v0_5.SpaceInputAxis(id=v0_5.AxisId(letter), size=size, concatenable=True) for letter in letters),
        ],
        data=v0_5.IntervalOrRatioDataDescr(type="float32", range=model.value_range or (None, None)),
        test_tensor=FileDescr(source=folder / "test_input.npy"),
        preprocessing=_normalisation(model),
        # said in full: bioimageio.spec 0.5.12 leaves defaults out, and reads `pad: {}` as padding with zeros
        pad=v0_5.ReflectPadding(mode="reflect"),
    )
    classes: list[str] = [v0_5.Identifier(_identifier(name)) for name in model.decoding.channel_names]
    outputs = v0_5.OutputTensorDescr(
        id=v0_5.TensorId(_output(model)),
        description="grey values of the target, not clipped" if model.restores else "probability of each class",
        axes=[
            batch,
            v0_5.ChannelAxis(channel_names=classes),
            *(
                v0_5.SpaceOutputAxisWithHalo(
                    id=v0_5.AxisId(letter),
                    halo=wrapped.halo,
                    size=v0_5.SizeReference(tensor_id=v0_5.TensorId("image"), axis_id=v0_5.AxisId(letter)),
                )
                for letter in letters
            ),
        ],
        data=v0_5.IntervalOrRatioDataDescr(type="float32", range=(None, None) if model.restores else (0.0, 1.0)),
        postprocessing=_postprocessing(model),
        test_tensor=FileDescr(source=folder / "test_output.npy"),
    )
    torch_version = v0_5.Version(re.match(r"[0-9.]+", torch.__version__).group())  # type: ignore[union-attr]
    weights = v0_5.WeightsDescr(
        pytorch_state_dict=v0_5.PytorchStateDictWeightsDescr(
            source=folder / "weights.pt",
            architecture=v0_5.ArchitectureFromFileDescr(
                source=folder / "architecture.py",
                callable=v0_5.Identifier("blockwise_unet"),
                kwargs={
                    "rotations": model.rotations,
                    "grey_values": model.restores,
                    **_network_arguments(bundle, overrides),
                },
            ),
            pytorch_version=torch_version,
        ),
        torchscript=v0_5.TorchscriptWeightsDescr(
            source=folder / "weights.ts", pytorch_version=torch_version, parent="pytorch_state_dict"
        ),
    )
    return v0_5.ModelDescr(
        name=_plain(metadata.get("name", Path(bundle).name)),
        description=metadata.get("description", ""),
        version=v0_5.Version(metadata.get("version", "0.1.0")),
        authors=[v0_5.Author(name=metadata.get("authors", "the monai-unet developers").replace("/", " "))],
        cite=[_cite(text) for text in metadata.get("references", [])],
        license=FileDescr(source=folder / "LICENSE"),
        documentation=FileDescr(source=folder / "README.md"),
        covers=[FileDescr(source=folder / "cover.png")],
        tags=[
            "unet",
            "restoration" if model.restores else "segmentation",
            "pytorch",
            "monai",
            f"{model.spatial_dims}d",
            "overlap-tile",
        ],
        inputs=[inputs],
        outputs=[outputs],
        weights=weights,
    )


def _cite(text: str) -> Any:
    """An entry of the references; an arXiv number is a DOI too."""
    from bioimageio.spec.model import v0_5

    doi = re.search(r"doi:\s*(10\.\S+)", text)
    arxiv = re.search(r"arXiv:(\d+\.\d+)", text)
    if doi is None and arxiv is None:
        raise ValueError(f"the reference {text!r} in metadata.json has neither doi: nor arXiv:; add one")
    number = doi[1].rstrip(".,;") if doi else f"10.48550/arXiv.{arxiv[1]}"  # type: ignore[index]
    return v0_5.CiteEntry(text=text, doi=v0_5.Doi(number))


def _network_arguments(bundle: str, overrides: str) -> dict[str, Any]:
    """The arguments of `OriginalUNet`, from the bundle's config, as they were resolved."""
    parser = bundle_parser(bundle, overrides)
    if parser["network_def"]["_target_"].rpartition(".")[2] != "OriginalUNet":
        raise ValueError(f"{bundle} defines a {parser['network_def']['_target_']}: only OriginalUNet can be packaged")
    names = [name for name in parser["network_def"] if not name.startswith("_")]
    arguments = {name: parser.get_parsed_content(f"network_def::{name}") for name in names}
    return json.loads(json.dumps({**arguments, "normalisation": "none"}))  # the weights are folded


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


def _normalisation(model: Model) -> list[Any]:
    """The steps of the preprocessing: of all channels alike, or of each by itself."""
    from bioimageio.spec.model import v0_5

    exposure = model.exposure
    if not exposure.of_the_image:
        mean, std = exposure.mean, exposure.std
        if not isinstance(mean, Sequence) and not isinstance(std, Sequence):
            kwargs: Any = v0_5.FixedZeroMeanUnitVarianceKwargs(mean=mean, std=std)
        else:
            means, stds = (np.broadcast_to(value, model.in_channels).tolist() for value in (mean, std))
            kwargs = v0_5.FixedZeroMeanUnitVarianceAlongAxisKwargs(axis=v0_5.AxisId("channel"), mean=means, std=stds)
        return [v0_5.FixedZeroMeanUnitVarianceDescr(kwargs=kwargs)]
    first = 3 - model.spatial_dims + (exposure.normalise == "section" and model.spatial_dims == 3)
    axes = tuple(v0_5.AxisId(letter) for letter in "zyx"[first:])
    # bioimageio.core adds up in the type that it is given; in single precision the sums would be off
    double, single = (
        v0_5.EnsureDtypeDescr(kwargs=v0_5.EnsureDtypeKwargs(dtype=dtype)) for dtype in ("float64", "float32")
    )
    if exposure.percentiles is None:
        moments = v0_5.ZeroMeanUnitVarianceDescr(kwargs=v0_5.ZeroMeanUnitVarianceKwargs(axes=axes, eps=_EPS))
        return [double, moments, single]
    low, high = exposure.percentiles
    quantiles = v0_5.ScaleRangeKwargs(axes=axes, min_percentile=low, max_percentile=high, eps=_EPS)
    # the two become 0 and 1, and then -2 and 2, see `Exposure`
    four_wide = v0_5.ScaleLinearKwargs(gain=4.0, offset=-2.0)
    return [double, v0_5.ScaleRangeDescr(kwargs=quantiles), v0_5.ScaleLinearDescr(kwargs=four_wide), single]


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


def _postprocessing(model: Model) -> list[Any]:
    """From normalised grey values to those of the target; probabilities stay as they are."""
    from bioimageio.spec.model import v0_5

    if not isinstance(model.decoding, Restoration):
        return []
    mean, std = model.decoding.mean, model.decoding.std
    kwargs: Any
    if isinstance(mean, Sequence) or isinstance(std, Sequence):
        means, stds = (np.broadcast_to(value, model.out_channels).tolist() for value in (mean, std))
        kwargs = v0_5.ScaleLinearAlongAxisKwargs(axis=v0_5.AxisId("channel"), gain=stds, offset=means)
    else:
        kwargs = v0_5.ScaleLinearKwargs(gain=std, offset=mean)
    return [v0_5.ScaleLinearDescr(kwargs=kwargs)]


def _output(model: Model) -> str:
    return "restored" if model.restores else "probability"


def _of(model: Model) -> str:
    return GREY_VALUE if model.restores else PROBABILITY


def _readme(model: Model, wrapped: BlockwiseUNet, bundle: str) -> str:
    metadata = bundle_metadata(bundle)
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
        id=_output(model),
        of=_of(model),
        margin=wrapped.margin,
        halo=wrapped.halo,
        stride=wrapped.stride,
        least=2 * wrapped.halo + wrapped.stride,
        version=__version__,
    )


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


def _write_cover(path: Path, test: torch.Tensor, output: torch.Tensor, model: Model, halo: int) -> None:
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


def _plain(name: str) -> str:
    """A name of the letters that the specification allows, 5 to 64 of them."""
    return re.sub(r"[^A-Za-z0-9_+\- ()]", " ", name)[:64].strip().ljust(5, "-")


def _identifier(name: str) -> str:
    found = re.sub(r"\W", "_", name)
    return found if found.isidentifier() else f"class_{found}"


def _imported() -> Any:
    try:
        import bioimageio.core
    except ImportError as error:
        raise ImportError("a BioImage.IO package needs more packages: pip install 'monai-unet[export]'") from error
    return bioimageio.core


@contextmanager
def _quiet() -> Iterator[None]:
    """Without a cache on disk, and without what the packages tell; what is wrong they raise or report."""
    from bioimageio.spec import ValidationContext
    from loguru import logger

    logger.disable("bioimageio")
    try:
        with warnings.catch_warnings(), ValidationContext(disable_cache=True, progressbar=False):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.enable("bioimageio.spec")  # as it was: bioimageio.core is silent by itself
