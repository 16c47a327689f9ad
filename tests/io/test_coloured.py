import numpy as np
import pytest
import tifffile
from PIL import Image

from monai_unet.io import count_colours, read_numbers

COLOURS = {"background": (0, 0, 0), "tumour": (255, 0, 0), "ignore": (255, 255, 255)}
TABLE = np.array([[0, 0, 0], [255, 0, 0], [255, 255, 255]], np.uint8)
NUMBERS = np.array([[[0, 1, -1], [1, 1, 0]], [[0, 0, 0], [-1, 0, 1]]])
PICTURE = TABLE[NUMBERS]


@pytest.fixture
def label(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", PICTURE, photometric="rgb")
    return tmp_path / "a.tif"


def test_colours_become_the_numbers_of_their_classes(label):
    assert read_numbers(label, COLOURS).tolist() == NUMBERS.tolist()


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_png_gives_the_same_with_and_without_an_opacity(tmp_path, mode):
    Image.fromarray(PICTURE[0]).convert(mode).save(tmp_path / "a.png")
    assert read_numbers(tmp_path / "a.png", COLOURS).tolist() == NUMBERS[:1].tolist()


def test_sixteen_bits_a_colour_are_compared_as_they_are(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", PICTURE.astype(np.uint16) * 257, photometric="rgb")
    colours = {name: [257 * value for value in colour] for name, colour in COLOURS.items()}
    assert read_numbers(tmp_path / "a.tif", colours).tolist() == NUMBERS.tolist()


def test_other_colours_are_named_with_their_pixels_and_what_would_work(label):
    with pytest.raises(ValueError, match=r"holds 255,0,0 \(4 pixels\)") as error:
        read_numbers(label, {"background": (0, 0, 0), "ink": (255, 255, 255)})
    assert str(error.value).startswith(f"{label} holds 255,0,0 (4 pixels), not named in colours (background=0,0,0 ink=")
    assert '--colours "background=0,0,0 ink=255,255,255 NAME=255,0,0"' in str(error.value)


def test_soft_edges_are_named_as_such(tmp_path):
    picture = np.random.default_rng(0).integers(0, 255, (9, 9, 3), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", picture, photometric="rgb")
    with pytest.raises(ValueError, match=r"73 more colours, not named .* so many are left by soft edges or by JPEG"):
        read_numbers(tmp_path / "a.tif", COLOURS)


def test_numbers_stay_numbers_whatever_the_colours(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.array([[0, 2]], np.uint8))
    assert read_numbers(tmp_path / "a.tif", COLOURS).tolist() == [[[0, 2]]]


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_palette_png_is_read_by_its_indices(tmp_path, bits):
    numbers = np.arange(8, dtype=np.uint8).reshape(2, 4) % min(2**bits, 5)
    picture = Image.fromarray(numbers, "P")
    picture.putpalette((list(range(9, 69)))[: 3 * min(2**bits, 20)])
    picture.save(tmp_path / "a.png", bits=bits)
    assert (tmp_path / "a.png").read_bytes()[24:26] == bytes([bits, 3])
    assert read_numbers(tmp_path / "a.png", COLOURS)[0].tolist() == numbers.tolist()


def test_a_tiff_with_a_lut_is_read_by_its_numbers(tmp_path):
    numbers = np.arange(6, dtype=np.uint8).reshape(2, 3)
    lut = np.random.default_rng(1).integers(0, 65535, (3, 256), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", numbers, photometric="palette", colormap=lut)
    assert read_numbers(tmp_path / "a.tif", COLOURS)[0].tolist() == numbers.tolist()


def test_colours_are_counted(label):
    assert dict(count_colours(label)) == {(0, 0, 0): 6, (255, 0, 0): 4, (255, 255, 255): 2}
