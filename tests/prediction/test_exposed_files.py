"""Files that are normalised by themselves: tiled as untiled, a region as the whole, the same bytes after a stop."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch

pytest.importorskip("zarr", reason="needs zarr and dask")
pytest.importorskip("distributed", reason="needs zarr and dask")

from monai_unet.inferers import OverlapTileInferer
from monai_unet.io import Exposure
from monai_unet.io.sources import open_source
from monai_unet.networks import OriginalUNet
from monai_unet.prediction.load import load_model
from monai_unet.prediction.out_of_core import INTERPRETER, predict

SMALL = INTERPRETER + 1_500_000  # bytes: tiles of some 80 pixels
GREY = np.random.default_rng(0).normal(0, 1, (3, 150, 170)) * np.array([20, 40, 80])[:, None, None]
STACK = (GREY + np.array([200, 500, 3000])[:, None, None]).clip(0).astype(np.uint16)
WAYS = {
    "image": {"normalise": "image"},
    "section": {"normalise": "section"},
    "moments": {"normalise": "image", "percentiles": None},
}


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    path = tmp_path_factory.mktemp("images") / "stack.tif"
    tifffile.imwrite(path, STACK, photometric="minisblack")
    return path


@pytest.fixture(scope="module", params=list(WAYS))
def way(request):
    return WAYS[request.param]


def run(image, out, bundle, way, **options):
    values = {"features": [2, 3, 4], **way}
    return predict(image, out, bundle, values, **{"memory": SMALL, "progress": False, **options})


def read(store):
    source = open_source(store)
    return source.read(tuple(slice(0, n) for n in source.info.shape))[0]


@pytest.fixture(scope="module")
def whole(image, bundle, way, tmp_path_factory):
    return run(image, tmp_path_factory.mktemp("whole") / "out.ome.zarr", bundle, way)


def test_tiles_of_a_file_equal_the_untiled_prediction_in_memory(bundle, way, whole):
    network = OriginalUNet(features=(2, 3, 4), normalisation="weights").eval()
    network.load_state_dict(torch.load(bundle / "models" / "model.pt", weights_only=True))
    normalised = Exposure(**{"percentiles": (1, 99.8), **way}).normalised(STACK[None])[0]
    with torch.no_grad():
        logits = OverlapTileInferer(1000)(torch.from_numpy(normalised)[:, None], network)
    np.testing.assert_allclose(read(whole), logits.softmax(1)[:, 1].numpy(), atol=1e-5)


def test_a_region_is_a_part_of_the_whole(image, bundle, way, whole, tmp_path):
    part = run(image, tmp_path / "part.ome.zarr", bundle, way, roi=[(1, 3), (20, 140), (31, 150)])
    np.testing.assert_allclose(read(part), read(whole)[1:3, 20:140, 31:150], atol=1e-5)


def test_a_run_that_goes_on_measures_nothing_anew_and_ends_with_the_same_bytes(
    image, bundle, way, whole, tmp_path, monkeypatch
):
    stopped = tmp_path / "out.ome.zarr"
    shutil.copytree(whole, stopped)
    store = open_store(stopped)
    first = sorted((stopped / "0" / "c").rglob("*"))[-1]
    first.unlink()
    unfinish(stopped)
    assert store.scale is not None
    monkeypatch.setattr(Exposure, "of_source", None)
    run(image, stopped, bundle, way)
    assert chunks(stopped) == chunks(whole)


def open_store(path):
    from monai_unet.io.zarr_store import PredictionStore

    return PredictionStore(path)


def unfinish(store):
    text = (store / "zarr.json").read_text()
    (store / "zarr.json").write_text(text.replace('"complete": true', '"complete": false'))


def chunks(store):
    return {str(path.relative_to(store)): path.read_bytes() for path in (store / "0").rglob("*") if path.is_file()}


def test_another_gain_and_offset_change_nothing(bundle, way, whole, tmp_path):
    tifffile.imwrite(tmp_path / "stack.tif", STACK.astype(np.float32) * 0.01 - 3, photometric="minisblack")
    other = run(tmp_path / "stack.tif", tmp_path / "out.ome.zarr", bundle, way)
    np.testing.assert_allclose(read(other), read(whole), atol=1e-3)


def test_nan_is_named_before_anything_is_predicted(bundle, way, tmp_path):
    bad = STACK.astype(np.float32)
    bad[2, 140, 9] = np.nan
    tifffile.imwrite(tmp_path / "bad.tif", bad, photometric="minisblack")
    with pytest.raises(ValueError, match=r"bad\.tif holds 1 values that are not finite .* row 140, column 9"):
        run(tmp_path / "bad.tif", tmp_path / "out.ome.zarr", bundle, way)


def test_an_image_that_has_been_replaced_is_measured_anew(bundle, way, tmp_path):
    image = tmp_path / "stack.tif"
    found = []
    for number, pixels in enumerate((STACK, STACK[::-1] * 2)):
        tifffile.imwrite(image, pixels, photometric="minisblack")
        for name in ("same", f"other {number}"):
            shutil.rmtree(tmp_path / f"{name}.ome.zarr", ignore_errors=True)
            found.append(read(run(image, tmp_path / f"{name}.ome.zarr", bundle, way)))
    np.testing.assert_array_equal(found[2], found[3])


def test_a_bundle_from_before_there_were_exposures_is_of_the_data_sets_numbers(bundle, tmp_path):
    old = tmp_path / "old"
    shutil.copytree(bundle, old)
    config = json.loads((old / "configs" / "inference.json").read_text())
    del config["exposure"]
    for copy in (old / "inference.json", old / "configs" / "inference.json"):
        copy.write_text(json.dumps(config))
    one, other = (load_model(str(each), json.dumps({"features": [2, 3, 4]})) for each in (bundle, old))
    assert (one.exposure, one.digest) == (replace(other.exposure, percentiles=one.exposure.percentiles), other.digest)


@pytest.mark.parametrize("given", [{"percentiles": [5, 95]}, {"normalise": "image", "image_mean": 100}])
def test_what_does_nothing_is_refused(image, bundle, tmp_path, given):
    with pytest.raises(ValueError, match="does nothing with normalise"):
        run(image, tmp_path / "out.ome.zarr", bundle, given)
