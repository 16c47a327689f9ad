"""Numbers with a colour table (a palette, a LUT): read as they are for labels, refused as an image's grey values."""

import numpy as np
import pytest
import tifffile
from image_arrays import stack, whole
from PIL import Image
from raw_tiff import page, write_tiff

from monai_unet.io import open_image, open_source, read_image, read_stack

COLOURS = np.random.default_rng(5).integers(0, 255, (256, 3), np.uint8)
RAMP = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
REFUSED = r"a\.\w+ is stored with a colour table, and its numbers are not grey values; convert it to grey"


def png(path, numbers, table, bits=8, **options):
    picture = Image.fromarray(numbers).convert("L")
    picture.putpalette(table[: 2**bits].ravel().tolist())  # makes the mode P, and leaves the numbers
    picture.save(path, bits=bits, **options)


def tiff(path, numbers, table, **options):
    table = (table.astype(np.uint16) * 257).T
    tifffile.imwrite(path, numbers, photometric="palette", colormap=table, **options)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_png_is_read_by_its_numbers(tmp_path, bits):
    numbers = stack((20, 33), np.uint8) >> (8 - bits)
    png(tmp_path / "a.png", numbers, COLOURS, bits)
    assert np.array_equal(read_stack(tmp_path / "a.png"), numbers[None])


def test_a_png_with_a_transparent_colour_is_read_by_its_numbers(tmp_path):
    numbers = stack((20, 33), np.uint8)
    png(tmp_path / "a.png", numbers, COLOURS, transparency=0)
    assert np.array_equal(read_stack(tmp_path / "a.png"), numbers[None])


@pytest.mark.parametrize(
    "options", [{}, {"compression": "lzw"}, {"tile": (16, 16)}, {"compression": "zlib", "tile": (16, 16)}]
)
def test_a_tiff_is_read_by_its_numbers_and_by_box(tmp_path, options):
    numbers = stack((3, 20, 33), np.uint8)
    tiff(tmp_path / "a.tif", numbers, COLOURS, **options)
    assert np.array_equal(read_stack(tmp_path / "a.tif"), numbers)
    box = (slice(1, 3), slice(4, 19), slice(7, 30))
    assert np.array_equal(open_source(tmp_path / "a.tif").read(box), numbers[None, 1:3, 4:19, 7:30])


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_packed_numbers_of_a_tiff_are_unpacked(tmp_path, bits):
    numbers = stack((20, 33), np.uint8) >> (8 - bits)
    packed = np.packbits(np.unpackbits(numbers[..., None], axis=-1)[..., -bits:].reshape(20, -1), axis=-1)
    table = {320: np.arange(3 * 2**bits)}
    write_tiff(
        tmp_path / "a.tif", {**page(20, 33, bits=bits, photometric=3, num_bytes=packed.size), **table}, packed.tobytes()
    )
    source = open_source(tmp_path / "a.tif")
    assert source.info.colour_table
    assert np.array_equal(source.read(whole(source))[0, 0], numbers)


def test_16_bits_of_numbers_stay_16_bits(tmp_path):
    numbers, table = stack((20, 33), np.uint16), np.random.default_rng(1).integers(0, 65535, (3, 65536), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", numbers, photometric="palette", colormap=table)
    assert np.array_equal(read_stack(tmp_path / "a.tif"), numbers[None])


@pytest.mark.parametrize(("name", "write"), [("a.png", png), ("a.tif", tiff)])
@pytest.mark.parametrize(
    "table", [COLOURS, RAMP[::-1], RAMP // 2 + 100], ids=["colours", "white to black", "another grey"]
)
def test_an_image_whose_numbers_are_not_its_grey_values_is_refused(tmp_path, name, write, table):
    write(tmp_path / name, stack((20, 33), np.uint8), table)
    assert open_source(tmp_path / name).info.colour_table
    for read in (read_image, open_image):
        with pytest.raises(ValueError, match=REFUSED):
            read(tmp_path / name)


@pytest.mark.parametrize(("name", "write"), [("a.png", png), ("a.tif", tiff)])
def test_a_table_that_is_a_plain_grey_ramp_changes_nothing(tmp_path, name, write):
    numbers = stack((20, 33), np.uint8)
    write(tmp_path / name, numbers, RAMP)
    assert np.array_equal(read_image(tmp_path / name), numbers[None, None])


@pytest.mark.parametrize("white", [65535, 65280, 255])
def test_white_may_be_written_in_three_ways(tmp_path, white):
    table = np.repeat(np.arange(256)[None] * white // 255, 3, axis=0).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", stack((20, 33), np.uint8), photometric="palette", colormap=table)
    assert not open_source(tmp_path / "a.tif").info.colour_table


def test_one_section_with_a_colour_table_is_enough(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(stack((20, 33), np.uint8), photometric="minisblack")
        file.write(stack((20, 33), np.uint8), photometric="palette", colormap=(COLOURS.astype(np.uint16) * 257).T)
    with pytest.raises(ValueError, match=REFUSED):
        read_image(tmp_path / "a.tif")
