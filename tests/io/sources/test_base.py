import doctest
import os
import pickle
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import imagecodecs
import nibabel
import numpy as np
import pytest
import SimpleITK
import tifffile
from image_arrays import RGB, stack, whole
from skimage.io import imsave

from monai_unet.io import check_finite, count_sections, open_source
from monai_unet.io.sources import base, unit_name

try:
    import numcodecs
    import zarr
except ImportError:
    zarr = None

needs_zarr = pytest.mark.skipif(zarr is None, reason="zarr is not installed (extra `large`)")


class SourceContract:
    """What every reader promises; a subclass says how to write (D, H, W) as its format."""

    name = "a.tif"
    shape = (5, 70, 93)
    dtypes = ("uint8", "uint16", "float32")

    def write(self, path, array):
        raise NotImplementedError

    def damage(self, path):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    @pytest.fixture
    def source(self, tmp_path):
        self.array = stack(self.shape, self.dtypes[0])
        self.write(tmp_path / self.name, self.array)
        return open_source(tmp_path / self.name)

    def test_boxes_are_slices_of_the_whole(self, tmp_path):
        for dtype in self.dtypes:
            array = stack(self.shape, dtype)
            path = tmp_path / f"{dtype}_{self.name}"
            self.write(path, array)
            source = open_source(path)
            assert (source.info.shape, source.info.channels, source.info.dtype) == (self.shape, 1, np.dtype(dtype))
            assert np.array_equal(source.read(whole(source)), array[None])
            random = np.random.default_rng(2)
            for _ in range(12):
                box = tuple(slice(*sorted(random.choice(size + 1, 2, replace=False))) for size in self.shape)
                block = source.read(box)
                assert block.dtype == np.dtype(dtype)
                assert np.array_equal(block, array[box][None])

    def test_the_number_of_sections_is_known(self, source):
        assert count_sections(source.path) == self.shape[0]
        assert source.info.ndim == (2 if self.shape[0] == 1 else 3)

    def test_a_pickled_source_reads_the_same_and_takes_no_pixels_along(self, source):
        source.read(whole(source))
        sent = pickle.dumps(source)
        assert len(sent) < 2000
        assert np.array_equal(pickle.loads(sent).read(whole(source)), self.array[None])

    def test_threads_may_read_at_once(self, source):
        boxes = [(slice(0, self.shape[0]), slice(y, y + 7), slice(0, 90)) for y in range(0, 63)]
        with ThreadPoolExecutor(4) as threads:
            for box, block in zip(boxes, threads.map(source.read, boxes), strict=True):
                assert np.array_equal(block[0], self.array[box])

    def test_a_box_that_leaves_the_image_is_refused(self, source):
        with pytest.raises(ValueError, match=r"\(60, 71\).* leaves .*a\.\w+.* \(\d, 70, 93\)"):
            source.read((slice(0, 1), slice(60, 71), slice(0, 5)))

    def test_a_damaged_file_is_refused_by_name(self, source):
        self.damage(source.path)
        with pytest.raises(ValueError, match=r"a\.\S+ cannot be read"):
            open_source(source.path).read(whole(source))


class TestStrips(SourceContract):
    dtypes = ("uint8", "int16", "uint16", "float32", "float64")
    options: ClassVar = {"photometric": "minisblack", "rowsperstrip": 16}

    def write(self, path, array):
        tifffile.imwrite(path, array, **self.options)


class TestOneStrip(TestStrips):
    options: ClassVar = {"photometric": "minisblack"}


class TestBigEndian(TestStrips):
    options: ClassVar = {"photometric": "minisblack", "byteorder": ">", "rowsperstrip": 9}


class TestTiles(TestStrips):
    options: ClassVar = {"photometric": "minisblack", "tile": (16, 32)}


class TestBigTiff(TestStrips):
    options: ClassVar = {"photometric": "minisblack", "tile": (32, 16), "bigtiff": True, "byteorder": ">"}


class TestLzw(TestStrips):
    dtypes = ("uint8", "uint16", "float32")
    options: ClassVar = {"photometric": "minisblack", "compression": "lzw", "rowsperstrip": 10}


class TestZlibWithPredictor(TestStrips):
    dtypes = ("uint8", "uint16", "float32")
    options: ClassVar = {"photometric": "minisblack", "compression": "zlib", "predictor": True, "tile": (16, 16)}


class TestOme(TestStrips):
    dtypes = ("uint8", "uint16", "float32")
    options: ClassVar = {"photometric": "minisblack", "ome": True, "metadata": {"axes": "ZYX"}, "tile": (16, 16)}


class TestImageJ(TestStrips):
    dtypes = ("uint8", "uint16", "float32")
    options: ClassVar = {"imagej": True, "metadata": {"axes": "ZYX"}}


class TestSinglePage(TestStrips):
    shape = (1, 70, 93)


class TestPng(SourceContract):
    name = "a.png"
    shape = (1, 70, 93)
    dtypes = ("uint8", "uint16")

    def write(self, path, array):
        imsave(path, array[0], check_contrast=False)


