"""A bundle of a tiny network in small tiles, and a layer without a viewer."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
import torch

from monai_unet.networks import OriginalUNet
from monai_unet.viewer.painted import Painted

REPOSITORY = Path(__file__).parents[2]


def tiny_bundle(folder, like="isbi", **values):
    """The configs of a bundle with other values, and random weights."""
    shutil.copytree(REPOSITORY / "bundles" / like / "configs", folder / "configs")
    path = folder / "configs" / "inference.json"
    config = {**json.loads(path.read_text()), "features": [2, 3, 4], "tile": 40, **values}
    path.write_text(json.dumps(config))
    torch.manual_seed(0)
    (folder / "models").mkdir()
    network = OriginalUNet(features=(2, 3, 4), normalisation="weights")
    network.head.weight.data /= 10  # random weights give large logits, whose rounding would be all that is seen
    torch.save(network.state_dict(), folder / "models" / "model.pt")
    return folder


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    pytest.importorskip("zarr", reason="needs Python 3.11")
    return tiny_bundle(tmp_path_factory.mktemp("viewer") / "tiny")


@pytest.fixture(scope="session")
def stack(tmp_path_factory):
    path = tmp_path_factory.mktemp("viewer_images") / "stack.tif"
    tifffile.imwrite(path, np.random.default_rng(0).integers(0, 255, (2, 131, 120), np.uint8), photometric="minisblack")
    return path


@pytest.fixture
def layer_of():
    """What the functions read of a napari layer."""

    def make(data, path=None, **values):
        axes = data.ndim - values.get("rgb", False)
        first = {"name": "layer", "multiscale": False, "rgb": False, "source": SimpleNamespace(path=path)}
        place = {"scale": np.ones(axes), "translate": np.zeros(axes), "units": None}
        return SimpleNamespace(**{**first, **place, "data": data, **values})

    return make


@pytest.fixture
def painted():
    """An image with some strokes, given as their row and number."""

    def make(strokes=((20, 1), (50, 2)), size=100, name="image"):
        image = np.random.default_rng(0).integers(0, 255, (size, size), np.uint8)
        labels = np.zeros((size, size), int)
        for row, number in strokes:
            labels[row : row + 4, 10:40] = number
        return Painted(name, image, labels)

    return make
