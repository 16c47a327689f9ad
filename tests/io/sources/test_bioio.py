"""CZI from files that Zeiss's library writes; ND2 and LIF, which nothing writes, with a stand-in for BioIO's reader."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from image_arrays import stack, whole
from image_files import write_czi

from monai_unet.io import image_files, open_source

pytest.importorskip("bioio", reason="needs the extra `formats`")
PIXELS = stack((2, 3, 20, 33), np.uint16)


def test_a_czi_has_channels_names_and_micrometres(tmp_path):
    source = open_source(write_czi(tmp_path / "a.czi", PIXELS, x=0.1e-6, y=0.2e-6, z=0.5e-6))
    assert np.array_equal(source.read(whole(source)), PIXELS)
    box = (slice(1, 3), slice(4, 15), slice(30, 33))
    assert np.array_equal(source.read(box), PIXELS[(slice(None), *box)])
    info = source.info
    assert (info.channels, info.channel_names, info.unit) == (2, ("DAPI", "GFP"), "micrometer")
    assert np.allclose(info.spacing, (0.5, 0.2, 0.1))


def test_a_czi_that_does_not_say_how_large_a_pixel_is_has_no_spacing(tmp_path):
    info = open_source(write_czi(tmp_path / "a.czi", PIXELS)).info
    assert (info.spacing, info.unit) == (None, None)


def test_a_czi_in_colour_has_red_green_and_blue(tmp_path):
    pixels = stack((1, 1, 20, 33, 3), np.uint8)
    source = open_source(write_czi(tmp_path / "a.czi", pixels))
    # Zeiss's library takes blue, green and red
    assert np.array_equal(source.read(whole(source))[::-1, 0], pixels[0, 0].transpose(2, 0, 1))


def test_of_several_images_the_path_names_one(tmp_path):
    write_czi(tmp_path / "a.czi", PIXELS, scenes=2)
    with pytest.raises(ValueError, match=r"a\.czi .*it holds 2 images, (.+), .+: name one, a\.czi/\1"):
        open_source(tmp_path / "a.czi")
    with pytest.raises(ValueError, match="holds 0 images called 'none'"):
        open_source(tmp_path / "a.czi" / "none")


def test_points_in_time_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"a\.czi .*2 points in time; save each in an image of its own"):
        open_source(write_czi(tmp_path / "a.czi", PIXELS, times=2))


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


@pytest.mark.parametrize("name", ["a.czi", "a.nd2", "a.lif"])
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
