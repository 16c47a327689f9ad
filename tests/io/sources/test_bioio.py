"""ND2 and LIF, which only microscopes write: a LIF put together by hand, and a stand-in for BioIO's reader of both."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from image_arrays import stack, whole
from image_files import write_lif

from monai_unet.io import image_files, open_source

pytest.importorskip("bioio", reason="needs the extra `formats`")
PIXELS = stack((2, 3, 20, 33), np.uint16)


def reader_of(scenes, axes="CZYX"):
    """A reader as BioIO's plugins are, of images in memory."""
    import dask.array
    import xarray
    from bioio_base.reader import Reader
    from bioio_base.types import PhysicalPixelSizes

    class StandIn(Reader):
        _fs, _path = None, ""

        def __init__(self, image, fs_kwargs=None, **kwargs):
            pass

        @staticmethod
        def _is_supported_image(fs, path, **kwargs):
            return True

        @property
        def scenes(self):
            return tuple(scenes)

        def _read_delayed(self):
            pixels = scenes[self.current_scene]
            coordinates = {"C": [f"channel {c}" for c in range(pixels.shape[axes.index("C")])]}
            return xarray.DataArray(dask.array.from_array(pixels), dims=list(axes), coords=coordinates)

        def _read_immediate(self):
            raise AssertionError("the whole image is read")

        @property
        def physical_pixel_sizes(self):
            return PhysicalPixelSizes(None, 0.2, 0.1)

    return SimpleNamespace(Reader=StandIn)


@pytest.mark.parametrize(("name", "package"), [("a.nd2", "bioio_nd2"), ("a.lif", "bioio_lif")])
def test_nd2_and_lif_are_read_through_their_readers(tmp_path, monkeypatch, name, package):
    (tmp_path / name).write_bytes(b"x")
    monkeypatch.setitem(sys.modules, package, reader_of({"Series/001": PIXELS}))
    source = open_source(tmp_path / name)
    assert np.array_equal(source.read(whole(source)), PIXELS)
    box = (slice(1, 3), slice(4, 15), slice(30, 33))
    assert np.array_equal(source.read(box), PIXELS[(slice(None), *box)])
    assert (source.info.spacing, source.info.unit) == ((1.0, 0.2, 0.1), "micrometer")
    assert source.info.channel_names == ("channel 0", "channel 1")


def test_an_image_of_a_lif_is_named_with_its_folders(tmp_path, monkeypatch):
    (tmp_path / "a.lif").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "bioio_lif", reader_of({"one/001": PIXELS, "one/002": PIXELS + 1}))
    path = tmp_path / "a.lif" / "one" / "002"
    source = open_source(path)
    assert np.array_equal(source.read(whole(source)), PIXELS + 1)
    assert image_files(path) == [str(path)]


@pytest.mark.parametrize("name", ["a.nd2", "a.lif"])
def test_a_file_of_another_kind_is_refused_by_name(tmp_path, name):
    (tmp_path / name).write_bytes(b"no picture" * 99)
    with pytest.raises(ValueError, match=rf"{name} cannot be read as an image"):
        open_source(tmp_path / name)


@pytest.mark.parametrize("missing", ["bioio", "bioio_lif"])
def test_the_missing_package_is_named_with_the_file(tmp_path, monkeypatch, missing):
    (tmp_path / "a.lif").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=r"a\.lif: \.lif needs the packages bioio and bioio-lif, .*\[formats\]"):
        open_source(tmp_path / "a.lif")


def test_of_several_images_the_path_names_one(tmp_path, monkeypatch):
    (tmp_path / "a.lif").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "bioio_lif", reader_of({"one": PIXELS, "two": PIXELS}))
    with pytest.raises(ValueError, match=r"a\.lif .*it holds 2 images, one, two: name one, a\.lif/one"):
        open_source(tmp_path / "a.lif")
    with pytest.raises(ValueError, match="holds 0 images called 'none'"):
        open_source(tmp_path / "a.lif" / "none")


def test_points_in_time_are_refused(tmp_path, monkeypatch):
    (tmp_path / "a.nd2").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "bioio_nd2", reader_of({"one": PIXELS}, axes="CTYX"))
    with pytest.raises(ValueError, match=r"a\.nd2 .*3 points in time; save each in an image of its own"):
        open_source(tmp_path / "a.nd2")


def test_a_lif_is_read_plane_by_plane(tmp_path):
    pytest.importorskip("bioio_lif")
    source = open_source(write_lif(tmp_path / "a.lif", {"one": PIXELS}))
    assert np.array_equal(source.read(whole(source)), PIXELS)
    box = (slice(1, 3), slice(4, 15), slice(30, 33))
    assert np.array_equal(source.read(box), PIXELS[(slice(None), *box)])
    assert np.allclose(source.info.spacing, (0.5, 0.2, 0.1))
    assert source.info.channel_names == ("Green", "Red")


def test_one_of_the_images_of_a_lif_is_read(tmp_path):
    pytest.importorskip("bioio_lif")
    write_lif(tmp_path / "a.lif", {"one": PIXELS, "two": PIXELS[:1, :1] // 2})
    with pytest.raises(ValueError, match="it holds 2 images") as error:
        open_source(tmp_path / "a.lif")
    assert "two" in str(error.value)
    source = open_source(tmp_path / "a.lif" / "two")
    assert np.array_equal(source.read(whole(source)), PIXELS[:1, :1] // 2)
