"""Files of others are data: reading them runs no code. Weights: tests/handlers; archives: tests/data/test_fetch.py."""

import json
import os
import pickle

import pytest
import torch

from monai_unet.io import open_source
from monai_unet.prediction.exported import load_exported


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return (os.mkdir, (str(self.folder),))


def test_the_object_of_these_tests_runs_code_where_it_is_unpickled(tmp_path):
    pickle.loads(pickle.dumps(Evil(tmp_path / "harm")))
    assert (tmp_path / "harm").exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_an_exported_network_cannot_run_code(tmp_path, zipped):
    torch.save({"weight": Evil(tmp_path / "harm")}, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match=r"a.pt cannot be read as TorchScript"):
        load_exported(tmp_path / "a.pt")
    assert not (tmp_path / "harm").exists()


PICKLE = {"id": "pickle", "protocol": 5}


@pytest.mark.parametrize(
    ("dtype", "compressor", "filters"),
    [
        ("|u1", PICKLE, None),
        ("|u1", None, [PICKLE]),
        ("|O", None, [PICKLE]),
        ("|O", None, [{"id": "vlen-utf8"}, PICKLE]),  # zarr opens it, as text
    ],
)
def test_a_zarr_of_pickled_chunks_is_refused_and_runs_no_code(tmp_path, dtype, compressor, filters):
    pytest.importorskip("zarr", reason="zarr is not installed")
    array = tmp_path / "a.zarr"
    array.mkdir()
    (array / ".zarray").write_text(
        json.dumps(
            {
                **{"zarr_format": 2, "shape": [4, 4], "chunks": [4, 4], "order": "C", "dtype": dtype},
                **{"fill_value": None, "compressor": compressor, "filters": filters},
            }
        )
    )
    (array / "0.0").write_bytes(pickle.dumps(Evil(tmp_path / "harm")))
    with pytest.raises(ValueError, match=r"a.zarr cannot be read as an image"):
        open_source(array).read((slice(0, 1), slice(0, 4), slice(0, 4)))
    assert not (tmp_path / "harm").exists()
