"""Small files that describe more than they hold: refused at once, without the memory that they ask for."""

import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
import tifffile
from raw_tiff import DATA, page, write_tiff

from monai_unet.io import open_source, read_stack

try:
    import zarr
except ImportError:
    zarr = None

SIDE = 2**32 - 1
OME = (
    '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
    '<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="8" SizeY="8" SizeZ="{z}" SizeC="1" SizeT="1">'
    "{data}</Pixels></Image></OME>"
)
META = (
    "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\nCompressedData = {packed}\n"
    "DimSize = 3000 3000 3000\nElementType = MET_UCHAR\nElementDataFile = {where}\n"
)
NRRD = (
    "NRRD0004\ntype: unsigned char\ndimension: 3\nsizes: 3000 3000 3000\nencoding: {encoding}\nspace dimension: 3\n"
    "space directions: (1,0,0) (0,1,0) (0,0,1)\n{more}\n"
)


def tiles(height, width, side, count):
    tags = page(height, width)
    return {**{tag: tags[tag] for tag in (256, 257, 258, 259, 262, 277)}, 322: side, 323: side, 324: count, 325: count}


def described(text, path):
    tifffile.imwrite(path, np.zeros((8, 8), np.uint8), description=text, metadata=None)


def png(path, side, colour_type):
    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, colour_type, 0, 0, 0))
    table = chunk(b"PLTE", bytes(3)) if colour_type == 3 else b""
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + table + chunk(b"IDAT", zlib.compress(bytes(900))))


@pytest.mark.parametrize(
    ("name", "write", "found"),
    [
        ("a.tif", lambda path: write_tiff(path, page(SIDE, SIDE)), rf"an image of \(1, {SIDE}, {SIDE}\), .* bytes"),
        ("a.tif", lambda path: write_tiff(path, page(SIDE, SIDE, compression=8)), rf"\(1, {SIDE}, {SIDE}\)"),
        ("a.tif", lambda path: write_tiff(path, page(50_000, 50_000, compression=5)), r"\(1, 50000, 50000\)"),
        ("a.tif", lambda path: write_tiff(path, {**page(SIDE, SIDE), 278: 1}), rf"{SIDE}"),
        ("a.tif", lambda path: write_tiff(path, tiles(SIDE, SIDE, 16, DATA)), "made of 72057594037927936 tiles .* 1:"),
        ("a.tif", lambda path: write_tiff(path, tiles(9, 9, 2**31, DATA)), "tiles have 2147483648 x 2147483648 pixels"),
        ("a.tif", lambda path: write_tiff(path, tiles(SIDE, SIDE, 16, (10**9, DATA))), "damaged or cut off"),
        ("a.tif", lambda path: write_tiff(path, {**page(8, 8), 278: 0}), "strips have 0 x 8 pixels"),
        ("a.tif", lambda path: write_tiff(path, *[page(8, 8)] * 3, next_page=1), "circular reference"),
        ("a.tif", lambda path: described(OME.format(z=10**9, data="<TiffData/>"), path), "announces 1000000000 pages"),
        (
            "a.tif",
            lambda path: described(OME.format(z=1, data='<TiffData IFD="0" PlaneCount="1000000000"/>'), path),
            "announces 1000000000 pages",
        ),
        (
            "a.tif",
            lambda path: described('{"shape": [1000000000, 8, 8]}', path),
            "announces 1000000000 pages, and their number is 1",
        ),
        (
            "a.tif",
            lambda path: described("ImageJ=1.54\nimages=1000000000\nslices=1000000000\n", path),
            "announces 1000000000 sections",
        ),
        ("a.png", lambda path: png(path, 2**31 - 1, 0), "2147483647 x 2147483647 pixels"),
        ("a.png", lambda path: png(path, 2**31, 0), "2147483648 x 2147483648 pixels"),
        ("a.png", lambda path: png(path, 30_000, 3), "30000 x 30000 pixels"),
        (
            "a.mha",
            lambda path: path.write_text(META.format(packed="False", where="LOCAL")),
            r"\(3000, 3000, 3000\), 27000000000 bytes",
        ),
        (
            "a.mha",
            lambda path: path.write_text(META.format(packed="True", where="LOCAL")),
            r"\(3000, 3000, 3000\), 27000000000 bytes",
        ),
        (
            "a.nrrd",
            lambda path: path.write_text(NRRD.format(encoding="raw", more="")),
            r"\(3000, 3000, 3000\), 27000000000 bytes",
        ),
        (
            "a.nrrd",
            lambda path: path.write_text(NRRD.format(encoding="gzip", more="")),
            r"\(3000, 3000, 3000\), 27000000000 bytes",
        ),
    ],
)
def test_a_file_that_describes_more_than_it_holds_is_refused_when_it_is_opened(tmp_path, name, write, found):
    write(tmp_path / name)
    with pytest.raises(ValueError, match=rf"{name} cannot be read as an image: .*{found}"):
        open_source(tmp_path / name)


