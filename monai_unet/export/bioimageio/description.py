"""The description of a BioImage.IO package, as `bioimageio.spec` 0.5 has it: tensors, sizes, normalisation, weights."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from monai_unet.export.bioimageio.options import PackageOptions, parse_pixel_size
from monai_unet.export.onnx import OPSET
from monai_unet.export.packaged import PackagedUNet
from monai_unet.io import channel_names
from monai_unet.prediction.load import bundle_metadata, bundle_parser
from monai_unet.prediction.model import Model
from monai_unet.transforms.restoration import Restoration

_EPS = 1e-12  # grey values; it is added to a deviation, which must not be seen


def check_sources(model: Model, bundle: str, options: PackageOptions) -> None:
    """Raise ValueError where something that people wrote, in the metadata or as an option, cannot be described."""
    metadata = bundle_metadata(bundle)
    _pixel(model, metadata, options)
    _cited(metadata)
    _maintainers(options.maintainers)


def describe(
    model: Model, wrapped: PackagedUNet, bundle: str, overrides: str, folder: Path, options: PackageOptions
) -> Any:
    """The description, as `bioimageio.spec` has it.

    Args:
        model: of the bundle.
        wrapped: its network as it is packaged.
        bundle: its folder; its `metadata.json` is the source of name, description, authors and references.
        overrides: JSON, with which the model was loaded.
        folder: where the files of the package lie.
        options: what does not follow from the bundle.

    Raises:
        ValueError: when the metadata or the options cannot be put into a description.
    """
    from bioimageio.spec.common import FileDescr
    from bioimageio.spec.model import v0_5

    metadata = bundle_metadata(bundle)
    letters = "zyx"[3 - model.spatial_dims :]
    size = v0_5.ParameterizedSize(min=wrapped.least, step=wrapped.step)
    scales, unit = _pixel(model, metadata, options)
    space: list[dict[str, Any]] = [
        {"id": v0_5.AxisId(letter), "scale": scale, "unit": unit} for letter, scale in zip(letters, scales, strict=True)
    ]
    batch = v0_5.BatchAxis()
    names: list[str] = [v0_5.Identifier(_identifier(name)) for name in channel_names(model.channels)]
    inputs = v0_5.InputTensorDescr(
        id=v0_5.TensorId("image"),
        description="grey values as they are",
        axes=[
            batch,
            v0_5.ChannelAxis(channel_names=names),
            *(v0_5.SpaceInputAxis(**axis, size=size, concatenable=options.blocks) for axis in space),
        ],
        data=v0_5.IntervalOrRatioDataDescr(type="float32", range=model.value_range or (None, None)),
        test_tensor=FileDescr(source=folder / "test_input.npy"),
        preprocessing=_normalisation(model),
        # said in full: bioimageio.spec 0.5.12 leaves defaults out, and reads `pad: {}` as padding with zeros
        pad=v0_5.ReflectPadding(mode="reflect"),
    )
    classes: list[str] = [v0_5.Identifier(_identifier(name)) for name in model.decoding.channel_names]
    outputs = v0_5.OutputTensorDescr(
        id=v0_5.TensorId(output_id(model)),
        description="grey values of the target, not clipped" if model.restores else "probability of each class",
        axes=[
            batch,
            v0_5.ChannelAxis(channel_names=classes),
            *(
                v0_5.SpaceOutputAxisWithHalo(
                    **axis,
                    halo=wrapped.halo,
                    size=v0_5.SizeReference(tensor_id=v0_5.TensorId("image"), axis_id=axis["id"]),
                )
                for axis in space
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
                callable=v0_5.Identifier("blockwise_unet" if options.blocks else "whole_unet"),
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
        onnx=v0_5.OnnxWeightsDescr(source=folder / "weights.onnx", opset_version=OPSET, parent="pytorch_state_dict"),
    )
    return v0_5.ModelDescr(
        name=_plain(metadata.get("name", Path(bundle).name)),
        description=metadata.get("description", ""),
        version=v0_5.Version(metadata.get("version", "0.1.0")),
        authors=_authors(metadata.get("authors", "the monai-unet developers")),
        maintainers=_maintainers(options.maintainers),
        cite=_cited(metadata),
        license=_licence(metadata.get("license")) or FileDescr(source=folder / "LICENSE"),
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


def _authors(text: str) -> list[Any]:
    """Of the metadata's "A. One, B. Two and C. Three"."""
    from bioimageio.spec.model import v0_5

    if text == "yours to fill in":  # as `monai-unet new` leaves it
        return []
    names = re.split(r"\s*[,;]\s*(?:and\s+)?|\s+and\s+", text.replace("/", " "))
    return [v0_5.Author(name=name) for name in names if name]


def _maintainers(users: Sequence[str]) -> list[Any]:
    """Users of GitHub; `bioimageio.spec` asks GitHub whether it knows them."""
    from bioimageio.spec.model import v0_5

    found = []
    for user in users:
        try:
            found.append(v0_5.Maintainer(github_user=user))
        except Exception as error:  # of pydantic, or of httpx where there is no network
            why = str(error.errors()[0]["msg"]) if hasattr(error, "errors") else str(error)
            raise ValueError(f"--maintainer {user}: {why}; the package's format wants a user of GitHub") from error
    return found


def _licence(name: str | None) -> Any:
    """The licence by its SPDX name; None when it has none."""
    from bioimageio.spec.model import v0_5

    try:
        return v0_5.LicenseId(name) if name else None
    except ValueError:
        return None


def _pixel(model: Model, metadata: Mapping[str, Any], options: PackageOptions) -> tuple[tuple[float, ...], str | None]:
    """Sizes and unit; 1 without a unit where it is not known."""
    text = options.pixel_size or metadata.get("pixel_size")
    return parse_pixel_size(text, model.spatial_dims) if text else ((1.0,) * model.spatial_dims, None)


def _cited(metadata: Mapping[str, Any]) -> list[Any]:
    return [_cite(text) for text in metadata.get("references", [])]


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


def output_id(model: Model) -> str:
    """The name of the output tensor."""
    return "restored" if model.restores else "probability"


def _plain(name: str) -> str:
    """A name of the letters that the specification allows, 5 to 64 of them."""
    return " ".join(re.sub(r"[^A-Za-z0-9_+\- ()]", " ", name).split())[:64].strip().ljust(5, "-")


def _identifier(name: str) -> str:
    found = re.sub(r"\W", "_", name)
    return found if found.isidentifier() else f"class_{found}"
