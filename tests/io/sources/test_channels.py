"""The same channels out of every kind of file, bit for bit, and what is said where they are not told."""

import pickle

import imagecodecs
import numpy as np
import pytest
import tifffile

from monai_unet.io import open_image, open_source, read_image
from monai_unet.io.sources import common_part, parse_channels
from monai_unet.io.stack import first_channels, image_files

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 65536, (3, 21, 34), np.uint16)
STACK = RNG.integers(0, 256, (2, 5, 21, 34), np.uint8)
NAMES = ("red", "green", "blue")


def png(path):
    path.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(COLOUR.transpose(1, 2, 0))))


def with_alpha(path):
    alpha = RNG.integers(0, 65536, (21, 34, 1), np.uint16)
    pixels = np.concatenate([COLOUR.transpose(1, 2, 0), alpha], axis=-1)
    if path.suffix == ".png":
        path.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(pixels)))
    else:
        tifffile.imwrite(path, pixels, photometric="rgb", extrasamples=["unassalpha"], tile=(16, 16))


def interleaved(path):
    tifffile.imwrite(path, COLOUR.transpose(1, 2, 0), photometric="rgb", compression="zlib")


def planar(path):
    tifffile.imwrite(path, COLOUR, photometric="rgb", planarconfig="separate")


def ome(path):
    metadata = {"axes": "CYX", "Channel": {"Name": list(NAMES)}}
    tifffile.imwrite(path, COLOUR, photometric="minisblack", ome=True, metadata=metadata)


def imagej(path):
    tifffile.imwrite(path, COLOUR, imagej=True, metadata={"axes": "CYX"})


def described(path):
    tifffile.imwrite(path, COLOUR, photometric="minisblack", metadata={"axes": "CYX"})


def ome_zarr(path):
    zarr = pytest.importorskip("zarr")
    axes = [{"name": "c", "type": "channel"}, *({"name": axis, "type": "space"} for axis in "yx")]
    multiscales = [{"version": "0.4", "axes": axes, "datasets": [{"path": "0"}]}]
    omero = {"channels": [{"label": name} for name in NAMES]}
    group = zarr.create_group(path, zarr_format=2, attributes={"multiscales": multiscales, "omero": omero})
    group.create_array("0", data=COLOUR, chunks=(1, 16, 16))


KINDS = [
    ("a.png", png),
    ("a.png", with_alpha),
    ("a.tif", with_alpha),
    ("a.tif", interleaved),
    ("a.tif", planar),
    ("a.ome.tif", ome),
    ("a.tif", imagej),
    ("a.tif", described),
    ("a.zarr", ome_zarr),
]


@pytest.mark.parametrize(("name", "write"), KINDS)
def test_the_same_colours_are_the_same_in_every_kind_of_file(tmp_path, name, write):
    write(tmp_path / name)
    assert np.array_equal(read_image(tmp_path / name, NAMES), COLOUR[:, None])


@pytest.mark.parametrize(("name", "write"), KINDS)
def test_a_box_of_one_channel_is_that_part_of_it(tmp_path, name, write):
    write(tmp_path / name)
    source = pickle.loads(pickle.dumps(open_image(tmp_path / name, ["green=1"])))
    block = source.read((slice(0, 1), slice(3, 19), slice(15, 33)))
    assert np.array_equal(block, COLOUR[1:2, None, 3:19, 15:33])


@pytest.mark.parametrize(("name", "write"), [kind for kind in KINDS if kind[1] not in (imagej, described)])
def test_channels_are_chosen_by_the_names_in_the_file(tmp_path, name, write):
    write(tmp_path / name)
    assert np.array_equal(read_image(tmp_path / name, "blue,first=red"), COLOUR[[2, 0], None])


@pytest.mark.parametrize("axes", ["ZCYX", "CZYX"])
def test_channels_of_a_stack(tmp_path, axes):
    pixels = STACK.swapaxes(0, 1) if axes == "ZCYX" else STACK
    tifffile.imwrite(tmp_path / "a.ome.tif", pixels, photometric="minisblack", metadata={"axes": axes})
    assert np.array_equal(read_image(tmp_path / "a.ome.tif", ["a", "b"]), STACK)


