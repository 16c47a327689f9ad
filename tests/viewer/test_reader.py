"""What napari is told of results: kind of layer, scale, place, names; and that it takes them."""

import numpy as np
import pytest
import tifffile

pytest.importorskip("zarr", reason="needs the package zarr")
pytest.importorskip("dask.array", reason="needs dask, which comes with napari")

from filled_stores import fill

from monai_unet.io.convert import to_ome_tiff
from monai_unet.io.zarr_store import create_or_open
from monai_unet.viewer.reader import get_reader, read_store

PLACE = {"spacing": (2.0, 0.5, 0.4), "unit": "micrometer", "origin": (4.0, 5.0, 6.0)}
SHAPE = (3, 1100, 70)
PIXELS = np.random.default_rng(0).random((2, *SHAPE), np.float32)


def filled(path, pixels, axes, **options):
    store = create_or_open(
        path, pixels.shape, (*pixels.shape[:-2], 400, 70), pixels.dtype, axes, settings={}, **{**PLACE, **options}
    )
    return fill(store, pixels)


@pytest.fixture
def store(tmp_path):
    image = filled(tmp_path / "a.ome.zarr", PIXELS, "czyx", channel_names=("cell", "inside"))
    labels = (PIXELS[0] * 9).astype(np.int32)
    image.add_labels("instances", filled(tmp_path / "labels", labels, "zyx", labels=True, channel_names=["instances"]))
    return image


def test_a_store_is_an_image_for_each_channel_and_labels_on_top(store):
    cell, inside, instances = get_reader(str(store.path))(str(store.path))
    assert [kind for _, _, kind in (cell, inside, instances)] == ["image", "image", "labels"]
    assert [options["name"] for _, options, _ in (cell, inside, instances)] == ["a cell", "a inside", "a instances"]
    for data, options, _ in (cell, inside, instances):
        assert (options["scale"], options["translate"]) == (PLACE["spacing"], PLACE["origin"])
        assert options["units"] == ("micrometer",) * 3
        assert [level.shape for level in data] == [(3, 1100, 70), (3, 550, 35), (3, 275, 18), (2, 138, 9)]
    assert np.array_equal(inside[0][0], PIXELS[1])
    assert np.array_equal(instances[0][0], (PIXELS[0] * 9).astype(np.int32))
    assert cell[1]["contrast_limits"] == (0, 1)


def test_of_several_label_images_the_instances_are_seen(store, tmp_path):
    classes = (PIXELS[0] > 0.5).astype(np.uint8)
    store.add_labels("label", filled(tmp_path / "label", classes, "zyx", labels=True, channel_names=["label"]))
    layers = read_store(store.path)
    assert [options["name"] for _, options, kind in layers if kind == "labels"] == ["a label", "a instances"]
    assert [options["visible"] for _, options, kind in layers if kind == "labels"] == [False, True]


def test_labels_in_a_store_can_be_opened_by_themselves(store):
    ((_, options, kind),) = read_store([store.path / "labels" / "instances"])
    assert (options["name"], kind) == ("instances", "labels")


def test_an_unfinished_store_shows_what_is_there(tmp_path):
    store = create_or_open(tmp_path / "a.ome.zarr", SHAPE, (1, 400, 70), "float32", "zyx", settings={}, **PLACE)
    store.write((1, 0, 0), PIXELS[0][1:2, :400])
    ((data, options, _),) = read_store(store.path)
    assert not options["multiscale"]
    assert np.array_equal(np.asarray(data[1, :400]), PIXELS[0][1, :400])


@pytest.mark.parametrize(("dtype", "labels"), [("uint8", True), ("int32", True), ("float32", False)])
def test_a_tiff_of_labels_is_labels_of_any_type_and_one_of_probabilities_an_image(tmp_path, dtype, labels):
    pixels = (PIXELS[0] * 9).astype(dtype)
    made = filled(tmp_path / "a.ome.zarr", pixels, "zyx", labels=labels, channel_names=["x"])
    to_ome_tiff(made, tmp_path / "a.ome.tif")
    ((data, options, kind),) = get_reader([str(tmp_path / "a.ome.tif")])([str(tmp_path / "a.ome.tif")])
    assert kind == ("labels" if labels else "image")
    assert (options["name"], options["scale"], options["translate"]) == ("a x", PLACE["spacing"], PLACE["origin"])
    assert [len(level) for level in data] == [3, 3, 3]
    assert np.array_equal(data[0], pixels)


def test_what_others_wrote_is_left_to_other_readers(tmp_path):
    import zarr

    tifffile.imwrite(tmp_path / "a.ome.tif", np.zeros((9, 9), np.int32), metadata={"axes": "YX"})
    zarr.create_group(tmp_path / "a.ome.zarr")
    assert [get_reader(tmp_path / name) for name in ("a.ome.tif", "a.ome.zarr", "missing.png")] == [None] * 3
    assert get_reader([tmp_path / "a.ome.tif", tmp_path / "b.ome.tif"]) is None


def test_napari_makes_layers_of_them(store):
    layers = pytest.importorskip("napari.layers", reason="napari is not installed")
    cell, inside, instances = (layers.Layer.create(*each) for each in read_store(store.path))
    assert [type(each).__name__ for each in (cell, inside, instances)] == ["Image", "Image", "Labels"]
    assert tuple(instances.scale) == PLACE["spacing"]
    assert {str(unit) for unit in instances.units} == {"micrometer"}
    assert np.array_equal(instances.data[0], (PIXELS[0] * 9).astype(np.int32))


def test_a_viewer_that_is_told_of_the_reader_opens_results_with_it(store, tmp_path):
    """As a contribution to napari, without a window."""
    components = pytest.importorskip("napari.components", reason="napari is not installed")
    from npe2 import DynamicPlugin

    to_ome_tiff(store, tmp_path / "a.ome.tif")
    with DynamicPlugin("reads-results") as plugin:
        plugin.contribute.reader(get_reader, filename_patterns=["*.zarr", "*.tif"], accepts_directories=True)
        viewer = components.ViewerModel()
        viewer.open([str(store.path)], plugin="reads-results")
        viewer.open([str(tmp_path / "a.ome.tif")], plugin="reads-results")
    names = ["a cell", "a inside", "a instances", "a cell [1]", "a inside [1]"]
    assert [layer.name for layer in viewer.layers] == names
    assert {tuple(layer.scale) for layer in viewer.layers} == {PLACE["spacing"]}
