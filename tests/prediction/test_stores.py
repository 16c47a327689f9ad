"""Where predictions lie in space, what they belong to, and when they are finished."""

import json
import os
import shutil

import nibabel
import numpy as np
import pytest
import tifffile

pytest.importorskip("zarr", reason="needs zarr and dask")
pytest.importorskip("distributed", reason="needs zarr and dask")

import zarr

from monai_unet.io import one_writer
from monai_unet.io.sources import open_source

ROI = [(1, 2), (10, 40), (5, 30)]
OUTPUTS = ["probability", "label", "instances"]
VOLUME = np.random.default_rng(0).integers(0, 255, (2, 50, 41), np.uint8)
OBLIQUE = np.array([[0.4, 0.1, 0, 5], [-0.1, 0.4, 0, -7], [0, 0, 2, 3], [0, 0, 0, 1.0]])


@pytest.fixture
def nifti(tmp_path):
    image = nibabel.Nifti1Image(VOLUME.T, OBLIQUE)
    image.header.set_xyzt_units("micron")
    nibabel.save(image, tmp_path / "image.nii")
    return tmp_path / "image.nii"


@pytest.fixture
def ome_zarr(tmp_path):
    group = zarr.open_group(tmp_path / "image.ome.zarr", mode="w", zarr_format=2)
    group.create_array("0", data=VOLUME, chunks=(1, 25, 25))
    transforms = [
        {"type": "scale", "scale": [2, 0.5, 0.25]},
        {"type": "translation", "translation": [10, 100, 200]},
    ]
    group.attrs["multiscales"] = [
        {
            "version": "0.4",
            "axes": [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"],
            "datasets": [{"path": "0", "coordinateTransformations": transforms}],
        }
    ]
    return tmp_path / "image.ome.zarr"


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_nifti_lies_where_its_image_does(nifti, tmp_path, predicted, output):
    whole = nibabel.load(predicted(nifti, tmp_path / "out.nii.gz", output=output))
    assert np.allclose(whole.affine, OBLIQUE)
    assert whole.header.get_xyzt_units()[0] == "micron"


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_region_lies_where_it_does_in_the_whole_with_oblique_axes_too(nifti, tmp_path, predicted, output):
    part = nibabel.load(predicted(nifti, tmp_path / "out.nii.gz", output=output, roi=ROI))
    assert np.allclose(part.affine[:3, :3], OBLIQUE[:3, :3])
    assert np.allclose(part.affine @ [0, 0, 0, 1], OBLIQUE @ [5, 10, 1, 1])


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("name", ["out.ome.zarr", "out.ome.tif"])
def test_a_translation_is_kept_and_that_of_a_region_is_added(ome_zarr, tmp_path, predicted, name, output):
    whole, part = (
        predicted(ome_zarr, tmp_path / f"{n}{name}", output=output, roi=roi) for n, roi in enumerate((None, ROI))
    )
    for inside in ("", f"labels/{output}") if output != "probability" and name == "out.ome.zarr" else ("",):
        assert open_source(whole / inside).info.origin == pytest.approx((10, 100, 200))
        assert open_source(part / inside).info.origin == pytest.approx((12, 105, 201.25))
        assert open_source(part / inside).info.spacing == pytest.approx((2, 0.5, 0.25))


def test_a_translation_becomes_the_affine_of_a_nifti(ome_zarr, tmp_path, predicted):
    part = nibabel.load(predicted(ome_zarr, tmp_path / "out.nii", roi=ROI))
    assert np.allclose(part.affine, [[0.25, 0, 0, 201.25], [0, 0.5, 0, 105], [0, 0, 2, 12], [0, 0, 0, 1]])


def test_a_smaller_level_lies_where_the_finest_does(tmp_path, predicted):
    tifffile.imwrite(tmp_path / "image.tif", np.zeros((300, 300), np.uint8) + np.uint8(9))
    out = predicted(tmp_path / "image.tif", tmp_path / "out.ome.zarr", roi=[(10, 300), (4, 300)])
    levels = zarr.open_group(out).attrs["ome"]["multiscales"][0]["datasets"]
    moved = [level["coordinateTransformations"][1]["translation"] for level in levels]
    assert moved == [[10, 4], [10.5, 4.5]]  # the middle of the first two pixels


def test_without_a_place_a_region_is_counted_in_pixels(stack, tmp_path, predicted):
    for name in ("out.ome.zarr", "out.ome.tif"):
        assert open_source(predicted(stack, tmp_path / name, roi=ROI)).info.origin == (1, 10, 5)


def test_a_zarr_of_which_a_chunk_has_changed_is_another_image(ome_zarr, tmp_path, predicted):
    predicted(ome_zarr, tmp_path / "out.ome.zarr")
    zarr.open_group(ome_zarr, mode="r+")["0"][1, 30:, 30:] = 0
    with pytest.raises(ValueError, match="belongs to a prediction with other settings: image files is"):
        predicted(ome_zarr, tmp_path / "out.ome.zarr")


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("name", ["out.ome.tif", "out.nii", "out.nii.gz"])
def test_a_run_that_was_killed_when_its_result_was_in_place_is_finished(
    stack, tmp_path, predicted, monkeypatch, name, output
):
    out = tmp_path / name

    def killed(path):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("monai_unet.prediction.asked.discard", killed)
        with pytest.raises(KeyboardInterrupt):
            predicted(stack, out, output=output)
    assert len(list(tmp_path.iterdir())) == 2
    before = out.read_bytes()
    monkeypatch.setattr("monai_unet.prediction.compute.predict_chunk", None)
    assert predicted(stack, out, output=output) == out
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert out.read_bytes() == before


@pytest.mark.parametrize("output", ["label", "instances"])
def test_labels_that_a_killed_run_had_put_in_their_place_are_listed_by_the_next_one(
    stack, tmp_path, predicted, monkeypatch, output
):
    out = predicted(stack, tmp_path / "out.ome.zarr", output=output)
    listed = out / "labels" / "zarr.json"
    written = listed.read_bytes()
    listed.unlink()
    monkeypatch.setattr(f"monai_unet.prediction.asked.{'class' if output == 'label' else 'label'}_store", None)
    predicted(stack, out, output=output)
    assert listed.read_bytes() == written


@pytest.mark.parametrize("name", ["out.ome.tif", "out.nii.gz"])
def test_a_file_of_the_same_prediction_is_finished(stack, tmp_path, predicted, name):
    out = predicted(stack, tmp_path / name)
    written = out.stat().st_mtime_ns
    assert predicted(stack, out).stat().st_mtime_ns == written
    with pytest.raises(FileExistsError, match="is of another prediction"):
        predicted(stack, out, output="label")


def test_instances_of_other_arguments_are_refused_and_left_alone(stack, tmp_path, predicted):
    out = predicted(stack, tmp_path / "out.ome.zarr", output="instances")
    before = (out / "labels" / "instances" / "zarr.json").read_bytes()
    with pytest.raises(FileExistsError, match=r"labels/instances exists and is of another prediction"):
        predicted(stack, out, output="instances", min_size=50)
    assert (out / "labels" / "instances" / "zarr.json").read_bytes() == before


def test_instances_that_were_removed_are_made_anew_with_other_arguments(stack, tmp_path, predicted, monkeypatch):
    out = predicted(stack, tmp_path / "out.ome.zarr", output="instances")
    shutil.rmtree(out / "labels" / "instances")
    monkeypatch.setattr("monai_unet.prediction.compute.predict_chunk", None)
    predicted(stack, out, output="instances", min_size=50)
    assert open_source(out / "labels" / "instances").info.shape == (2, 211, 190)


def test_an_output_that_another_process_writes_is_refused(stack, tmp_path, predicted):
    with one_writer(tmp_path / "out.ome.zarr"), pytest.raises(OSError, match=f"written by process {os.getpid()} "):
        predicted(stack, tmp_path / "out.ome.zarr", output="instances")


def test_instances_appear_when_they_are_whole(stack, tmp_path, predicted, monkeypatch):
    """So that two runs that do not see each other's locks cannot mix their numbers."""

    def fail(*args, **kwargs):
        assert not (tmp_path / "out.ome.zarr" / "labels").exists()
        raise MemoryError

    monkeypatch.setattr("monai_unet.prediction.asked.label_store", fail)
    with pytest.raises(MemoryError):
        predicted(stack, tmp_path / "out.ome.zarr", output="instances")
    assert [path.name for path in tmp_path.iterdir()] == ["out.ome.zarr"]
    assert open_source(tmp_path / "out.ome.zarr").info.dtype == np.float32  # the probabilities, which are kept


def test_a_name_with_several_endings_is_told_by_the_last(stack, tmp_path, predicted):
    assert tifffile.imread(predicted(stack, tmp_path / "a.nii.ome.tif")).shape == (2, 211, 190)


def test_the_metadata_stays_json(ome_zarr, tmp_path, predicted):
    group = zarr.open_group(ome_zarr, mode="r+")
    multiscales = group.attrs["multiscales"]
    multiscales[0]["datasets"][0]["coordinateTransformations"][0]["scale"] = [-2, 0.5, 0.25]
    group.attrs["multiscales"] = multiscales

    def refuse(value):
        raise AssertionError(value)

    out = predicted(ome_zarr, tmp_path / "out.ome.zarr")
    json.loads((out / "zarr.json").read_text(), parse_constant=refuse)
    assert open_source(out).info.spacing == (2, 0.5, 0.25)
