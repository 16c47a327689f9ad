"""What is JPEG's and BMP's own; what every reader promises is in test_base.py."""

import struct

import numpy as np
import pytest
from image_arrays import stack, whole
from PIL import Image

from monai_unet.io import open_image, open_source

GREY, COLOUR = stack((40, 53), np.uint8), stack((40, 53, 3), np.uint8)


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG"])
@pytest.mark.parametrize("pixels", [GREY, COLOUR])
def test_a_jpeg_holds_what_pillow_decodes(tmp_path, name, pixels):
    Image.fromarray(pixels).save(tmp_path / name, quality=60)
    source = open_source(tmp_path / name)
    decoded = np.asarray(Image.open(tmp_path / name)).reshape(40, 53, -1).transpose(2, 0, 1)[:, None]
    assert np.array_equal(source.read(whole(source)), decoded)
    box = (slice(0, 1), slice(3, 20), slice(50, 53))
    assert np.array_equal(source.read(box), decoded[(slice(None), *box)])


def test_a_bmp_in_colour_has_three_channels(tmp_path):
    Image.fromarray(COLOUR).save(tmp_path / "a.bmp")
    source = open_source(tmp_path / "a.bmp")
    assert np.array_equal(source.read(whole(source))[:, 0], COLOUR.transpose(2, 0, 1))


def test_a_bmp_of_two_values_holds_0_and_1(tmp_path):
    Image.fromarray(GREY > 99).save(tmp_path / "a.bmp")
    source = open_image(tmp_path / "a.bmp")
    assert np.array_equal(source.read(whole(source))[0, 0], (GREY > 99).astype(np.uint8) * source.info.dtype.type(1))


def test_the_numbers_of_a_colour_table_are_no_grey_values(tmp_path):
    picture = Image.fromarray(GREY % 4, mode="P")
    picture.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
    picture.save(tmp_path / "a.bmp")
    with pytest.raises(ValueError, match=r"a\.bmp is stored with a colour table"):
        open_image(tmp_path / "a.bmp")


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_picture_that_viewers_turn_is_read_as_it_is_stored_and_named(tmp_path, caplog, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(GREY).save(tmp_path / "a.jpg", exif=exif)
    for _ in range(2):
        assert open_source(tmp_path / "a.jpg").info.shape == (1, 40, 53)
    (record,) = caplog.records
    assert f"a.jpg asks viewers to turn or mirror it (EXIF orientation {orientation})" in record.getMessage()


def test_the_colours_of_printing_are_refused(tmp_path):
    Image.fromarray(stack((40, 53, 4), np.uint8), mode="CMYK").save(tmp_path / "a.jpg")
    with pytest.raises(ValueError, match=r"a\.jpg .*stored as CMYK; save it as grey or RGB"):
        open_source(tmp_path / "a.jpg")


@pytest.mark.parametrize(("name", "ending"), [("a.jpg", "b.bmp"), ("a.bmp", "b.jpg")])
def test_a_picture_of_another_kind_than_its_ending_is_refused(tmp_path, name, ending):
    Image.fromarray(GREY).save(tmp_path / name)
    (tmp_path / name).rename(tmp_path / ending)
    with pytest.raises(ValueError, match=rf"{ending} cannot be read"):
        open_source(tmp_path / ending)


def test_a_small_picture_that_describes_a_large_one_is_refused(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.jpg")
    content = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(content.replace(struct.pack(">HH", 40, 53), struct.pack(">HH", 60000, 60000), 1))
    Image.fromarray(GREY).save(tmp_path / "a.bmp")
    content = (tmp_path / "a.bmp").read_bytes()
    (tmp_path / "a.bmp").write_bytes(content.replace(struct.pack("<ii", 53, 40), struct.pack("<ii", 60000, 60000), 1))
    for name in ("a.jpg", "a.bmp"):
        with pytest.raises(ValueError, match=rf"{name} .* describes 60000 x 60000 pixels, .* cannot be unpacked"):
            open_source(tmp_path / name)


def test_a_cut_jpeg_is_refused(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:-400])
    with pytest.raises(ValueError, match=r"a\.jpg cannot be read as an image: .*truncated"):
        open_source(tmp_path / "a.jpg")
