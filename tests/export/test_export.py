"""From a bundle to a file that other programs read, and from the file to a prediction."""

import json
import shutil

import numpy as np
import pytest
import tifffile
import torch
from full_disk import full_disk

from monai_unet.cli import main
from monai_unet.export import export as module
from monai_unet.export.export import export
from monai_unet.prediction.exported import load_exported
from monai_unet.prediction.load import load_model

OVERRIDES = {"features": [2, 3, 4]}

NAMES = {"torchscript": "model.ts", "onnx": "model.onnx"}


@pytest.fixture(
    scope="session",
    params=["torchscript", pytest.param("onnx", marks=pytest.mark.slow)],  # the exporter takes a quarter of a minute
)
def exported(request, bundle, photograph, tmp_path_factory):
    if request.param == "onnx":
        for package in ("onnx", "onnxscript", "onnxruntime"):
            pytest.importorskip(package, reason="needs the extra `export`")
    path = tmp_path_factory.mktemp(request.param) / NAMES[request.param]
    return path, export(bundle, request.param, path, photograph, OVERRIDES)


def test_the_file_gives_the_networks_probabilities_on_random_and_real_input(exported):
    path, differences = exported
    assert path.is_file()
    assert [d.what for d in differences] == ["random", "random", "random", "real image"]
    assert max(d.largest for d in differences) < 1e-4


def test_the_file_knows_all_that_prediction_needs(exported, model):
    found = load_exported(exported[0])
    different = {name for name in vars(model) if getattr(found, name) != getattr(model, name)}
    assert different == {"network", "digest"}


def test_sizes_and_batch_are_open_and_a_size_that_does_not_fit_is_refused(exported, model):
    found = load_exported(exported[0])
    with torch.inference_mode():
        for shape in ((1, 1, 44, 92), (3, 1, 60, 48)):
            image = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
            assert torch.allclose(found.network(image).softmax(1), model.network(image).softmax(1), atol=1e-4)
        with pytest.raises((ValueError, torch.jit.Error), match="does not fit"):
            found.network(torch.zeros(1, 1, 44, 50))


def test_predict_takes_the_file_in_place_of_the_bundle(exported, bundle, photograph, tmp_path):
    pytest.importorskip("zarr", reason="needs zarr and dask")
    from monai_unet.prediction.out_of_core import INTERPRETER, predict

    tiles = {"memory": INTERPRETER + 1_500_000, "progress": False}
    of_bundle = predict(photograph, tmp_path / "bundle.ome.tif", bundle, OVERRIDES, **tiles)
    of_file = predict(photograph, tmp_path / "file.ome.tif", exported[0], **tiles)
    assert np.abs(tifffile.imread(of_bundle) - tifffile.imread(of_file)).max() < 1e-4


def test_overrides_are_refused_with_a_file_which_has_its_own_settings(exported):
    with pytest.raises(ValueError, match="carries its own settings: image_mean can be given for a bundle only"):
        load_model(str(exported[0]), json.dumps({"image_mean": 3}))


def test_another_file_has_another_digest(exported, tmp_path):
    copy = tmp_path / exported[0].name
    shutil.copy(exported[0], copy)
    assert load_exported(copy).digest == load_exported(exported[0]).digest
    with copy.open("ab") as file:
        file.write(b"\0")
    from monai_unet.io import fingerprint

    assert fingerprint(copy) != load_exported(exported[0]).digest


def test_the_command_prints_the_table_and_where_the_file_is(bundle, tmp_path, capsys):
    words = ["export", "--bundle", str(bundle), "--format", "torchscript", "--features", "[2,3,4]"]
    assert main([*words, "--out", str(tmp_path / "a.pt")]) == 0
    out = capsys.readouterr().out
    assert "| random | 2 x 1 x 44 x 48 | " in out
    assert "compared on random input only" in out
    assert (tmp_path / "a.pt").is_file()
    assert main([*words, "--out", str(tmp_path / "a.pt")]) == 2
    assert "exists; remove it" in capsys.readouterr().err


def test_a_file_that_differs_is_not_written(bundle, tmp_path, monkeypatch):
    differ = [module.Difference("random", (1,), 0.5)]
    monkeypatch.setattr(module, "compare_networks", lambda *_: differ)
    with pytest.raises(ValueError, match=r"by 5.0e-01 in probability"):
        export(bundle, "torchscript", tmp_path / "a.ts", overrides=OVERRIDES)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "name", "reason"),
    [
        ("onnx", "a.ts", r"called \*.onnx"),
        ("bioimageio", "a.onnx", r"called \*.zip"),
        ("keras", "a.h5", "one of torch"),
    ],
)
def test_a_format_that_does_not_fit_the_name_is_refused(bundle, tmp_path, kind, name, reason):
    with pytest.raises(ValueError, match=reason):
        export(bundle, kind, tmp_path / name, overrides=OVERRIDES)


def test_weights_alone_and_foreign_files_are_refused_with_what_would_work(bundle, tmp_path):
    with pytest.raises(ValueError, match=r"model.pt cannot be read as TorchScript: .* --ckpt_path FILE"):
        load_model(str(bundle / "models" / "model.pt"))
    torch.jit.save(torch.jit.script(torch.nn.ReLU()), tmp_path / "other.ts")
    with pytest.raises(ValueError, match=r"other\.ts was not exported by monai-unet"):
        load_model(str(tmp_path / "other.ts"))
    with pytest.raises(FileNotFoundError, match=r"none\.onnx does not exist"):
        load_model(str(tmp_path / "none.onnx"))


@pytest.mark.parametrize("kind", ["torchscript", pytest.param("onnx", marks=pytest.mark.slow)])
def test_on_a_full_disk_file_and_reason_are_named_and_nothing_is_left(bundle, tmp_path, kind):
    if kind == "onnx":
        pytest.importorskip("onnxscript", reason="needs the extra `export`")
    name = NAMES[kind]
    with full_disk(), pytest.raises(OSError, match=rf"{name} cannot be written: File too large$"):
        export(bundle, kind, tmp_path / name, overrides=OVERRIDES)
    assert list(tmp_path.iterdir()) == []
