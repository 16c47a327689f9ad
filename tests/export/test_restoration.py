"""Exports of a network that restores images: grey values in, grey values out."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from bundle_runs import narrow_bundle

from monai_unet.export.export import export
from monai_unet.networks import OriginalUNet
from monai_unet.prediction.exported import load_exported
from monai_unet.prediction.load import load_model

REPOSITORY = Path(__file__).parents[2]
OVERRIDES = {"features": [2, 3, 4], "target_mean": 90, "target_std": 30, "rotations": 3}


@pytest.fixture(scope="module")
def restoring(tmp_path_factory):
    """The bundle `denoise` with a narrow network and random weights."""
    return narrow_bundle("denoise", tmp_path_factory.mktemp("bundle"), out_channels=1, residual=True)


@pytest.fixture(
    scope="module", params=["model.ts", pytest.param("model.onnx", marks=pytest.mark.slow)]
)  # the exporter takes a quarter of a minute
def exported(request, restoring, photograph, tmp_path_factory):
    kind = "torchscript"
    if request.param == "model.onnx":
        kind = "onnx"
        for package in ("onnx", "onnxscript", "onnxruntime"):
            pytest.importorskip(package, reason="needs the extra `export`")
    path = tmp_path_factory.mktemp(kind) / request.param
    return path, export(restoring, kind, path, photograph, OVERRIDES)


def test_the_file_gives_the_networks_grey_values_on_random_and_real_input(exported):
    _, differences = exported
    assert [d.what for d in differences] == ["random", "random", "random", "real image"]
    assert {d.of for d in differences} == {"normalised grey value"}
    assert 0 <= max(d.largest for d in differences) < 1e-4


def test_the_file_knows_what_its_output_means(exported, restoring):
    found, model = load_exported(exported[0]), load_model(str(restoring), json.dumps(OVERRIDES))
    different = {name for name in vars(model) if getattr(found, name) != getattr(model, name)}
    assert different == {"network", "digest"}
    assert found.decoding.grey_values(1.0) == 120


def test_predict_takes_the_file_in_place_of_the_bundle(exported, restoring, photograph, tmp_path):
    pytest.importorskip("zarr", reason="needs zarr and dask")
    from monai_unet.prediction.out_of_core import predict

    of_bundle = tifffile.imread(predict(photograph, tmp_path / "bundle.ome.tif", restoring, OVERRIDES, progress=False))
    of_file = tifffile.imread(predict(photograph, tmp_path / "file.ome.tif", exported[0], progress=False))
    assert of_bundle.std() > 1
    assert np.abs(of_bundle - of_file).max() < 1e-2  # grey values


def test_a_file_that_differs_is_refused_in_its_own_unit(restoring, tmp_path, monkeypatch):
    from monai_unet.export import compare

    monkeypatch.setattr(compare, "compared", lambda model, output: torch.rand(output.shape))
    with pytest.raises(ValueError, match="in normalised grey value"):
        export(restoring, "torchscript", tmp_path / "a.ts", overrides=OVERRIDES)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def package(restoring, photograph, tmp_path_factory):
    pytest.importorskip("bioimageio.core", reason="needs the extra `export`")
    path = tmp_path_factory.mktemp("package") / "model.zip"
    return path, export(restoring, "bioimageio", path, photograph, OVERRIDES)


@pytest.mark.slow
def test_every_weights_of_a_package_predict_the_grey_values_of_the_overlap_tiles(package):
    found = {(d.what, d.shape): d.largest for d in package[1]}
    assert len(found) == 9
    assert max(found.values()) < 1e-4


@pytest.mark.slow
def test_a_package_says_that_it_gives_grey_values_of_the_target(package):
    from bioimageio.core import load_model_description

    description = load_model_description(package[0])
    (output,) = description.outputs
    assert (output.id, list(output.axes[1].channel_names)) == ("restored", ["restored"])
    (scale,) = [each for each in output.postprocessing if each.id == "scale_linear"]
    assert (scale.kwargs.gain, scale.kwargs.offset) == (30, 90)
    assert "grey values" in output.description
    assert "restoration" in description.tags


@pytest.mark.slow
def test_a_package_of_several_channels_scales_each_by_itself(restoring, tmp_path):
    core = pytest.importorskip("bioimageio.core", reason="needs the extra `export`")
    two = {"channels": ["a", "b"], "image_mean": [100, 50], "image_std": [40, 20], "target_channels": 2}
    overrides = {**OVERRIDES, **two, "target_mean": [90, 10], "target_std": [30, 5], "rotations": 1}
    network = OriginalUNet(in_channels=2, out_channels=2, features=(2, 3, 4), normalisation="weights", residual=True)
    torch.nn.init.normal_(network.head.weight, std=0.1)
    torch.save(network.state_dict(), tmp_path / "two.pt")
    path = tmp_path / "model.zip"
    differences = export(restoring, "bioimageio", path, overrides={**overrides, "ckpt_path": str(tmp_path / "two.pt")})
    assert max(each.largest for each in differences) < 1e-4
    (scale,) = [each for each in core.load_model_description(path).outputs[0].postprocessing if "scale" in each.id]
    assert (scale.kwargs.gain, scale.kwargs.offset) == ([30, 5], [90, 10])
