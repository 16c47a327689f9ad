"""A bundle of a tiny network and a stack to predict."""

import numpy as np
import pytest
import tifffile
from bundle_runs import narrow_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return narrow_bundle("isbi", tmp_path_factory.mktemp("bundle"), head=0.1)


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
