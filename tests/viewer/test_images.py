from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

from monai_unet.io import open_source
from monai_unet.viewer.images import file_of, own_file, placed, visible_box, write_image


def read(path):
    source = open_source(path)
    return source.read(tuple(slice(0, n) for n in source.info.shape)), source.info


@pytest.mark.parametrize(
    ("shape", "rgb", "dtype"),
    [((600, 700), False, np.uint16), ((3, 40, 30), False, np.float32), ((50, 60, 3), True, np.uint8)],
)
def test_a_file_that_is_written_for_a_layer_has_its_pixels_and_their_size(tmp_path, shape, rgb, dtype):
    data = (np.random.default_rng(0).random(shape) * 200).astype(dtype)
    axes = len(shape) - rgb
    write_image(tmp_path / "a.ome.tif", data, rgb, [4.0, 2.0, 0.5][-axes:], "micrometer")
    pixels, info = read(tmp_path / "a.ome.tif")
    expected = np.moveaxis(data, -1, 0)[:, None] if rgb else data.reshape(1, *(1,) * (3 - axes), *shape)
    assert np.array_equal(pixels, expected)
    assert (info.spacing[1:], info.unit) == ((2.0, 0.5), "micrometer")


def test_a_layer_that_shows_a_file_is_predicted_from_it(tmp_path, layer_of):
    data = np.random.default_rng(0).integers(0, 255, (2, 90, 80), np.uint8)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, data, photometric="minisblack")
    assert own_file(layer_of(data, path)) == file_of(layer_of(data, path)) == path
    for other in (data[:1], 255 - data, data[0]):
        assert own_file(layer_of(other, path)) is None
    assert own_file(layer_of(data, tmp_path / "gone.tif")) is None


def test_a_layer_with_a_single_other_pixel_is_not_predicted_from_its_file(tmp_path, layer_of):
    data = np.random.default_rng(0).integers(0, 255, (2, 90, 80), np.uint8)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, data, photometric="minisblack")
    layer = layer_of(data, path)
    assert file_of(layer) == path
    data[0, 89, 3] += 1
    assert np.array_equal(read(file_of(layer))[0][0], data)
    data[0, 89, 3] -= 1
    assert file_of(layer) == path


class Lazy:
    """What is read by boxes, and by what factor it is brighter from a column on; counts the pixels."""

    def __init__(self, data, factor=1, column=0):
        self.data, self.factor, self.column, self.read = data, factor, column, 0
        self.shape, self.ndim, self.dtype = data.shape, data.ndim, data.dtype

    def __getitem__(self, box):
        part = self.data[box]
        self.read += part.size
        columns = np.arange(self.shape[-1])[box[-1]]
        return np.where(columns < self.column, part, part * self.factor)


@pytest.mark.parametrize("size", [100, 1000])
def test_of_a_large_layer_that_is_read_lazily_a_sample_is_compared_with_its_file(tmp_path, layer_of, monkeypatch, size):
    monkeypatch.setattr("monai_unet.viewer.images._AT_ONCE", 300 * 300)
    data = np.random.default_rng(0).integers(1, 100, (3, size, 900), np.uint8)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, data, photometric="minisblack")
    lazy = Lazy(data)
    assert own_file(layer_of(lazy, path)) == path
    assert lazy.read <= 3 * 16 * 64 * 64
    for column in (0, 600):
        assert own_file(layer_of(Lazy(data, 2, column), path)) is None


def test_a_small_layer_that_is_read_lazily_is_compared_as_a_whole(tmp_path, layer_of):
    data = np.random.default_rng(0).integers(1, 100, (300, 200), np.uint8)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, data, photometric="minisblack")
    assert own_file(layer_of(Lazy(data), path)) == path
    assert own_file(layer_of(Lazy(data, 2, column=199), path)) is None


def test_a_layer_without_a_file_gets_one_and_another_when_its_pixels_change(layer_of):
    data = np.random.default_rng(0).integers(0, 255, (90, 80), np.uint8)
    layer = layer_of(data, name="cells / 1", scale=np.array([2.0, 2.0]), units=("micrometer", "micrometer"))
    first = file_of(layer)
    assert first == file_of(layer)
    assert first.name == "cells___1.ome.tif"
    data[0, 0] += 1
    second = file_of(layer)
    assert second != first
    pixels, info = read(second)
    assert np.array_equal(pixels[0, 0], data)
    assert info.unit == "micrometer"
    layer.scale = np.array([3.0, 3.0])
    assert read(file_of(layer))[1].spacing[1:] == (3.0, 3.0)


def test_a_result_lies_where_its_part_of_the_image_lies(layer_of):
    layer = layer_of(np.zeros((2, 9, 8)), scale=np.array([50.0, 4.0, 2.0]), translate=np.array([1.0, 0.0, 10.0]))
    place = placed(layer, [1, 3, 5])
    assert place["scale"].tolist() == [50, 4, 2]
    assert place["translate"].tolist() == [51, 12, 20]


def test_what_is_seen_is_cut_to_the_image_and_of_a_large_view_the_middle_is_taken(layer_of):
    layer = layer_of(np.zeros((4, 100, 3000)), corner_pixels=np.array([[0, -5, 200], [3, 60, 2900]]))
    assert visible_box(layer, (1, 2), (2, 0, 0), most=500) == [(2, 3), (0, 61), (1300, 1800)]
    assert visible_box(layer, (1, 2), (9, 0, 0), most=10**6) == [(3, 4), (0, 61), (200, 2901)]


def test_of_a_pyramid_the_corners_are_those_of_the_level_that_is_shown(layer_of):
    levels = [np.zeros((100, 80)), np.zeros((50, 40))]
    layer = SimpleNamespace(
        **{**vars(layer_of(levels[0])), "data": levels, "multiscale": True, "data_level": 1},
        downsample_factors=np.array([[1, 1], [2, 2]]),
        corner_pixels=np.array([[5, 10], [20, 30]]),
    )
    assert visible_box(layer, (0, 1), (0, 0), most=1000) == [(10, 41), (20, 61)]


def test_more_axes_than_a_stack_has_are_refused(layer_of):
    with pytest.raises(ValueError, match="movie has 4 axes"):
        placed(layer_of(np.zeros((2, 2, 4, 4)), name="movie"))
