"""The BioImage.IO package: tested and used by bioimageio.core, offline."""

import numpy as np
import pytest
import tifffile
import torch

core = pytest.importorskip("bioimageio.core", reason="needs the extra `export`")

from monai_unet.export.bioimageio.options import PackageOptions  # noqa: E402
from monai_unet.export.export import export  # noqa: E402
from monai_unet.inferers import OverlapTileInferer  # noqa: E402

OVERRIDES = {"features": [2, 3, 4]}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def package(bundle, photograph, tmp_path_factory):
    path = tmp_path_factory.mktemp("package") / "model.zip"
    return path, export(bundle, "bioimageio", path, photograph, OVERRIDES)


@pytest.fixture(scope="module")
def description(package):
    return core.load_model_description(package[0])


@pytest.fixture(scope="module")
def of_blocks(bundle, photograph, tmp_path_factory):
    path = tmp_path_factory.mktemp("package") / "blocks.zip"
    return path, export(bundle, "bioimageio", path, photograph, OVERRIDES, PackageOptions(blocks=True))


@pytest.fixture
def bioimageio(monkeypatch, tmp_path):
    """The command, in this process; it reads a.tif and writes out.tif."""

    def run(command, package, *options):
        from bioimageio.core.cli import Bioimageio
        from pydantic_settings import CliApp

        words = [command, str(package), f"--inputs={tmp_path / 'a.tif'}", f"--outputs={tmp_path / 'out.tif'}", *options]
        monkeypatch.setattr("sys.argv", ["bioimageio", *words])
        CliApp.run(Bioimageio)

    return run


def test_every_weights_predict_images_of_odd_size_as_the_overlap_tiles_do(package):
    found = {(d.what, d.shape): d.largest for d in package[1]}
    assert len(found) == 9
    assert {what.split(", ")[1] for what, _ in found} == {"pytorch_state_dict", "torchscript", "onnx"}
    assert max(found.values()) < 1e-4


@pytest.mark.parametrize("weights", ["pytorch_state_dict", "torchscript", "onnx"])
@pytest.mark.parametrize("size", [(3, 3), (7, 40), (64, 64)])
def test_the_command_predicts_an_image_of_any_size(package, bioimageio, model, tmp_path, weights, size):
    image = np.random.default_rng(0).integers(0, 255, size, np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="minisblack")
    bioimageio("predict", package[0], f"--weight-format={weights}")
    grey = torch.from_numpy(image[None, None].astype(np.float32))
    with torch.inference_mode():
        expected = OverlapTileInferer(100, geometry=model.geometry)(model.normalised(grey), model.network).softmax(1)
    assert np.abs(tifffile.imread(tmp_path / "out.tif") - expected.numpy()).max() < 1e-5


@pytest.mark.parametrize("weights", ["pytorch_state_dict", "torchscript", "onnx"])
@pytest.mark.parametrize("blocks", ["True", "5", "37"])
def test_the_command_is_refused_in_blocks(package, bioimageio, tmp_path, weights, blocks):
    image = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="minisblack")
    with pytest.raises(Exception, match=r"block of a larger image|refuses_a_block_of_a_larger_image"):
        bioimageio("predict", package[0], f"--weight-format={weights}", f"--blockwise={blocks}")
    assert not (tmp_path / "out.tif").exists()


def test_an_image_of_any_size_is_declared_and_no_block(description):
    axis = description.inputs[0].axes[-1]
    assert (axis.size.min, axis.size.step, axis.concatenable) == (3, 1, False)
    assert description.outputs[0].axes[-1].halo == 1


def test_the_package_says_what_a_user_has_to_know(description):
    assert description.documentation is not None
    assert description.license.source.path.name == "LICENSE"
    assert len(description.covers) == 1
    assert {str(entry.doi) for entry in description.cite} >= {"10.48550/arXiv.1505.04597", "10.3389/fnana.2015.00142"}
    assert description.inputs[0].preprocessing[1].kwargs.mean == 128
    assert description.inputs[0].pad.mode == "reflect"
    assert list(description.outputs[0].axes[1].channel_names) == ["membrane", "inside"]
    assert [author.name for author in description.authors] == ["the monai-unet developers"]
    assert list(description.maintainers) == []


def test_an_image_that_is_normalised_by_itself_is_so_in_the_package(bundle, photograph, tmp_path):
    overrides = {**OVERRIDES, "normalise": "image", "percentiles": [1, 99.8]}
    differences = export(bundle, "bioimageio", tmp_path / "model.zip", photograph, overrides)
    assert max(each.largest for each in differences) < 1e-4
    description = core.load_model_description(tmp_path / "model.zip")
    found = [step.id for step in description.inputs[0].preprocessing]
    assert [step for step in found if step != "ensure_dtype"] == ["scale_range", "scale_linear"]


def test_in_blocks_on_the_lattice_a_package_for_blocks_predicts_as_the_overlap_tiles_do(of_blocks):
    found = {d.what for d in of_blocks[1]}
    assert "real image, onnx, in blocks" in found
    assert max(d.largest for d in of_blocks[1]) < 1e-4


def test_sizes_and_halo_of_a_package_for_blocks_follow_from_the_geometry(of_blocks):
    description = core.load_model_description(of_blocks[0])
    axis = description.inputs[0].axes[-1]
    assert (axis.size.min, axis.size.step, axis.concatenable) == (52, 4, True)
    assert description.outputs[0].axes[-1].halo == 24


def test_an_array_off_the_lattice_is_refused_rather_than_predicted_with_a_seam(of_blocks):
    with pytest.raises(ValueError, match="does not map to axes"):
        core.predict(model=of_blocks[0], inputs={"image": np.zeros((1, 1, 101, 87), np.float32)})


def test_the_architecture_needs_none_of_this_project(description):
    source = description.weights.pytorch_state_dict.architecture.get_reader().read().decode()
    assert "monai_unet." not in "\n".join(line for line in source.splitlines() if line.startswith(("from", "import")))


def test_a_bundle_without_a_licence_is_refused(bundle, tmp_path):
    import shutil

    copy = tmp_path / "bundle"
    shutil.copytree(bundle, copy)
    (copy / "LICENSE").unlink()
    with pytest.raises(FileNotFoundError, match="must state the licence"):
        export(copy, "bioimageio", tmp_path / "a.zip", overrides=OVERRIDES)
    assert not (tmp_path / "a.zip").exists()
