import tracemalloc

import nibabel
import numpy as np
import pytest
import SimpleITK
import tifffile
from filled_stores import fill

from monai_unet.io import open_source, read_stack
from monai_unet.io.convert import to_nifti, to_ome_tiff
from monai_unet.io.ome import tiff_holds_labels
from monai_unet.io.zarr_store import create_or_open

pytest.importorskip("zarr", reason="zarr is not installed")

SHAPE = (3, 600, 530)
PIXELS = np.random.default_rng(0).random(SHAPE, dtype=np.float32)


def finished(path, pixels=PIXELS, axes="zyx", spacing=(50, 4, 5), unit="nanometer", **options):
    chunks = [min(size, limit) for size, limit in zip(pixels.shape[-3:], (2, 240, 400)[-pixels.ndim :], strict=False)]
    chunks = [*pixels.shape[: pixels.ndim - len(chunks)], *chunks]
    store = create_or_open(path, pixels.shape, chunks, pixels.dtype, axes, spacing, {}, unit=unit, **options)
    return fill(store, pixels)


@pytest.fixture
def store(tmp_path):
    return finished(tmp_path / "store")


def test_an_ome_tiff_has_pixels_axes_spacing_and_names(tmp_path):
    store = finished(tmp_path / "store", channel_names=("membrane",))
    to_ome_tiff(store, tmp_path / "a.ome.tif")
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as tiff:
        assert tiff.is_ome
        assert tiff.series[0].axes == "ZYX"
        assert tiff.pages[0].compression == 8
        assert np.array_equal(tiff.asarray(), PIXELS)
        assert 'Name="membrane"' in tiff.ome_metadata
    info = open_source(tmp_path / "a.ome.tif").info
    assert (info.shape, info.spacing, info.unit) == (SHAPE, (50, 4, 5), "nanometer")


def test_the_schema_of_ome_is_kept(tmp_path, store):
    ome_types = pytest.importorskip("ome_types", reason="ome-types, which validates OME-XML, is not installed")
    to_ome_tiff(store, tmp_path / "a.ome.tif")
    pixels = ome_types.from_tiff(tmp_path / "a.ome.tif").images[0].pixels
    assert (pixels.size_z, pixels.physical_size_x, pixels.physical_size_x_unit.value) == (3, 5, "nm")


@pytest.mark.parametrize(("axes", "shape"), [("yx", (20, 33)), ("cyx", (3, 20, 33)), ("czyx", (2, 3, 600, 33))])
def test_any_axes_can_be_written(tmp_path, axes, shape):
    pixels = np.random.default_rng(1).integers(0, 255, shape, np.uint8)
    names = ("a", "b", "c")[: shape[0]] if "c" in axes else ("a",)
    store = finished(tmp_path / "store", pixels, axes, channel_names=names)
    to_ome_tiff(store, tmp_path / "a.ome.tif")
    to_nifti(store, tmp_path / "a.nii")
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as tiff:
        assert tiff.series[0].axes == axes.upper()
        assert np.array_equal(tiff.asarray(), pixels)
        assert all(f'Name="{name}"' in tiff.ome_metadata for name in names)
    source = open_source(tmp_path / "a.ome.tif")
    assert source.info.channels == (shape[0] if "c" in axes else 1)
    image = np.asarray(nibabel.load(tmp_path / "a.nii").dataobj)
    assert np.array_equal(image.T, pixels if axes != "cyx" else pixels[:, None])


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_nifti_has_the_affine_and_unit_of_the_input(tmp_path, name):
    affine = np.array([[0.0, -4, 0, 10], [5, 0, 0, 20], [0, 0, 50, 30], [0, 0, 0, 1]])
    store = finished(tmp_path / "store", unit="micrometer", affine=affine)
    to_nifti(store.path, tmp_path / name)
    image = nibabel.load(tmp_path / name)
    assert np.array_equal(np.asarray(image.dataobj).T, PIXELS)
    assert image.get_data_dtype() == np.float32
    assert np.array_equal(image.affine, affine)
    assert image.header.get_xyzt_units()[0] == "micron"
    assert np.allclose(image.header.get_zooms(), (5, 4, 50))
    to_nifti(store, tmp_path / name, affine=np.eye(4))
    assert np.array_equal(nibabel.load(tmp_path / name).affine, np.eye(4))


def test_a_spacing_in_nanometres_becomes_micrometres_in_a_nifti_that_knows_no_smaller_unit(tmp_path, store):
    to_nifti(store, tmp_path / "a.nii")
    info = open_source(tmp_path / "a.nii").info
    assert (info.spacing, info.unit) == ((0.05, 0.004, 0.005), "micrometer")