def test_a_file_for_each_channel(tmp_path):
    for index, plane in enumerate(COLOUR):
        tifffile.imwrite(tmp_path / f"a_w{index}.tif", plane)
    channels = "red=*_w0.tif,green=*_w1.tif,blue=*_w2.tif"
    for file in ("a_w0.tif", "a_w2.tif"):
        assert np.array_equal(read_image(tmp_path / file, channels), COLOUR[:, None])
    assert image_files(tmp_path, channels=channels) == [str(tmp_path / "a_w0.tif")]
    assert len(open_image(tmp_path / "a_w1.tif", channels).files) == 3


def test_files_of_different_size_are_no_channels_of_one_image(tmp_path):
    tifffile.imwrite(tmp_path / "a_w0.tif", COLOUR[0])
    tifffile.imwrite(tmp_path / "a_w1.tif", COLOUR[0, 1:])
    with pytest.raises(ValueError, match=r"a_w1.tif has the shape \(1, 20, 34\) .*a_w0.tif, another channel"):
        open_image(tmp_path / "a_w0.tif", "a=*_w0.tif,b=*_w1.tif")


def test_a_missing_channel_is_named(tmp_path):
    tifffile.imwrite(tmp_path / "a_w0.tif", COLOUR[0])
    with pytest.raises(FileNotFoundError, match=r"a_w1.tif does not exist"):
        open_image(tmp_path / "a_w0.tif", "a=*_w0.tif,b=*_w1.tif")


def test_a_file_that_fits_no_pattern_is_left_over():
    files = ["a_w1.tif", "a_w2.tif", "a_w3.tif"]
    assert first_channels(files, "a=*_w1.tif,b=*_w2.tif") == (["a_w1.tif"], ["a_w3.tif"])


def test_what_stands_for_the_star():
    assert common_part("x/a_w1.tif", "*_w1.tif") == "a"
    assert common_part("x/_w1.tif", "*_w1.tif") is None


def test_transparency_is_said_to_be_dropped(tmp_path, caplog):
    with_alpha(tmp_path / "a.png")
    open_source(tmp_path / "a.png")
    assert "transparency" in caplog.text


@pytest.mark.parametrize("pages", ["sections", "channels"])
def test_plain_pages_are_what_one_says(tmp_path, pages):
    tifffile.imwrite(tmp_path / "a.tif", COLOUR, photometric="minisblack", metadata=None)
    read = read_image(tmp_path / "a.tif", None, pages)
    assert np.array_equal(read, COLOUR[None] if pages == "sections" else COLOUR[:, None])


def test_no_plane_is_taken_for_transparency_where_it_may_be_a_section(tmp_path):
    pixels = np.concatenate([COLOUR, COLOUR[:1]])
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", planarconfig="separate")
    assert np.array_equal(read_image(tmp_path / "a.tif", pages="sections"), pixels[None])


def test_plain_pages_for_a_network_of_as_many_channels_are_asked_about(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", COLOUR, photometric="minisblack", metadata=None)
    with pytest.raises(ValueError, match="if they are, give --pages channels; if they are sections"):
        open_image(tmp_path / "a.tif", NAMES)


def test_sections_that_say_so_are_no_channels(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", COLOUR, imagej=True, metadata={"axes": "ZYX"})
    with pytest.raises(ValueError, match="expected 3 channels") as error:
        open_image(tmp_path / "a.tif", NAMES)
    assert "--pages" not in str(error.value)


@pytest.mark.parametrize("channels", ["red", "red,green", "red=7", "red=mauve", "a,b,c,d"])
def test_other_channels_than_there_are_end_in_an_error_that_names_the_file(tmp_path, channels):
    tifffile.imwrite(tmp_path / "a.tif", COLOUR[:2], imagej=True, metadata={"axes": "CYX"})
    if channels == "red,green":  # as many, in order
        assert np.array_equal(read_image(tmp_path / "a.tif", channels), COLOUR[:2, None])
        return
    with pytest.raises(ValueError, match=r"a.tif has 2 channels"):
        open_image(tmp_path / "a.tif", channels)


@pytest.mark.parametrize("channels", ["", "a,,b", "a,a", "a=", "a=*_1.tif,b", "a=**.tif"])
def test_channels_that_mean_nothing_are_refused(channels):
    with pytest.raises(ValueError, match="expected"):
        parse_channels(channels)
