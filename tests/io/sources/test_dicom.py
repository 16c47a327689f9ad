"""What is DICOM's own; the oracle is ITK's reader of series."""

import locale
import os
import struct
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import SimpleITK
from image_arrays import stack, whole
from image_files import write_series

from monai_unet.io import open_source

VOLUME = stack((4, 30, 41), np.int16)


def by_itk(folder):
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


def test_a_folder_is_the_volume_that_itk_reads(tmp_path):
    source, image = open_source(write_series(tmp_path / "scan", VOLUME)), by_itk(tmp_path / "scan")
    assert np.array_equal(source.read(whole(source))[0], SimpleITK.GetArrayFromImage(image))
    assert np.array_equal(source.read(whole(source))[0], VOLUME)
    assert source.info.spacing == image.GetSpacing()[::-1] == (2.0, 0.7, 0.5)
    assert source.info.unit == "millimeter"


def test_the_affine_is_that_of_the_same_volume_as_nifti(tmp_path):
    tilted = {"0020|0037": "0.8\\-0.6\\0\\0.6\\0.8\\0"}
    source = open_source(write_series(tmp_path / "scan", VOLUME, tags=tilted))
    SimpleITK.WriteImage(by_itk(tmp_path / "scan"), str(tmp_path / "a.nii"))
    assert np.allclose(source.info.affine, open_source(tmp_path / "a.nii").info.affine, atol=1e-5)


@pytest.mark.parametrize("slope", ["2 ", ".5"])
def test_values_are_those_that_slope_and_intercept_make(tmp_path, slope):
    stored = VOLUME[:1] // 4
    image = SimpleITK.GetImageFromArray(stored * 2 - 7)
    image.SetMetaData("0028|1053", "2")
    image.SetMetaData("0028|1052", "-7")
    SimpleITK.WriteImage(image, str(tmp_path / "a.dcm"))
    tag = b"\x28\x00\x53\x10\x02\x00\x00\x00"
    content = (tmp_path / "a.dcm").read_bytes()
    assert tag + b"2 " in content
    (tmp_path / "a.dcm").write_bytes(content.replace(tag + b"2 ", tag + slope.encode()))
    source = open_source(tmp_path / "a.dcm")
    assert source.info.dtype.kind == ("i" if slope == "2 " else "f")
    assert np.array_equal(source.read(whole(source))[0], stored * float(slope) - 7)


def test_a_file_of_colours_has_three_channels(tmp_path):
    pixels = stack((30, 41, 3), np.uint8)
    image = SimpleITK.GetImageFromArray(pixels, isVector=True)
    SimpleITK.WriteImage(image, str(tmp_path / "a.dcm"))
    source = open_source(tmp_path / "a.dcm")
    assert np.array_equal(source.read(whole(source))[:, 0], pixels.transpose(2, 0, 1))


def test_files_without_an_ending_and_with_a_number_for_one_are_found_by_their_mark(tmp_path):
    folder = write_series(tmp_path / "scan", VOLUME)
    for number, file in enumerate(sorted(folder.iterdir())):
        file.rename(folder / (f"IM{number}" if number % 2 else f"1.2.840.{number}"))
    (folder / "notes.txt").write_text("x" * 200)
    (folder / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    source = open_source(folder)
    assert np.array_equal(source.read(whole(source))[0], VOLUME)
    assert open_source(folder / "IM1").info.shape == (1, 30, 41)


def test_several_series_are_named(tmp_path):
    write_series(tmp_path / "scan", VOLUME, "1.2.3.4", tags={"0008|103e": "T1"})
    write_series(tmp_path / "scan", VOLUME[:2], "1.2.3.5", tags={"0008|103e": "T2"})
    with pytest.raises(ValueError, match=r"scan .*2 series: T1 \(4 files, .*; T2 \(2 files, .*folder of its own"):
        open_source(tmp_path / "scan")


@pytest.mark.parametrize(
    ("places", "message"),
    [([0, 2, 4, 8], r"lie 4 mm, and 2 mm between others: a section is missing"), ([0, 2, 2, 4], "lie in one place")],
)
def test_missing_and_repeated_sections_are_refused(tmp_path, places, message):
    with pytest.raises(ValueError, match=rf"scan .*{message}"):
        open_source(write_series(tmp_path / "scan", VOLUME, places=places))


def test_sections_without_places_are_in_the_order_of_their_numbers(tmp_path):
    unplaced = {"0020|0032": None, "0020|0037": None, "0008|0060": "OT"}
    source = open_source(write_series(tmp_path / "scan", VOLUME, tags=unplaced))
    assert np.array_equal(source.read(whole(source))[0], VOLUME[::-1])  # the files are numbered from the last one


def test_sections_of_two_sizes_are_refused(tmp_path):
    write_series(tmp_path / "scan", VOLUME)
    write_series(tmp_path / "other", VOLUME[:, :20])
    (tmp_path / "other" / "1.2.3.4_0.dcm").replace(tmp_path / "scan" / "1.2.3.4_0.dcm")
    with pytest.raises(ValueError, match=r"differ in size: \(41, 20\) and \(41, 30\)|\(41, 30\) and \(41, 20\)"):
        open_source(tmp_path / "scan")


def test_a_file_that_is_no_image_is_named(tmp_path):
    write_series(tmp_path / "scan", VOLUME)
    (tmp_path / "scan" / "b.dcm").write_bytes(bytes(128) + b"DICM" + bytes(50))
    with pytest.raises(ValueError, match=r"scan .*b\.dcm is no DICOM image, or is damaged"):
        open_source(tmp_path / "scan")


def test_white_as_0_is_refused(tmp_path):
    image = SimpleITK.GetImageFromArray(VOLUME[:1])
    SimpleITK.WriteImage(image, str(tmp_path / "a.dcm"))
    content = (tmp_path / "a.dcm").read_bytes()
    (tmp_path / "a.dcm").write_bytes(content.replace(b"MONOCHROME2 ", b"MONOCHROME1 "))
    with pytest.raises(ValueError, match=r"a\.dcm is stored with white as 0 \(MONOCHROME1\)"):
        open_source(tmp_path / "a.dcm")


def test_a_named_pipe_in_the_folder_is_no_part_of_the_series(tmp_path):
    write_series(tmp_path / "scan", VOLUME)
    os.mkfifo(tmp_path / "scan" / "z.dcm")
    assert open_source(tmp_path / "scan").info.shape == VOLUME.shape


def test_a_small_file_that_describes_a_large_image_is_refused(tmp_path):
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(VOLUME[:1]), str(tmp_path / "a.dcm"))
    content = (tmp_path / "a.dcm").read_bytes()
    for tag, size in ((b"\x28\x00\x10\x00\x02\x00\x00\x00", 30), (b"\x28\x00\x11\x00\x02\x00\x00\x00", 41)):
        assert tag + struct.pack("<H", size) in content
        content = content.replace(tag + struct.pack("<H", size), tag + struct.pack("<H", 65535))
    (tmp_path / "a.dcm").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.dcm .*describes an image of \(1, 65535, 65535\), .* damaged or cut off"):
        open_source(tmp_path / "a.dcm")


def test_threads_that_read_leave_the_locale_as_it_is(tmp_path):
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(VOLUME[:1]), str(tmp_path / "a.dcm"))
    source, before = open_source(tmp_path / "a.dcm"), locale.setlocale(locale.LC_ALL)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: source.read(whole(source)), range(200)))
    assert locale.setlocale(locale.LC_ALL) == before
