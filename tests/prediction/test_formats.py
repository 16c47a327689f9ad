"""A prediction depends on the pixels of an image and on nothing else of its file."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK
import tifffile
from image_files import write_czi, write_lif, write_n5, write_series
from PIL import Image

from monai_unet.io import fingerprint, open_source


def write_hdf5(path, array):
    h5py = pytest.importorskip("h5py", reason="needs the extra `formats`")
    with h5py.File(path.parents[1], "w") as file:
        file["volumes/raw"] = array
        file["volumes/other"] = array // 2


def write_named_lif(path, array):
    pytest.importorskip("bioio_lif", reason="needs the extra `formats`")
    write_lif(path.parent, {path.name: array[None].astype(np.uint16)})


def read(store):
    source = open_source(store)
    return source.read(tuple(slice(0, size) for size in source.info.shape))[0]


@pytest.fixture(scope="module")
def expected(stack, predicted, tmp_path_factory):
    return read(predicted(stack, tmp_path_factory.mktemp("expected") / "out.ome.zarr"))


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("scan", write_series),
        ("a.h5/volumes/raw", write_hdf5),
        ("a.n5", write_n5),
        ("a.czi", lambda path, array: write_czi(path, array[None])),
        ("a.lif/one", write_named_lif),
        ("a.nrrd", lambda path, array: SimpleITK.WriteImage(SimpleITK.GetImageFromArray(array), path)),
    ],
)
def test_it_is_that_of_the_same_pixels_in_a_tiff(stack, predicted, expected, tmp_path, name, write):
    write(tmp_path / name, tifffile.imread(stack))
    assert np.array_equal(read(predicted(tmp_path / name, tmp_path / "out.ome.zarr")), expected)


def test_a_bmp_is_predicted_like_the_section(stack, predicted, expected, tmp_path):
    Image.fromarray(tifffile.imread(stack)[0]).save(tmp_path / "a.bmp")
    assert np.array_equal(read(predicted(tmp_path / "a.bmp", tmp_path / "out.ome.zarr")), expected[:1])


def test_the_files_of_a_folder_and_of_an_image_inside_a_file_have_a_fingerprint(tmp_path):
    write_series(tmp_path / "scan", np.zeros((2, 9, 8), np.uint8))
    assert fingerprint(tmp_path / "scan") == fingerprint(*sorted((tmp_path / "scan").iterdir()))
    (tmp_path / "a.h5").write_bytes(b"x")
    assert fingerprint(Path(tmp_path / "a.h5") / "raw") == fingerprint(tmp_path / "a.h5")
