"""The BioImage.IO package: tested and used by bioimageio.core, offline."""

import json

import numpy as np
import pytest

core = pytest.importorskip("bioimageio.core", reason="needs the extra `export`")

from monai_unet.export.export import export  # noqa: E402

OVERRIDES = {"features": [2, 3, 4]}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def package(bundle, photograph, tmp_path_factory):
    path = tmp_path_factory.mktemp("package") / "model.zip"
    return path, export(bundle, "bioimageio", path, photograph, OVERRIDES)


@pytest.fixture(scope="module")
def description(package):
    return core.load_model_description(package[0])


def test_every_weights_predict_images_of_odd_size_as_the_overlap_tiles_do(package):
    found = {d.what: d.largest for d in package[1]}
    assert len(found) == 8
    assert "real image, pytorch_state_dict, in blocks" in found
    assert max(found.values()) < 1e-4


def test_sizes_and_halo_follow_from_the_geometry(description):
    size, halo = description.inputs[0].axes[-1].size, description.outputs[0].axes[-1].halo
    assert (size.min, size.step, halo) == (52, 4, 24)


def test_the_package_says_what_a_user_has_to_know(description):
    assert description.documentation is not None
    assert description.license.source.path.name == "LICENSE"
    assert len(description.covers) == 1
    assert {str(entry.doi) for entry in description.cite} >= {"10.48550/arXiv.1505.04597", "10.3389/fnana.2015.00142"}
    assert description.inputs[0].preprocessing[1].kwargs.mean == 128
    assert description.inputs[0].pad.mode == "reflect"
    assert list(description.outputs[0].axes[1].channel_names) == ["membrane", "inside"]


@pytest.mark.parametrize(
    ("percentiles", "steps"), [(None, ["zero_mean_unit_variance"]), ([1, 99.8], ["scale_range", "scale_linear"])]
)
def test_an_image_that_is_normalised_by_itself_is_so_in_the_package(bundle, photograph, tmp_path, percentiles, steps):
    overrides = {**OVERRIDES, "normalise": "image", "percentiles": percentiles}
    differences = export(bundle, "bioimageio", tmp_path / "model.zip", photograph, overrides)
    assert max(each.largest for each in differences) < 1e-4
    description = core.load_model_description(tmp_path / "model.zip")
    found = [step.id for step in description.inputs[0].preprocessing]
    assert [step for step in found if step != "ensure_dtype"] == steps


def test_an_array_off_the_lattice_is_refused_rather_than_predicted_with_a_seam(package):
    with pytest.raises(ValueError, match="does not map to axes"):
        core.predict(model=package[0], inputs={"image": np.zeros((1, 1, 101, 87), np.float32)})


def test_the_architecture_needs_none_of_this_project(description):
    source = description.weights.pytorch_state_dict.architecture.get_reader().read().decode()
    assert "monai_unet." not in "\n".join(line for line in source.splitlines() if line.startswith(("from", "import")))


def test_a_bundle_without_a_licence_is_refused(bundle, tmp_path):
    import shutil

    copy = tmp_path / "bundle"
    shutil.copytree(bundle, copy)
    (copy / "LICENSE").unlink()
    with pytest.raises(FileNotFoundError, match="must state the licence"):
        export(copy, "bioimageio", tmp_path / "a.zip", overrides=json.loads(json.dumps(OVERRIDES)))
    assert not (tmp_path / "a.zip").exists()