class TestNifti(SourceContract):
    name = "a.nii"
    dtypes = ("uint8", "int16", "uint16", "float32", "float64")

    def write(self, path, array):
        nibabel.save(nibabel.Nifti1Image(array.T, np.diag([4.0, 4.0, 50.0, 1.0])), path)


class TestNiftiGz(TestNifti):
    name = "a.nii.gz"


class TestNifti2BigEndian(TestNifti):
    def write(self, path, array):
        header = nibabel.Nifti2Header(endianness=">")
        header.set_data_dtype(array.dtype)
        nibabel.save(nibabel.Nifti2Image(array.T, np.eye(4), header), path)


class TestMha(SourceContract):
    name = "a.mha"
    dtypes = ("uint8", "int16", "uint16", "float32", "float64")
    compressed = False

    def write(self, path, array):
        image = SimpleITK.GetImageFromArray(array)
        image.SetSpacing((4.0, 4.0, 50.0))
        SimpleITK.WriteImage(image, str(path), self.compressed)


class TestCompressedMha(TestMha):
    compressed = True


class TestMhd(TestMha):
    name = "a.mhd"

    def damage(self, path):
        SourceContract.damage(self, path.with_suffix(".raw"))


class TestNrrd(TestMha):
    name = "a.nrrd"


class TestCompressedNrrd(TestMha):
    name = "a.nrrd"
    compressed = True


@needs_zarr
class TestZarr3(SourceContract):
    name = "a.zarr"
    zarr_format = 3

    def write(self, path, array):
        made = zarr.create_array(
            path, shape=array.shape, dtype=array.dtype, zarr_format=self.zarr_format, **self.options
        )
        made[:] = array

    @property
    def options(self):
        # a cut chunk of blosc, version 2's default, decodes to noise without an error
        zstd = zarr.codecs.ZstdCodec() if self.zarr_format == 3 else numcodecs.Zstd()
        return {"chunks": (2, 32, 20), "compressors": zstd}

    def damage(self, path):
        chunk = max((file for file in path.rglob("*") if file.is_file()), key=lambda file: file.stat().st_size)
        SourceContract.damage(self, chunk)


class TestZarr2(TestZarr3):
    zarr_format = 2


class TestOmeZarr05(TestZarr3):
    name = "a.ome.zarr"

    def write(self, path, array):
        multiscale = {
            "axes": [{"name": axis, "type": "space", "unit": "nanometer"} for axis in "zyx"],
            "datasets": [
                {"path": "full", "coordinateTransformations": [{"type": "scale", "scale": [25.0, 2.0, 1.0]}]},
                {"path": "half", "coordinateTransformations": [{"type": "scale", "scale": [50.0, 4.0, 2.0]}]},
            ],
            "coordinateTransformations": [{"type": "scale", "scale": [2.0, 2.0, 2.0]}],
        }
        image = {"multiscales": [multiscale]}
        group = zarr.create_group(
            path, zarr_format=self.zarr_format, attributes={"ome": image} if self.zarr_format == 3 else image
        )
        group.create_array("full", data=array, **self.options)

    def test_the_spacing_is_that_of_level_0(self, source):
        assert (source.info.spacing, source.info.unit) == ((50.0, 4.0, 2.0), "nanometer")


class TestOmeZarr04(TestOmeZarr05):
    zarr_format = 2


# reading by region


def large_tiff(folder):
    tifffile.imwrite(folder / "a.tif", shape=(2, 8000, 8000), dtype=np.uint8, photometric="minisblack")  # a hole
    return folder / "a.tif"


def large_nifti(folder):
    header = nibabel.Nifti1Header()
    header.set_data_shape((8000, 8000, 2))
    header.set_data_dtype(np.uint8)
    with (folder / "a.nii").open("wb") as file:
        header.write_to(file)
        file.truncate(file.tell() + 2 * 8000 * 8000)
    return folder / "a.nii"


def large_zarr(folder):
    if zarr is None:
        pytest.skip("zarr is not installed (extra `large`)")
    array = zarr.create_array(folder / "a.zarr", shape=(2, 8000, 8000), chunks=(1, 400, 400), dtype=np.uint8)
    array[0, 2800:3600] = 7
    return folder / "a.zarr"


