"""The bundle that restores images: trained, evaluated, and predicted in memory and out of core."""

import json

import numpy as np
import pytest
import tifffile
from bundle_runs import REPOSITORY, workflow

from monai_unet.cli import main
from monai_unet.data.noisy import add_gaussian_noise
from monai_unet.data.synthetic import synthetic_sections

BUNDLE = REPOSITORY / "bundles" / "denoise"
SMALL = {"features": [4, 6], "tile": 44, "batch_size": 2, "device": "cpu"}
OF_THE_MODEL = {"features": [4, 6], "device": "cpu"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    clean, _ = synthetic_sections(6, 96, 0)
    for part, stack in (("images", add_gaussian_noise(clean, 25, 0)), ("targets", clean)):
        (folder / part).mkdir()
        tifffile.imwrite(folder / part / "a.tif", stack, photometric="minisblack")
    return folder


def train(data, out, targets="pairs", epochs=2, **more):
    places = {"dataset_dir": str(data), "ckpt_dir": str(out), "output_dir": str(out)}
    overrides = {**SMALL, **places, "targets": targets, **more}
    run = workflow(BUNDLE, "train", ["train"], "training", epochs=epochs, validation=[4, 5], **overrides)
    run.run()
    return run.parser.get_parsed_content("validate::evaluator").state


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    train(data, folder, epochs=40)
    return folder


def test_training_on_pairs_takes_noise_away(data, tmp_path):
    state = train(data, tmp_path, epochs=150)
    noisy, clean = (tifffile.imread(data / part / "a.tif")[4:].astype(float) for part in ("images", "targets"))
    before = np.mean(
        [10 * np.log10(255**2 / ((one - other) ** 2).mean()) for one, other in zip(noisy, clean, strict=True)]
    )
    assert state.best_metric > before + 1


@pytest.mark.parametrize("targets", ["noise2void", "noise2noise", "recorrupted"])
def test_training_without_targets_runs_on_images_alone(data, tmp_path, targets):
    noise = {"noise_model": "gaussian", "noise_level": 25.0} if targets == "recorrupted" else {}
    state = train(data / "images", tmp_path, targets, **noise)
    assert np.isfinite(state.metrics["psnr"])
    assert ("ssim" in state.metrics) == (targets == "noise2noise")
    assert (tmp_path / "model.pt").is_file()


def test_the_report_has_the_scores_of_the_input(data, trained, tmp_path):
    overrides = {**OF_THE_MODEL, "dataset_dir": str(data), "ckpt_dir": str(trained), "output_dir": str(tmp_path)}
    workflow(BUNDLE, "train", ["train", "evaluate"], "evaluating", validation=[4, 5], **overrides).run()
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "the input as it is" in page
    assert "output minus target" in page
    assert (tmp_path / "pictures" / "section_001.png").is_file()


@pytest.fixture(scope="module")
def predicted(data, trained, tmp_path_factory):
    """Predict out of core in small tiles."""
    pytest.importorskip("zarr", reason="needs zarr and dask")
    pytest.importorskip("distributed", reason="needs zarr and dask")
    from monai_unet.prediction.out_of_core import predict

    def run(**kwargs):
        out = tmp_path_factory.mktemp("out") / "restored.ome.tif"
        values = {"features": [4, 6], "ckpt_dir": str(trained), "tile": 40}
        predict(data / "images" / "a.tif", out, BUNDLE, values, device="cpu", progress=False, **kwargs)
        return tifffile.imread(out)

    return run


def test_a_file_is_restored_out_of_core_as_in_memory(data, trained, predicted, tmp_path):
    image = str(data / "images" / "a.tif")
    overrides = {**OF_THE_MODEL, "ckpt_dir": str(trained), "input_dir": image, "output_dir": str(tmp_path)}
    workflow(BUNDLE, "infer", ["inference"], "inference", **overrides).run()
    inferred, tiled = tifffile.imread(tmp_path / "a_restored.tif"), predicted()
    assert inferred.dtype == tiled.dtype == np.float32
    assert np.abs(inferred - tiled).max() < 1e-2  # grey values


def test_a_region_is_that_part_of_the_whole(predicted):
    part, whole = predicted(roi=[(1, 3), (10, 70), (5, 96)]), predicted()
    assert np.abs(part - whole[1:3, 10:70, 5:96]).max() < 1e-2  # grey values; kernels may depend on a pixel's place


@pytest.mark.parametrize("wrong", [{"output": "label"}, {"dtype": "uint8"}, {"output": "image", "threshold": 0.5}])
def test_what_a_restored_image_does_not_have_is_refused(predicted, wrong):
    with pytest.raises(ValueError, match=r"image|grey values"):
        predicted(**wrong)


def test_a_bundle_for_own_pairs_trains(data, tmp_path):
    from monai_unet.recipes.create_restoration import new_restoration

    made = new_restoration("mine", data, out=tmp_path / "mine")
    config = json.loads((made.folder / "configs" / "train.json").read_text(encoding="utf-8"))
    assert config["target_mean"] != config["image_mean"] or config["target_std"] != config["image_std"]
    workflow(made.folder, "train", ["train"], "training", epochs=1, features=[4, 6], device="cpu").run()
    assert (made.folder / "models" / "model.pt").is_file()


def test_a_target_without_an_image_is_named_before_a_bundle_is_made(data, tmp_path):
    from monai_unet.recipes.create_restoration import new_restoration

    for part in ("images", "targets"):
        (tmp_path / part).mkdir()
    tifffile.imwrite(tmp_path / "targets" / "b.tif", np.zeros((2, 8, 8), np.uint8), photometric="minisblack")
    with pytest.raises(ValueError, match=r"b\.tif has no partner"):
        new_restoration("mine", tmp_path, out=tmp_path / "mine")


@pytest.mark.parametrize("option", [["--like", "isbi"], ["--colours", "a=0,0,0 b=1,1,1"], ["--normalise", "image"]])
def test_an_option_that_does_nothing_for_restored_images_is_refused(data, tmp_path, capsys, option):
    out = tmp_path / "mine"
    assert main(["new", "mine", "--dataset-dir", str(data), "--out", str(out), *option]) == 2
    assert f"{option[0]} does nothing for images that are restored" in capsys.readouterr().err
    assert not out.exists()
