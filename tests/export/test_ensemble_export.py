"""A bundle whose weights are an ensemble's: TorchScript and ONNX hold all members."""

import json
import shutil

import pytest
import torch

from monai_unet.export.export import export
from monai_unet.networks import Ensemble, OriginalUNet, save_whole, together
from monai_unet.prediction.load import load_model

OVERRIDES = {"features": [2, 3, 4]}


@pytest.fixture(scope="module")
def ensemble(bundle, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ensemble") / "isbi"
    shutil.copytree(bundle, folder)
    torch.manual_seed(1)
    other = OriginalUNet(features=(2, 3, 4), normalisation="weights")
    other.head.weight.data /= 10
    save_whole(other.state_dict(), folder / "models" / "other.pt")
    members = folder / "models" / "model.pt", folder / "models" / "other.pt"
    save_whole(together(members), folder / "models" / "model.pt")
    return folder


def test_a_bundle_with_an_ensembles_weights_predicts_by_all_of_them(ensemble):
    network = load_model(str(ensemble), json.dumps(OVERRIDES)).network
    assert isinstance(network, Ensemble)
    assert len(network.members) == 2


@pytest.mark.parametrize("kind", ["torchscript", pytest.param("onnx", marks=pytest.mark.slow)])
def test_a_file_of_an_ensemble_gives_its_probabilities(ensemble, kind, photograph, tmp_path):
    if kind == "onnx":
        for package in ("onnx", "onnxscript", "onnxruntime"):
            pytest.importorskip(package, reason="needs the extra `export`")
    name = {"torchscript": "model.ts", "onnx": "model.onnx"}[kind]
    differences = export(ensemble, kind, tmp_path / name, photograph, OVERRIDES)
    assert max(each.largest for each in differences) < 1e-4


def test_a_bioimageio_package_of_an_ensemble_is_refused(ensemble, tmp_path):
    with pytest.raises(ValueError, match=r"ensemble of 2 networks, and a BioImage\.IO package holds one"):
        export(ensemble, "bioimageio", tmp_path / "model.zip", None, OVERRIDES)
    assert not (tmp_path / "model.zip").exists()
