import json

import numpy as np
import pytest
import tifffile
from bundle_runs import narrow_bundle

from monai_unet.prediction.load import load_model


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    """The bundle for EM sections with a narrow network and random weights."""
    return narrow_bundle("isbi", tmp_path_factory.mktemp("bundle"), head=0.1)


@pytest.fixture(scope="session")
def model(bundle):
    return load_model(str(bundle), json.dumps({"features": [2, 3, 4]}))


@pytest.fixture(scope="session")
def photograph(tmp_path_factory):
    """A picture of odd sides."""
    path = tmp_path_factory.mktemp("images") / "picture.tif"
    tifffile.imwrite(path, np.random.default_rng(0).integers(0, 255, (101, 87), np.uint8), photometric="minisblack")
    return path
