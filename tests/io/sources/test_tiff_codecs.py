"""Compressed TIFF, box by box, against tifffile's own reading of the same file."""

import pickle

import imagecodecs
import numpy as np
import pytest
import tifffile
from image_arrays import stack, whole
from PIL import Image

from monai_unet.io import open_source

# (compression, its arguments, types); what this machine's imagecodecs cannot write is skipped
CODECS = [
    ("lzw", None, ("uint8", "uint16", "float32")),
    ("zlib", None, ("uint8", "uint16", "float32")),
    ("deflate", None, ("uint8",)),
    ("packbits", None, ("uint8", "uint16")),
    ("lzma", None, ("uint8", "uint16")),
    ("zstd", None, ("uint8", "uint16", "float32")),
    ("lerc", None, ("uint8", "uint16", "float32")),
    ("lerc", {"compression": "zstd"}, ("uint16",)),
    ("jpeg", {"level": 90}, ("uint8",)),
    ("jpeg2000", None, ("uint8", "uint16")),
    ("jpeg2000", {"level": 40}, ("uint8",)),
    ("jpegxl", None, ("uint8", "uint16")),
    ("jpegxr", None, ("uint8", "uint16")),
    ("png", None, ("uint8", "uint16")),
    ("webp", {"lossless": True}, ("uint8",)),
]
ROOM = (slice(1, 2), slice(13, 60), slice(30, 81))


def write(path, pixels, compression, args, **options):
    try:
        tifffile.imwrite(path, pixels, compression=compression, compressionargs=args, **options)
    except Exception as error:  # of the codec that is not built in, or does not take this type
        pytest.skip(f"{compression} of {pixels.dtype} cannot be written here: {error}")


def same_as_tifffile(path, channels=1):
    """The whole and a box, in a process that opened the file and in one that was sent the source."""
    pixels = tifffile.imread(path)
    expected = np.moveaxis(pixels, -1, 0) if channels > 1 else pixels[None]
    source = pickle.loads(pickle.dumps(open_source(path)))
    assert source.info.channels == channels
    return np.array_equal(source.read(whole(source)), expected) and np.array_equal(
        source.read(ROOM), expected[(slice(None), *ROOM)]
    )


@pytest.mark.parametrize("layout", [{"tile": (32, 48)}, {"rowsperstrip": 16}], ids=["tiles", "strips"])
@pytest.mark.parametrize(
    ("compression", "args", "dtype"),
    [(name, args, dtype) for name, args, dtypes in CODECS if name != "webp" for dtype in dtypes],  # webp: colours only
)
def test_a_compressed_stack_is_what_tifffile_reads(tmp_path, compression, args, dtype, layout):
    write(tmp_path / "a.tif", smooth(2, dtype), compression, args, photometric="minisblack", **layout)
    assert same_as_tifffile(tmp_path / "a.tif")


@pytest.mark.parametrize("layout", [{"tile": (32, 48)}, {"rowsperstrip": 16}], ids=["tiles", "strips"])
@pytest.mark.parametrize(("compression", "args"), [codec[:2] for codec in CODECS if codec[0] != "lerc"])
def test_compressed_colours_are_what_tifffile_reads(tmp_path, compression, args, layout):
    pixels = np.stack([smooth(2, "uint8"), smooth(2, "uint8")[:, ::-1], smooth(2, "uint8")[:, :, ::-1]], axis=-1)
    write(tmp_path / "a.tif", pixels, compression, args, photometric="rgb", **layout)
    assert same_as_tifffile(tmp_path / "a.tif", channels=3)


@pytest.mark.parametrize("mode", ["L", "RGB", "YCbCr"])
def test_a_jpeg_of_libtiff_with_tables_is_what_tifffile_reads(tmp_path, mode):
    pixels = np.stack([smooth(1, "uint8")[0]] * 2 + [smooth(1, "uint8")[0, ::-1]], axis=-1)
    Image.fromarray(pixels).convert(mode).save(tmp_path / "a.tif", compression="jpeg", tiffinfo={278: 16})
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.pages[0].jpegtables
        assert mode != "YCbCr" or file.pages[0].photometric == 6
    expected = tifffile.imread(tmp_path / "a.tif").reshape(70, 93, -1).transpose(2, 0, 1)
    source = open_source(tmp_path / "a.tif")
    assert np.array_equal(source.read(whole(source))[:, 0], expected)
    assert np.array_equal(source.read((slice(0, 1), *ROOM[1:]))[:, 0], expected[:, 13:60, 30:81])