@pytest.mark.parametrize("write", [large_tiff, large_nifti, large_zarr])
def test_a_box_of_an_image_of_128_mb_takes_a_few_mb_at_most(tmp_path, write):
    path = write(tmp_path)
    open_source(path).read((slice(0, 1), slice(0, 10), slice(0, 10)))  # imports
    tracemalloc.start()
    block = open_source(path).read((slice(0, 1), slice(3000, 3500), slice(4000, 4500)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert block.shape == (1, 1, 500, 500)
    assert peak < 4e6


# colour and channels


def test_the_channels_of_an_rgb_png_come_first(tmp_path):
    imsave(tmp_path / "a.png", RGB[0], check_contrast=False)
    source = open_source(tmp_path / "a.png")
    assert source.info.channels == 3
    assert np.array_equal(source.read(whole(source)), RGB[:1].transpose(3, 0, 1, 2))


def test_16_bits_of_colour_stay_16_bits(tmp_path):
    pixels = stack((20, 33, 3), np.uint16)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(pixels))
    source = open_source(tmp_path / "a.png")
    assert np.array_equal(source.read(whole(source))[:, 0], pixels.transpose(2, 0, 1))


# units


def test_units_have_one_name():
    names = ["µm", "um", "Micron", "nm", "mm", "nanometre", "pixel", "", None]
    assert [unit_name(name) for name in names] == [
        *["micrometer"] * 3, "nanometer", "millimeter", "nanometer", None, None, None
    ]  # fmt: skip


# what is refused


def different_pages(path):
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(np.zeros((5, 6), np.uint8))
        tiff.write(np.zeros((5, 7), np.uint8))


def unknown_compression(path):
    tifffile.imwrite(path, np.zeros((5, 6), np.uint8))
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tiff.pages[0].tags["Compression"].overwrite(32771)


def two_volumes(path):
    nibabel.save(nibabel.Nifti1Image(np.zeros((5, 6, 3, 2), np.uint8), np.eye(4)), path)


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("a.tif", different_pages, r"pages differ in shape .*\(5, 6\).*\(5, 7\).*one size"),
        ("a.tif", unknown_compression, "compression CCIRLEW is not supported; save it with LZW"),
        ("a.tif", lambda path: tifffile.imwrite(path, np.zeros((5, 6), complex)), "values of type complex128"),
        ("a.tif", lambda path: path.touch(), "it is empty"),
        ("a.png", lambda path: path.touch(), "it is empty"),
        ("a.nii", lambda path: path.touch(), "it is empty"),
        ("a.nii", two_volumes, "expected one grey volume"),
        (
            "a.png",
            lambda path: imsave(path, np.zeros((5, 6, 2), np.uint8), check_contrast=False),
            "without transparency",
        ),
        ("a.jpx", lambda path: path.write_bytes(b"x"), "unknown type; expected .tif"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(tmp_path, name, write, message):
    write(tmp_path / name)
    with pytest.raises(ValueError, match=rf"{name}.*{message}"):
        open_source(tmp_path / name)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path):
    (tmp_path / "a.tif").mkdir()
    with pytest.raises(FileNotFoundError, match=r"b.tif does not exist"):
        open_source(tmp_path / "b.tif")
    with pytest.raises(FileNotFoundError, match=r"a.tif is a folder but not a Zarr"):
        open_source(tmp_path / "a.tif")


def test_a_link_to_nothing_is_said_to_be_one(tmp_path):
    (tmp_path / "a.tif").symlink_to("gone.tif")
    (tmp_path / "b.tif").symlink_to("b.tif")
    for name, target in (("a.tif", "gone.tif"), ("b.tif", "b.tif")):
        with pytest.raises(FileNotFoundError, match=rf"{name} is a link to {target}, which does not exist"):
            open_source(tmp_path / name)


@pytest.mark.parametrize("name", ["a\0b.tif", "a" * 300 + ".tif", "a.tif/b.tif"])
def test_a_name_that_no_file_can_have_is_not_there(tmp_path, name):
    (tmp_path / "a.tif").touch()
    with pytest.raises(FileNotFoundError, match="does not exist"):
        open_source(tmp_path / name)


@pytest.mark.parametrize("name", ["größe µm.tif", "a%20b [1] {x}.tif", "-a.tif", "切片.tif"])
def test_any_name_that_a_file_can_have_will_do(tmp_path, name):
    tifffile.imwrite(tmp_path / name, np.zeros((5, 6), np.uint8))
    assert open_source(tmp_path / name).info.shape == (1, 5, 6)


def test_a_file_that_may_not_be_read_is_refused(tmp_path, monkeypatch):
    (tmp_path / "a.tif").write_bytes(b"x")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # the super-user may read everything
    with pytest.raises(PermissionError, match=r"a.tif cannot be read by this user"):
        open_source(tmp_path / "a.tif")


def test_nan_is_refused_with_its_place():
    block = np.zeros((1, 2, 5, 6), np.float32)
    box = (slice(3, 5), slice(10, 15), slice(20, 26))
    check_finite(block, "a.tif", box)
    check_finite(block.astype(np.uint8), "a.tif", box)
    block[0, 1, 2, 3] = np.nan
    block[0, 1, 4, 4] = np.inf
    with pytest.raises(ValueError, match=r"a\.tif holds 2 values .* sections 3 to 5.* section 4, row 12, column 23"):
        check_finite(block, "a.tif", box)


def test_monai_unet_io_imports_no_format():
    formats = {"zarr", "tifffile", "nibabel", "torch", "monai", "skimage"}
    code = f"import sys, monai_unet.io; print({formats} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.strip() == "set()"


def test_the_examples_in_the_docstrings_run():
    results = doctest.testmod(base)
    assert results.attempted >= 1
    assert results.failed == 0
