"""What is TIFF's own; what every reader promises is in test_source.py."""

import numpy as np
import pytest
import tifffile
from image_arrays import RGB, stack, whole

from monai_unet.io import open_source
from monai_unet.io.sources import tiff as tiff_source


@pytest.mark.parametrize(
    ("options", "segments"), [({"tile": (32, 32)}, 4), ({"compression": "zlib", "rowsperstrip": 10}, 2)]
)
def test_only_the_tiles_and_strips_under_the_box_are_decoded(tmp_path, monkeypatch, options, segments):
    tifffile.imwrite(tmp_path / "a.tif", stack((3, 320, 320), np.uint8), photometric="minisblack", **options)
    decoded = []
    decode = tiff_source._decode
    monkeypatch.setattr(
        tiff_source, "_decode", lambda file, page, index: decoded.append(index) or decode(file, page, index)
    )
    open_source(tmp_path / "a.tif").read((slice(1, 2), slice(95, 102), slice(60, 70)))
    assert len(decoded) == segments


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("options", [{}, {"tile": (16, 16)}, {"compression": "lzw", "rowsperstrip": 7}])
def test_the_channels_of_an_rgb_tiff_come_first(tmp_path, planar, options):
    pixels = RGB if planar == "contig" else RGB.transpose(0, 3, 1, 2)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", planarconfig=planar, **options)
    source = open_source(tmp_path / "a.tif")
    assert (source.info.shape, source.info.channels) == ((2, 20, 33), 3)
    box = (slice(1, 2), slice(3, 19), slice(15, 33))
    assert np.array_equal(source.read(box), RGB.transpose(3, 0, 1, 2)[:, 1:2, 3:19, 15:33])


@pytest.mark.parametrize("options", [{"ome": True}, {"imagej": True}])
@pytest.mark.parametrize("axes", ["ZCYX", "CYX", "TYX"])
def test_the_axes_of_ome_and_imagej_are_followed(tmp_path, options, axes):
    shape = {"Z": 3, "C": 2, "T": 4, "Y": 20, "X": 33}
    pixels = stack([shape[axis] for axis in axes], np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", pixels, metadata={"axes": axes}, photometric="minisblack", **options)
    source = open_source(tmp_path / "a.tif")
    expected = {"ZCYX": lambda: pixels.swapaxes(0, 1), "CYX": lambda: pixels[:, None], "TYX": lambda: pixels[None]}[
        axes
    ]()
    assert np.array_equal(source.read(whole(source)), expected)


def test_time_and_sections_at_once_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", stack((2, 3, 9, 9), np.uint8), imagej=True, metadata={"axes": "TZYX"})
    with pytest.raises(ValueError, match=r"a.tif .* axes TZYX .*expected one axis of sections"):
        open_source(tmp_path / "a.tif")


@pytest.mark.parametrize("options", [{}, {"byteorder": ">"}])
def test_a_stack_that_its_first_page_describes_is_read_to_the_end(tmp_path, options):
    array = stack((4, 20, 33), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="minisblack", truncate=True, **options)
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert len(tiff.pages) == 1
    source = open_source(tmp_path / "a.tif")
    assert np.array_equal(source.read(whole(source)), array[None])
    assert np.array_equal(source.read((slice(2, 4), slice(3, 9), slice(1, 5))), array[None, 2:4, 3:9, 1:5])
    whole_file = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(whole_file[: len(whole_file) // 2])
    with pytest.raises(ValueError, match="damaged or cut off"):
        open_source(tmp_path / "a.tif")


def test_previews_and_pyramids_in_a_tiff_are_left_out(tmp_path):
    array = stack((64, 64), np.uint8)
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(array, metadata=None)
        tiff.write(array[::2, ::2], subfiletype=1, metadata=None)
    source = open_source(tmp_path / "a.tif")
    assert np.array_equal(source.read(whole(source)), array[None, None])


def test_a_black_and_white_tiff_is_read_as_0_and_1(tmp_path):
    array = stack((20, 33), np.uint8) > 100
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="minisblack")
    source = open_source(tmp_path / "a.tif")
    block = source.read(whole(source))
    assert block.dtype == source.info.dtype == np.uint8
    assert np.array_equal(block[0, 0], array)


def test_the_spacing_of_ome_comes_in_the_unit_of_x(tmp_path):
    metadata = {
        "axes": "ZYX",
        "PhysicalSizeX": 4.0,
        "PhysicalSizeXUnit": "nm",
        "PhysicalSizeY": 5.0,
        "PhysicalSizeYUnit": "nm",
        "PhysicalSizeZ": 0.05,
        "PhysicalSizeZUnit": "µm",
    }
    tifffile.imwrite(tmp_path / "a.tif", stack((3, 9, 9), np.uint8), ome=True, metadata=metadata)
    info = open_source(tmp_path / "a.tif").info
    assert info.unit == "nanometer"
    assert info.spacing == pytest.approx((50.0, 5.0, 4.0))


def test_the_spacing_of_imagej_and_of_centimetres(tmp_path):
    array = stack((3, 9, 9), np.uint8)
    tifffile.imwrite(
        tmp_path / "a.tif", array, imagej=True, resolution=(4, 2), metadata={"axes": "ZYX", "spacing": 3, "unit": "um"}
    )
    tifffile.imwrite(tmp_path / "b.tif", array[0], resolution=(20000, 10000), resolutionunit="centimeter")
    tifffile.imwrite(tmp_path / "c.tif", array[0], resolution=(72, 72), resolutionunit="inch")
    infos = [open_source(tmp_path / name).info for name in ("a.tif", "b.tif", "c.tif")]
    assert [(i.spacing, i.unit) for i in infos] == [
        ((3.0, 0.5, 0.25), "micrometer"),
        ((1.0, 1.0, 0.5), "micrometer"),
        (None, None),
    ]


@pytest.mark.parametrize(
    ("described", "z"),
    [({"zunit": "nm", "spacing": 300.0}, 0.3), ({"spacing": -0.5}, 0.5), ({"spacing": float("nan")}, 1.0)],
)
def test_imagejs_z_has_a_unit_of_its_own_and_no_spacing_is_negative_or_nan(tmp_path, described, z):
    stack = np.zeros((3, 20, 30), np.uint8)
    metadata = {"axes": "ZYX", "unit": "um", **described}
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata=metadata, resolution=(2, 2))
    assert open_source(tmp_path / "a.tif").info.spacing == pytest.approx((z, 0.5, 0.5))