@pytest.mark.parametrize("photometric", ["minisblack", "ycbcr"])
def test_tiles_that_share_their_jpeg_tables_are_what_tifffile_reads(tmp_path, photometric):
    colours = photometric == "ycbcr"
    pixels = np.stack([smooth(1, "uint8")[0], *smooth(2, "uint8")[:, ::-1]], axis=-1) if colours else smooth(1, "uint8")
    pixels = np.pad(pixels.squeeze(), [(0, 26), (0, 3), (0, 0)][: pixels.squeeze().ndim], mode="edge")  # 96 x 96
    options = {"colorspace": "rgb", "outcolorspace": "ycbcr", "subsampling": "420"} if colours else {}
    tiles = [
        imagecodecs.jpeg8_encode(pixels[y : y + 32, x : x + 48].copy(), **options)
        for y in range(0, 96, 32)
        for x in range(0, 96, 48)
    ]
    tables, bodies = zip(*map(split_tables, tiles), strict=True)
    assert len(set(tables)) == 1
    tifffile.imwrite(
        tmp_path / "a.tif",
        iter(bodies),
        shape=pixels.shape,
        dtype="uint8",
        tile=(32, 48),
        compression="jpeg",
        photometric=photometric,
        subsampling=(2, 2) if colours else None,
        extratags=[(347, 7, len(tables[0]), tables[0], True)],
    )
    assert np.ptp(tifffile.imread(tmp_path / "a.tif").astype(int)) > 100
    expected = tifffile.imread(tmp_path / "a.tif").reshape(96, 96, -1).transpose(2, 0, 1)
    source = open_source(tmp_path / "a.tif")
    assert np.array_equal(source.read(whole(source))[:, 0], expected)
    assert np.array_equal(source.read((slice(0, 1), *ROOM[1:]))[:, 0], expected[:, 13:60, 30:81])


def split_tables(jpeg):
    """The tables of a JPEG as a TIFF's JPEGTables has them, and the JPEG without them."""
    tables, rest, at = b"", b"", 2
    while jpeg[at + 1] != 0xDA:  # start of scan
        length = 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if jpeg[at + 1] in (0xDB, 0xC4):
            tables += jpeg[at : at + length]
        else:
            rest += jpeg[at : at + length]
        at += length
    return jpeg[:2] + tables + b"\xff\xd9", jpeg[:2] + rest + jpeg[at:]


@pytest.mark.parametrize(
    ("photometric", "name"), [("ycbcr", "YCBCR"), ("cielab", "CIELAB"), ("separated", "SEPARATED")]
)
def test_colours_that_are_neither_rgb_nor_decoded_to_it_are_refused(tmp_path, photometric, name):
    shape = (20, 33, 4 if photometric == "separated" else 3)
    tifffile.imwrite(tmp_path / "a.tif", stack(shape, np.uint8), photometric="rgb", planarconfig="contig")
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as file:
        file.pages[0].tags["PhotometricInterpretation"].overwrite(getattr(tifffile.PHOTOMETRIC, photometric.upper()))
    with pytest.raises(ValueError, match=f"its colours are stored as {name}; expected grey or RGB"):
        open_source(tmp_path / "a.tif")


def smooth(depth, dtype):
    """A picture with some noise, as lossy codecs want it; (depth, 70, 93)."""
    z, y, x = np.mgrid[:depth, :70, :93]
    waves = 100 + 60 * np.sin(x / 9 + z) + 40 * np.cos(y / 13)
    return (waves + stack((depth, 70, 93), np.uint8) / 32).astype(dtype)
