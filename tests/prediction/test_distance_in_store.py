"""A network that learns a distance: its probability, distance, instances and classes in one store."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("zarr", reason="needs the package zarr")

from monai_unet.io.zarr_store import PredictionStore
from monai_unet.networks import OriginalUNet
from monai_unet.prediction.out_of_core import INTERPRETER, predict
from monai_unet.transforms.instances import watershed_instances

REPOSITORY = Path(__file__).parents[2]
THRESHOLD = 0.6


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle") / "dic_hela"
    shutil.copytree(REPOSITORY / "bundles" / "dic_hela" / "configs", folder / "configs")
    (folder / "models").mkdir()
    torch.manual_seed(0)
    network = OriginalUNet(features=(2, 3, 4), out_channels=3, normalisation="weights")
    torch.save(network.state_dict(), folder / "models" / "model.pt")
    return folder


@pytest.fixture
def asked(stack, cells, tmp_path):
    def ask(output, name="out.ome.zarr", **options):
        memory = INTERPRETER + 1_500_000
        path = predict(
            stack, tmp_path / name, cells, {"features": [2, 3, 4]}, output, memory=memory, progress=False, **options
        )
        return PredictionStore(path)

    return ask


def whole(path):
    store = PredictionStore(path)
    return store.read((slice(None),) * len(store.shape))


def test_instances_are_grown_from_the_channels_that_are_the_image(asked):
    store = asked("instances", threshold=THRESHOLD, min_size=4)
    foreground, inside = whole(store.path)
    assert store.channel_names[1] == "inside"
    found = whole(store.path / "labels" / "instances")
    for section in range(len(found)):
        expected = watershed_instances(inside[section], foreground[section], THRESHOLD, min_size=4)
        assert np.array_equal(found[section], expected)
    assert found.max() > 5


def test_classes_are_added_without_computing_anything_again(asked, monkeypatch):
    store = asked("instances", threshold=THRESHOLD)
    monkeypatch.setattr("monai_unet.prediction.compute.predict_chunk", None)
    asked("label", threshold=THRESHOLD)
    assert np.array_equal(whole(store.path / "labels" / "label"), whole(store.path)[0] > THRESHOLD)


def test_the_probability_is_there_already_beside_instances(asked, monkeypatch):
    store = asked("instances")
    monkeypatch.setattr("monai_unet.prediction.compute.predict_chunk", None)
    assert asked("probability").path == store.path


def test_a_store_of_the_probability_alone_has_no_distance_for_instances(asked):
    assert asked("probability").axes == "zyx"
    with pytest.raises(ValueError, match='output is "probability" there and "objects" now'):
        asked("instances")
