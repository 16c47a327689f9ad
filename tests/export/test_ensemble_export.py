"""A bundle whose weights are an ensemble's: TorchScript and ONNX hold all members."""

import json
import shutil

import numpy as np
import pytest
import tifffile
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
    models = folder / "models"
    (models / "model.pt").rename(models / "one.pt")
    save_whole(together([models / "one.pt", models / "other.pt"]), models / "model.pt")
    return folder


def test_a_bundle_with_an_ensembles_weights_predicts_by_all_of_them(ensemble):
    network = load_model(str(ensemble), json.dumps(OVERRIDES)).network
    assert isinstance(network, Ensemble)
    assert len(network.members) == 2


def test_predict_writes_the_mean_of_what_it_writes_for_each_member(ensemble, photograph, tmp_path):
    pytest.importorskip("zarr", reason="zarr 3 wants Python 3.11")
    from monai_unet.prediction.out_of_core import INTERPRETER, predict

    tiles = {"memory": INTERPRETER + 1_500_000, "progress": False}
    files = [ensemble / "models" / f"{name}.pt" for name in ("one", "other", "model")]
    one, other, mean = (
        tifffile.imread(
            predict(
                photograph, tmp_path / f"{path.stem}.ome.tif", ensemble, {**OVERRIDES, "ckpt_path": str(path)}, **tiles
            )
        )
        for path in files
    )
    assert np.abs(mean - (one + other) / 2).max() < 1e-6
    assert np.abs(one - other).max() > 1e-3


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
