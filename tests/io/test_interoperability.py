"""Predictions as other programs read them: by readers that this project does not use itself."""

import numpy as np
import pytest

pytest.importorskip("zarr", reason="needs zarr and dask")

from filled_stores import fill

from monai_unet.io import open_source
from monai_unet.io.convert import to_ome_tiff
from monai_unet.io.zarr_store import create_or_open

PIXELS = np.random.default_rng(0).random((2, 3, 300, 271), dtype=np.float32)
NAMES = ("background", "cell")
SPACING = (50.0, 4.0, 5.0)


@pytest.fixture
def store(tmp_path):
    """Two channels of three sections, with the size of their pixels."""
    made = create_or_open(
        tmp_path / "out.ome.zarr",
        PIXELS.shape,
        (2, 1, 200, 200),
        PIXELS.dtype,
        "czyx",
        SPACING,
        {},
        unit="nanometer",
        channel_names=NAMES,
    )
    return fill(made, PIXELS)


def test_the_reader_of_napari_finds_axes_spacing_names_and_pixels_in_the_ome_zarr(store):
    pytest.importorskip("ome_zarr", reason="ome-zarr, which napari reads with, is not installed")
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    node = next(iter(Reader(parse_url(store.path))()))
    assert [axis["name"] for axis in node.metadata["axes"]] == ["c", "z", "y", "x"]
    assert {axis.get("unit") for axis in node.metadata["axes"][1:]} == {"nanometer"}
    (scale, *_) = node.metadata["coordinateTransformations"][0]
    assert scale["scale"] == [1.0, *SPACING]
    assert list(node.metadata["channel_names"]) == list(NAMES)
    assert np.array_equal(np.asarray(node.data[0]), PIXELS)


def test_the_validator_of_ngff_accepts_the_ome_zarr(store):
    models = pytest.importorskip("ome_zarr_models", reason="ome-zarr-models is not installed")
    import zarr

    image = models.open_ome_zarr(zarr.open_group(store.path, mode="r"))
    assert [axis.name for axis in image.ome_attributes.multiscales[0].axes] == ["c", "z", "y", "x"]


def test_the_model_of_ome_finds_names_sizes_and_units_in_the_ome_tiff(store, tmp_path):
    ome_types = pytest.importorskip("ome_types", reason="ome-types is not installed")
    to_ome_tiff(store, tmp_path / "out.ome.tif")
    pixels = ome_types.from_tiff(tmp_path / "out.ome.tif").images[0].pixels
    assert (pixels.size_c, pixels.size_z, pixels.size_y, pixels.size_x) == PIXELS.shape
    assert (pixels.physical_size_z, pixels.physical_size_y, pixels.physical_size_x) == SPACING
    assert {pixels.physical_size_x_unit.value, pixels.physical_size_z_unit.value} == {"nm"}
    assert [channel.name for channel in pixels.channels] == list(NAMES)


def test_a_plain_reader_of_tiff_finds_axes_and_pixels(store, tmp_path):
    import tifffile

    to_ome_tiff(store, tmp_path / "out.ome.tif")
    with tifffile.TiffFile(tmp_path / "out.ome.tif") as tiff:
        assert tiff.series[0].axes == "CZYX"
        assert np.array_equal(tiff.asarray(), PIXELS)


@pytest.fixture(params=["0.5", "0.4"])
def labelled(request, tmp_path):
    """An image of one channel with instances and classes."""
    place = {"spacing": SPACING, "unit": "nanometer", "origin": (50.0, 8.0, 10.0), "version": request.param}
    pixels = PIXELS[0]
    place |= {"shape": pixels.shape, "chunks": (1, 200, 200), "axes": "zyx", "settings": {}}
    image = fill(create_or_open(tmp_path / "out.ome.zarr", dtype="float32", **place), pixels)
    options = {"instances": {"dtype": "int32"}, "label": {"dtype": "uint8", "class_names": NAMES}}
    for name, kind in options.items():
        made = create_or_open(tmp_path / name, labels=True, **kind, **place)
        image.add_labels(name, fill(made, (pixels > 0.5) * (9 if name == "instances" else 1)))
    return image


def test_the_reader_of_napari_finds_the_labels_of_an_image(labelled):
    pytest.importorskip("ome_zarr", reason="ome-zarr, which napari reads with, is not installed")
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Label, Reader

    image, _, *labels = list(Reader(parse_url(labelled.path))())
    assert len(labels) == 2
    for node in labels:
        assert any(isinstance(spec, Label) for spec in node.specs)
        assert [level.shape for level in node.data] == [level.shape for level in image.data]
        assert np.array_equal(np.asarray(node.data[0]) > 0, PIXELS[0] > 0.5)
        scale, shift = node.metadata["coordinateTransformations"][0]
        assert (scale["scale"], shift["translation"]) == (list(SPACING), [50.0, 8.0, 10.0])


def test_the_validator_of_ngff_accepts_labels_and_what_lists_them(labelled):
    models = pytest.importorskip("ome_zarr_models", reason="ome-zarr-models is not installed")
    import zarr

    opened = models.open_ome_zarr(zarr.open_group(labelled.path, mode="r"))
    assert opened.labels is not None
    for name in ("instances", "label"):
        label = models.open_ome_zarr(zarr.open_group(labelled.path / "labels" / name, mode="r"))
        assert type(label).__name__ == "ImageLabel"
        assert label.ome_attributes.image_label.source.image == "../../"
    assert [each.label_value for each in label.ome_attributes.image_label.properties] == [0, 1]


def test_labels_are_read_by_their_place_in_the_store(labelled):
    source = open_source(labelled.path / "labels" / "instances")
    assert (source.info.dtype, source.info.spacing, source.info.origin) == (np.int32, SPACING, (50.0, 8.0, 10.0))


def test_labels_that_are_added_again_are_listed_once(labelled):
    (listed,) = [file for file in labelled.path.joinpath("labels").glob("*") if file.name in ("zarr.json", ".zattrs")]
    before = listed.read_bytes()
    assert before.count(b'"instances"') == before.count(b'"label"') == 1
    assert labelled.add_labels("label").is_complete
    assert listed.read_bytes() == before