def test_a_store_without_spacing_makes_files_without(tmp_path):
    store = finished(tmp_path / "store", spacing=None, unit=None)
    to_ome_tiff(store, tmp_path / "a.ome.tif")
    to_nifti(store, tmp_path / "a.nii")
    assert open_source(tmp_path / "a.ome.tif").info.spacing is None
    assert np.array_equal(nibabel.load(tmp_path / "a.nii").affine, np.eye(4))


def test_a_side_beyond_32767_pixels_makes_a_nifti_2(tmp_path):
    pixels = np.arange(40_000, dtype=np.uint16).reshape(1, 40_000)
    to_nifti(finished(tmp_path / "store", pixels, "yx"), tmp_path / "a.nii")
    image = nibabel.load(tmp_path / "a.nii")
    assert isinstance(image, nibabel.Nifti2Image)
    assert np.array_equal(np.asarray(image.dataobj).T, pixels)


def test_types_that_a_format_lacks_become_the_next_larger(tmp_path):
    half = PIXELS[:, :20, :30].astype(np.float16)
    store = finished(tmp_path / "half", half)
    to_ome_tiff(store, tmp_path / "a.ome.tif")
    to_nifti(store, tmp_path / "a.nii")
    assert np.array_equal(tifffile.imread(tmp_path / "a.ome.tif"), half.astype(np.float32))
    assert np.array_equal(nibabel.load(tmp_path / "a.nii").get_fdata().T, half)


def test_labels_of_64_bits_are_written_in_32_or_refused(tmp_path):
    labels = np.array([[0, 2**32 - 1]], np.uint64)
    to_ome_tiff(finished(tmp_path / "a", labels, "yx", labels=True), tmp_path / "a.ome.tif")
    assert tifffile.imread(tmp_path / "a.ome.tif").tolist() == labels.tolist()
    with pytest.raises(ValueError, match=r"b holds the label 4294967296: an OME-TIFF counts to 4294967295"):
        to_ome_tiff(finished(tmp_path / "b", labels + 1, "yx", labels=True), tmp_path / "b.ome.tif")
    assert not (tmp_path / "b.ome.tif").exists()


@pytest.mark.parametrize(("convert", "name"), [(to_ome_tiff, "a.ome.tif"), (to_nifti, "a.nii"), (to_nifti, "a.nii.gz")])
def test_the_same_store_gives_the_same_bytes(tmp_path, store, convert, name):
    convert(store, tmp_path / "one" / name)
    convert(store, tmp_path / "two" / name)
    assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize(("convert", "name"), [(to_ome_tiff, "a.ome.tif"), (to_nifti, "a.nii")])
def test_an_unfinished_store_is_refused(tmp_path, convert, name):
    store = create_or_open(tmp_path / "store", (3, 9, 9), (1, 9, 9), "uint8", "zyx", None, {})
    with pytest.raises(ValueError, match="store is not finished"):
        convert(store, tmp_path / name)
    with pytest.raises(ValueError, match="is not the store of a prediction"):
        convert(tmp_path / "nowhere", tmp_path / name)


def test_a_nifti_of_another_name_is_refused(tmp_path, store):
    with pytest.raises(ValueError, match=r"a.mha: expected a name that ends with .nii"):
        to_nifti(store, tmp_path / "a.mha")


@pytest.mark.parametrize(("convert", "name"), [(to_ome_tiff, "a.ome.tif"), (to_nifti, "a.nii"), (to_nifti, "a.nii.gz")])
def test_no_half_written_file_is_left(tmp_path, store, convert, name, monkeypatch):
    read, count = type(store).read, []

    def fail(self, box, level=0):
        count.append(box)
        if len(count) == 5:
            raise OSError("disk full")
        return read(self, box, level)

    monkeypatch.setattr(type(store), "read", fail)
    out = tmp_path / "out"
    with pytest.raises(OSError, match="disk full"):
        convert(store, out / name)
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(("convert", "name"), [(to_ome_tiff, "a.ome.tif"), (to_nifti, "a.nii"), (to_nifti, "a.nii.gz")])
def test_a_band_and_a_few_chunks_are_all_that_is_held(tmp_path, convert, name):
    import zarr

    shape = (8, 1024, 2048)  # 67 MB
    store = create_or_open(tmp_path / "store", shape, (1, 512, 512), "float32", "zyx", None, {})
    zarr.open_group(store.path, mode="r+").attrs["monai_unet"] = {
        "settings": {}, "layout": dict(zarr.open_group(store.path).attrs["monai_unet"])["layout"], "complete": True
    }  # fmt: skip
    convert(store, tmp_path / "warm" / name)
    tracemalloc.start()
    convert(store, tmp_path / name)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30e6  # a band is 4 MB, a chunk 1 MB; the writer's threads collect tiles


