"""What is CZI's own, with files that Zeiss's library wrote; what every reader promises is in test_base.py."""

import sys

import numpy as np
import pytest
from image_arrays import stack, whole
from image_files import write_czi

from monai_unet.io import open_source

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


def test_of_several_scenes_the_path_names_one(tmp_path):
    write_czi(tmp_path / "a.czi", PIXELS, scenes=2)
    with pytest.raises(ValueError, match=r"a\.czi .*it holds 2 scenes, 0, 1: name one, a\.czi/0"):
        open_source(tmp_path / "a.czi")
    with pytest.raises(ValueError, match="holds no scene called 'none'; it holds 0, 1"):
        open_source(tmp_path / "a.czi" / "none")
    source = open_source(tmp_path / "a.czi" / "1")
    assert np.array_equal(source.read(whole(source)), PIXELS[..., ::-1, ::-1])
    box = (slice(1, 3), slice(4, 15), slice(30, 33))
    assert np.array_equal(source.read(box), PIXELS[..., ::-1, ::-1][(slice(None), *box)])


def test_points_in_time_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"a\.czi .*2 points in time; save each in an image of its own"):
        open_source(write_czi(tmp_path / "a.czi", PIXELS, times=2))


def test_a_file_of_another_kind_is_refused_by_name(tmp_path):
    pytest.importorskip("pylibCZIrw")
    (tmp_path / "a.czi").write_bytes(b"no picture" * 99)
    with pytest.raises(ValueError, match=r"a\.czi cannot be read as an image"):
        open_source(tmp_path / "a.czi")


def test_the_missing_package_is_named_with_the_file(tmp_path, monkeypatch):
    (tmp_path / "a.czi").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "pylibCZIrw", None)
    with pytest.raises(ImportError, match=r"a\.czi: CZI needs the package pylibCZIrw: .*\[formats\]"):
        open_source(tmp_path / "a.czi")
