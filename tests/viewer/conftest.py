"""A bundle of a tiny network in small tiles, and a layer without a viewer."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from bundle_runs import narrow_bundle

from monai_unet.viewer.painted import Painted


def tiny_bundle(folder, like="isbi", **values):
    """A bundle with a narrow network, small tiles and other values in its own `inference.json`."""
    bundle = narrow_bundle(like, folder, head=0.1)
    config = json.loads((bundle / "inference.json").read_text())
    config = json.dumps({**config, "features": [2, 3, 4], "tile": 40, **values})
    for path in (bundle / "inference.json", bundle / "configs" / "inference.json"):
        path.write_text(config)
    return bundle


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    pytest.importorskip("zarr", reason="needs Python 3.11")
    return tiny_bundle(tmp_path_factory.mktemp("viewer"))


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
