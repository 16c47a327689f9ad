"""What a user of the wheel does, in an environment with nothing but the wheel, outside the repository."""

import importlib.util
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile

import monai_unet

if (Path(monai_unet.__file__).parents[1] / "pyproject.toml").is_file():
    pytest.skip("needs the wheel in an environment of its own: make test-wheel", allow_module_level=True)

NARROW = ("--features", "[4,8]")


def run(*arguments):
    """A command of the environment, in the folder that the test runs in."""
    command = [str(each) for each in arguments]
    command[0] = str(Path(sys.executable).with_name(command[0]))
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def evening(tmp_path_factory):
    """A folder with synthetic sections in it."""
    folder = tmp_path_factory.mktemp("evening")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run("monai-unet", "data", "synthetic", "--sections", 4, "--size", 200, "--test-sections", 2)
    return folder


@pytest.fixture(autouse=True)
def there(evening, monkeypatch):
    monkeypatch.chdir(evening)


@pytest.fixture(scope="module")
def trained(evening):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(evening)
        run("monai-unet", "copy", "isbi")
        run(
            *("python", "-m", "monai.bundle", "run", "training", "--config_file", "isbi/train.json", *NARROW),
            *("--dataset_dir", "datasets/synthetic/data", "--epochs", 1, "--tile", 36),
        )


def test_the_package_says_that_it_has_types_and_what_it_is_called():
    assert (Path(monai_unet.__file__).parent / "py.typed").is_file()
    assert distribution("monai-unet").version == monai_unet.__version__


def test_the_base_needs_no_dask():
    assert importlib.util.find_spec("distributed") is None


def test_the_bundles_are_listed():
    out = run("monai-unet", "bundles")
    assert {"isbi", "isbi_compact", "dic_hela_compact", "denoise"} <= set(out.split())


@pytest.mark.parametrize("name", ["labels.ome.tif", "labels.nii.gz", "labels.ome.zarr"])
def test_a_bundle_by_its_name_predicts_to_every_kind_of_file(name):
    image = "datasets/synthetic/data/test-volume.tif"
    run("monai-unet", "predict", image, "--bundle", "isbi_compact", "--output", "label", "--out", name)
    assert Path(name).exists()
    if name.endswith(".nii.gz"):
        labels = np.asarray(nibabel.load(name).dataobj)
        assert np.array_equal(labels.T, tifffile.imread("labels.ome.tif"))
        assert 0.3 < labels.mean() < 0.95


@pytest.mark.skipif(sys.version_info < (3, 11), reason="nothing is left out of Python 3.11")
def test_an_ome_zarr_needs_no_extra():
    import zarr

    assert zarr.open("labels.ome.zarr")["0"].shape == (2, 200, 200)


def test_a_copy_of_a_bundle_is_trained(trained):
    assert Path("isbi/models/model.pt").is_file()


def test_what_was_trained_is_evaluated(trained):
    run(
        *("python", "-m", "monai.bundle", "run", "evaluating", *NARROW),
        *("--config_file", "['isbi/train.json','isbi/evaluate.json']", "--dataset_dir", "datasets/synthetic/data"),
        *("--output_dir", "evaluation"),
    )
    assert Path("evaluation/report.html").is_file()


def test_what_was_trained_segments_a_folder_of_images(trained):
    run(
        *("python", "-m", "monai.bundle", "run", "inference", "--config_file", "isbi/inference.json", *NARROW),
        *("--input_dir", "datasets/synthetic/data", "--output_dir", "result"),
    )
    assert list(Path("result").glob("test-volume*.tif"))


def test_a_bundle_for_own_images_is_made_and_trained(trained):
    sections = [tifffile.imread(f"datasets/synthetic/data/train-{each}.tif") for each in ("volume", "labels")]
    for folder, stack in zip(("mine/images", "mine/labels"), sections, strict=True):
        Path(folder).mkdir(parents=True)
        for number, section in enumerate(stack):
            tifffile.imwrite(f"{folder}/{number}.tif", section)
    run("monai-unet", "new", "my_cells", "--dataset-dir", "mine", "--no-trial")
    run(
        *("python", "-m", "monai.bundle", "run", "training", "--config_file", "my_cells/train.json", *NARROW),
        *("--epochs", 1, "--tile", 36),
    )
    assert Path("my_cells/output/models/model.pt").is_file() or Path("my_cells/models/model.pt").is_file()