@pytest.mark.skipif(zarr is None, reason="zarr is not installed (extra `large`)")
@pytest.mark.parametrize("shape", [(2**31, 2**31, 2**31), (100_000, 100_000)])
def test_a_large_zarr_without_a_chunk_is_refused(tmp_path, shape):
    zarr.create_array(tmp_path / "a.zarr", shape=shape, chunks=(64,) * len(shape), dtype=np.uint8)
    with pytest.raises(ValueError, match=rf"an image of .*{shape[-2]}, {shape[-1]}\), .* bytes are there"):
        open_source(tmp_path / "a.zarr")


def test_a_blank_image_that_packs_well_is_read(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((12_000, 12_000), np.uint8), compression="zlib")
    tifffile.imwrite(tmp_path / "b.tif", np.zeros((20, 30), np.uint8), tile=(256, 256))
    assert open_source(tmp_path / "a.tif").info.shape == (1, 12_000, 12_000)
    assert open_source(tmp_path / "b.tif").info.shape == (1, 20, 30)


def test_a_stack_larger_than_the_memory_is_not_read_as_a_whole(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((2, 40, 50), np.uint8))
    monkeypatch.setattr("monai_unet.io.stack._memory", lambda: 3999)
    with pytest.raises(
        ValueError, match=r"a.tif has the shape \(2, 40, 50\) and takes .*`monai-unet predict` reads it tile by"
    ):
        read_stack(tmp_path / "a.tif")


def test_sections_in_other_files_are_refused_without_opening_them(tmp_path):
    data = '<TiffData IFD="0"><UUID FileName="{name}">urn:uuid:{name}</UUID></TiffData>'
    described(OME.format(z=1, data=data.format(name="b.tif")), tmp_path / "a.tif")
    with pytest.raises(ValueError, match=r"lie in several files \(b.tif\)"):
        open_source(tmp_path / "a.tif")
    described(OME.format(z=1, data=data.format(name="a.tif")), tmp_path / "a.tif")
    assert open_source(tmp_path / "a.tif").info.shape == (1, 8, 8)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes among its files")
def test_named_pipes_sockets_and_devices_are_refused_at_once(tmp_path):
    code = """
import os, socket, sys
from monai_unet.data import check_isbi2012
from monai_unet.io import count_sections, open_source, read_stack
for name in sys.argv[1:]:
    os.mkfifo(f"pipe{name}")
    os.symlink("/dev/zero", f"device{name}")
    socket.socket(socket.AF_UNIX).bind(f"socket{name}")
    for kind in ("pipe", "device", "socket"):
        for read in (open_source, read_stack, count_sections):
            try:
                read(kind + name)
            except ValueError as error:
                assert f"{kind}{name} is not an ordinary file but a" in str(error), error
            else:
                raise AssertionError(kind + name)
os.mkfifo("pixels.raw")
"""
    suffixes = [".tif", ".nii", ".nii.gz", ".png", ".mha", ".mhd", ".nrrd"]
    subprocess.run([sys.executable, "-c", code, *suffixes], cwd=tmp_path, check=True, timeout=120)
    (tmp_path / "a.mhd").write_text(META.format(packed="False", where="pixels.raw").replace("3000", "3"))
    (tmp_path / "b.mha").write_text(META.format(packed="False", where="LIST\npixels.raw").replace("3000", "3"))
    (tmp_path / "c.mha").write_text(META.format(packed="False", where="/dev/zero").replace("3000", "3"))
    (tmp_path / "d.nrrd").write_text(NRRD.format(encoding="raw", more="data file: pixels.raw\n").replace("3000", "3"))
    for name in ("a.mhd", "b.mha", "c.mha", "d.nrrd"):
        with pytest.raises(ValueError, match=rf"{name} .*its pixels are to be in .*, which is not an ordinary file"):
            open_source(tmp_path / name)