# the levels of an OME-TIFF


def levels_of(path):
    with tifffile.TiffFile(path) as tiff:
        return [level.asarray() for level in tiff.series[0].levels]


@pytest.mark.parametrize("labels", [True, False])
def test_an_image_larger_than_a_screen_has_the_levels_of_its_store(tmp_path, labels):
    pixels = (np.random.default_rng(2).random((2, 1025, 300)) * 99).astype(np.int32 if labels else np.float32)
    store = finished(tmp_path / "store", pixels, labels=labels)
    to_ome_tiff(store, tmp_path / "a.ome.tif")
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as tiff:
        assert (tiff.pages[0].is_tiled, tiff.pages[0].tilelength) == (True, 512)
    levels = levels_of(tmp_path / "a.ome.tif")
    assert [level.shape for level in levels] == [(2, 1025, 300), (2, 513, 150), (2, 257, 75), (2, 129, 38)]
    assert all(np.array_equal(level, store.level(number)) for number, level in enumerate(levels))
    assert set(np.unique(levels[-1])) <= set(np.unique(pixels)) or not labels
    assert np.array_equal(read_stack(tmp_path / "a.ome.tif"), pixels)


def test_an_image_that_fits_a_screen_has_one_level(tmp_path):
    to_ome_tiff(finished(tmp_path / "store", np.zeros((1024, 700), np.uint8), "yx"), tmp_path / "a.ome.tif")
    assert len(levels_of(tmp_path / "a.ome.tif")) == 1


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32"])
def test_itk_which_knows_no_tiles_reads_an_image_that_fits_a_screen(tmp_path, dtype):
    pixels = (np.random.default_rng(3).random((2, 700, 530)) * 200).astype(dtype)
    to_ome_tiff(finished(tmp_path / "store", pixels), tmp_path / "a.ome.tif")
    assert np.array_equal(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(tmp_path / "a.ome.tif")), pixels)


def test_levels_with_fewer_sections_are_left_out(tmp_path):
    store = finished(tmp_path / "store", np.ones((4, 1100, 40), np.float32), spacing=(10, 4, 4))
    assert [store.level(level).shape[0] for level in range(store.num_levels)] == [4, 4, 2, 1]
    to_ome_tiff(store, tmp_path / "a.ome.tif")
    assert [level.shape for level in levels_of(tmp_path / "a.ome.tif")] == [(4, 1100, 40), (4, 550, 20)]


def test_levels_of_channels_and_sections_give_the_same_bytes(tmp_path):
    pixels = np.random.default_rng(2).random((2, 2, 1100, 60), np.float32)
    store = finished(tmp_path / "store", pixels, "czyx", channel_names=("a", "b"))
    for name in ("one", "two"):
        to_ome_tiff(store, tmp_path / name / "a.ome.tif")
    assert (tmp_path / "one" / "a.ome.tif").read_bytes() == (tmp_path / "two" / "a.ome.tif").read_bytes()
    shapes = [level.shape for level in levels_of(tmp_path / "one" / "a.ome.tif")]
    assert shapes == [(2, 2, *size) for size in ((1100, 60), (550, 30), (275, 15), (138, 8))]


# what a file says of labels


@pytest.mark.parametrize("labels", [True, False])
def test_a_file_of_labels_says_so(tmp_path, labels):
    store = finished(tmp_path / "store", np.ones((20, 33), np.int32), "yx", labels=labels)
    to_ome_tiff(store, tmp_path / "a.ome.tif")
    to_nifti(store, tmp_path / "a.nii")
    assert tiff_holds_labels(tmp_path / "a.ome.tif") is labels
    assert nibabel.load(tmp_path / "a.nii").header.get_intent()[0] == ("label" if labels else "none")


def test_nothing_is_known_of_the_files_of_others(tmp_path):
    tifffile.imwrite(tmp_path / "a.ome.tif", np.ones((20, 33), np.int32))
    (tmp_path / "b.tif").write_text("no TIFF")
    assert tiff_holds_labels(tmp_path / "a.ome.tif") is None
    assert tiff_holds_labels(tmp_path / "b.tif") is None


def test_a_reader_of_plain_tiff_finds_the_size_of_a_pixel(tmp_path, store):
    to_ome_tiff(store, tmp_path / "a.ome.tif")
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as tiff:
        page = tiff.pages.first
        across, down = (page.tags[name].value for name in ("XResolution", "YResolution"))
    assert page.resolutionunit == 3  # centimetres; a pixel has 5 nm x 4 nm
    assert (across[1] / across[0], down[1] / down[0]) == pytest.approx((5e-7, 4e-7), rel=1e-6)
