"""What is seen is predicted as a part of the whole, and the whole goes on where it was stopped."""

import numpy as np
import pytest
import tifffile
import torch

from monai_unet.io.zarr_store import PredictionStore
from monai_unet.viewer.images import file_of
from monai_unet.viewer.predicting import (
    Request,
    StoppedError,
    bundles_with_weights,
    in_memory,
    least_sure_places,
    predict_visible,
    predict_whole,
    shown,
    whole_path,
)
from monai_unet.viewer.uncertain import uncertain_places

BOX = [(1, 2), (17, 101), (33, 120)]


def go_on(done, total):
    pass


def never():
    return False


def layer(results, kind):
    return next(result for result in results if result.kind == kind)


@pytest.fixture(scope="module")
def whole(bundle, stack, tmp_path_factory):
    return predict_whole(Request(stack, str(bundle), "probability"), tmp_path_factory.mktemp("whole"), go_on, never)


def test_the_visible_part_is_that_part_of_the_whole(bundle, stack, whole):
    assert len(list((whole / "0").rglob("*"))) > 10, "not tiled at all"
    visible = in_memory(layer(predict_visible(Request(stack, str(bundle), "probability"), BOX), "image").data)
    expected = in_memory(layer(shown(whole), "image").data)[tuple(slice(*part) for part in BOX)]
    # the kernels of some CPUs add in another order at another place
    np.testing.assert_allclose(visible, expected, atol=1e-5)


def test_labels_of_the_visible_part_are_those_of_the_whole(bundle, stack, tmp_path):
    request = Request(stack, str(bundle), "label", threshold=0.45)
    visible = in_memory(layer(predict_visible(request, BOX), "labels").data)
    out = predict_whole(request, tmp_path, go_on, never)
    expected = in_memory(layer(shown(out), "labels").data)[tuple(slice(*part) for part in BOX)]
    assert 0 < expected.mean() < 1
    assert np.mean(visible != expected) < 1e-4  # a probability beside the threshold, see above


def test_a_prediction_tells_how_far_it_is_stops_and_goes_on(bundle, stack, whole, tmp_path):
    request = Request(stack, str(bundle), "probability")
    told = []
    with pytest.raises(StoppedError, match=r"stopped after \d+ of 24 tiles"):
        predict_whole(request, tmp_path, lambda *numbers: told.append(numbers), lambda: len(told) == 3)
    assert told[0][1] == 24
    assert not PredictionStore(whole_path(request, tmp_path)).is_complete
    rest = []
    out = predict_whole(request, tmp_path, lambda *numbers: rest.append(numbers), never)
    assert rest[-1] == (24, 24)
    assert len(rest) < 24, "all of it was computed again"
    assert np.array_equal(PredictionStore(out).read(()), PredictionStore(whole).read(()))


def test_the_prediction_of_a_layer_without_a_file_goes_on_until_napari_ends(bundle, stack, layer_of, tmp_path):
    for image, message in ((file_of(layer_of(tifffile.imread(stack))), "there until napari ends$"), (stack, "there$")):
        with pytest.raises(StoppedError, match=f"the same prediction goes on from {message}"):
            predict_whole(Request(image, str(bundle), "probability"), tmp_path, go_on, lambda: True)


def test_a_prediction_that_is_stopped_at_its_last_tile_makes_nothing_of_the_tiles(bundle, stack, tmp_path):
    request, told = Request(stack, str(bundle), "label"), []
    with pytest.raises(StoppedError, match="stopped after 24 of 24 tiles"):
        predict_whole(request, tmp_path, lambda *numbers: told.append(numbers), lambda: told[-1] == (24, 24))
    assert not (whole_path(request, tmp_path) / "labels").exists()
    out = predict_whole(request, tmp_path, lambda *numbers: told.append(numbers), never)
    assert told[-2:] == [(24, 24), (24, 24)]
    assert (out / "labels" / "label").is_dir()


def test_other_weights_and_settings_have_a_store_of_their_own(bundle, stack, tmp_path):
    request = Request(stack, str(bundle), "label")
    other = Request(stack, str(bundle), "label", threshold=0.3)
    assert whole_path(request, tmp_path) == whole_path(request, tmp_path) != whole_path(other, tmp_path)
    before, path = whole_path(request, tmp_path), bundle / "models" / "model.pt"
    weights = path.read_bytes()
    changed = {name: value + 0.1 for name, value in torch.load(path, weights_only=True).items()}
    torch.save(changed, path)
    after = whole_path(request, tmp_path)
    path.write_bytes(weights)
    assert after != before


def test_least_sure_places_are_those_of_the_probability(bundle, stack, whole, tmp_path):
    places = least_sure_places(Request(stack, str(bundle)), tmp_path, never)
    assert places == uncertain_places(PredictionStore(whole).read(()))


def test_the_shipped_bundles_with_weights_can_be_chosen():
    assert {"dic_hela_compact", "isbi_compact", "phc_u373_compact"} <= set(bundles_with_weights())
    assert "isbi" not in bundles_with_weights()
