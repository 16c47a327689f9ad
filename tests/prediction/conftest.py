"""A bundle of a tiny network and a stack to predict."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from monai_unet.networks import OriginalUNet

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle") / "isbi"
    shutil.copytree(REPOSITORY / "bundles" / "isbi" / "configs", folder / "configs")
    torch.manual_seed(0)
    (folder / "models").mkdir()
    network = OriginalUNet(features=(2, 3, 4), normalisation="weights")
    network.head.weight.data /= 10  # random weights give large logits, whose rounding would be all that is seen
    torch.save(network.state_dict(), folder / "models" / "model.pt")
    return folder


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    path = tmp_path_factory.mktemp("images") / "stack.tif"
    tifffile.imwrite(path, np.random.default_rng(0).integers(0, 255, (2, 211, 190), np.uint8), photometric="minisblack")
    return path


@pytest.fixture(scope="module")
def predicted(bundle):
    """Predict with the bundle in small tiles."""
    pytest.importorskip("zarr", reason="needs zarr and dask")
    pytest.importorskip("distributed", reason="needs zarr and dask")
    from monai_unet.prediction.out_of_core import INTERPRETER, predict

    def run(image, out, **kwargs):
        overrides = {"features": [2, 3, 4]}
        return predict(
            image, out, bundle, overrides, **{"memory": INTERPRETER + 1_500_000, "progress": False, **kwargs}
        )

    return run
