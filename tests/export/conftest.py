import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from monai_unet.networks import OriginalUNet
from monai_unet.prediction.load import load_model

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    """The bundle for EM sections with a narrow network and random weights."""
    folder = tmp_path_factory.mktemp("bundle") / "isbi"
    shutil.copytree(REPOSITORY / "bundles" / "isbi", folder, ignore=shutil.ignore_patterns("models", "output"))
    (folder / "models").mkdir()
    torch.manual_seed(0)
    network = OriginalUNet(features=(2, 3, 4), normalisation="weights")
    network.head.weight.data /= 10  # random weights give large logits, whose rounding would be all that is seen
    torch.save(network.state_dict(), folder / "models" / "model.pt")
    return folder


@pytest.fixture(scope="session")
def model(bundle):
    return load_model(str(bundle), json.dumps({"features": [2, 3, 4]}))


@pytest.fixture(scope="session")
def photograph(tmp_path_factory):
    """A picture of odd sides."""
    path = tmp_path_factory.mktemp("images") / "picture.tif"
    tifffile.imwrite(path, np.random.default_rng(0).integers(0, 255, (101, 87), np.uint8), photometric="minisblack")
    return path
