import doctest
import itertools
import tracemalloc

import numpy as np
import pytest
from scipy import ndimage

from monai_unet.transforms import (
    instances,
    label_blocks,
    label_instances,
    watershed_blocks,
    watershed_instances,
)


def by_definition(foreground, min_size=0, connectivity=1):
    """scipy's components, then one pixel after the other in scan order."""
    parts = ndimage.label(foreground, ndimage.generate_binary_structure(foreground.ndim, connectivity))[0]
    sizes = np.bincount(parts.ravel())
    numbers = {0: 0}
    for part in parts.ravel().tolist():
        if sizes[part] >= min_size:
            numbers.setdefault(part, len(numbers))
    return np.vectorize(lambda part: numbers.get(part, 0), otypes=[np.int32])(parts)


def in_blocks(source, blocks, dtype=np.int32, **parameters):
    """The labels that `label_blocks` writes, over whatever the target held before."""
    target = np.full(source.shape, 77, dtype)
    num_objects = label_blocks(source, target, blocks, **parameters)
    assert num_objects == target.max(initial=0)
    return target


def noise(shape, seed, share=0.5):
    return np.random.default_rng(seed).random(shape) < share


def serpentine(height, width):
    """One object that goes through every second row from end to end."""
    foreground = np.zeros((height, width), bool)
    foreground[::2] = True
    foreground[1::4, -1] = True
    foreground[3::4, 0] = True
    return foreground


def spiral(size):
    """One object, one pixel wide, that winds inwards with a gap of one pixel."""
    foreground = np.zeros((size, size), bool)
    place, step = np.array([0, -1]), np.array([0, 1])
    for length in [size, *np.repeat(np.arange(size - 1, 0, -2), 2)]:
        for _ in range(length):
            place = place + step
            foreground[tuple(place)] = True
        step = np.array([step[1], -step[0]])
    return foreground


class BoxesOnly:
    """An array that lets nothing be read or written but boxes, and remembers the largest one."""

    def __init__(self, array):
        self.array, self.largest = array, 0
        self.shape, self.dtype = array.shape, array.dtype

    def _box(self, box):
        assert [type(span) for span in box] == [slice] * len(self.shape)
        self.largest = max(self.largest, self.array[box].size)
        return box

    def __getitem__(self, box):
        return self.array[self._box(box)].copy()

    def __setitem__(self, box, value):
        self.array[self._box(box)] = value


# in memory


@pytest.mark.parametrize("shape", [(31, 42), (1, 50), (50, 1), (9, 10, 11), (1, 1, 30), (7, 1, 9), (7, 9, 1)])
@pytest.mark.parametrize("min_size", [0, 4])
def test_labels_are_scipys_components_in_the_order_of_their_first_pixels(shape, min_size):
    for connectivity in range(1, len(shape) + 1):
        foreground = noise(shape, seed=sum(shape), share=0.4)
        labels = label_instances(foreground, min_size, connectivity)
        assert labels.dtype == np.int32
        assert np.array_equal(labels, by_definition(foreground, min_size, connectivity))


def test_an_object_whose_first_pixel_is_far_right_comes_before_one_that_begins_a_row_later():
    assert label_instances(np.array([[0, 0, 0, 1], [1, 1, 0, 1]])).tolist() == [[0, 0, 0, 1], [2, 2, 0, 1]]


def test_an_object_of_exactly_min_size_pixels_is_kept_and_no_number_is_left_out():
    assert label_instances(np.array([[1, 1, 0, 1, 0, 1, 1, 1]]), min_size=2).tolist() == [[1, 1, 0, 0, 0, 2, 2, 2]]


def test_parts_that_meet_at_a_corner_are_one_object_if_connectivity_is_2():
    corner = np.array([[255, 0], [0, 255]], np.uint8)
    assert label_instances(corner).tolist() == [[1, 0], [0, 2]]
    assert label_instances(corner, connectivity=2).tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize("shape", [(5, 6), (3, 4, 5), (0, 4), (3, 0, 2)])
def test_an_empty_image_has_no_object_and_a_full_one_has_one(shape):
    assert np.array_equal(label_instances(np.zeros(shape)), np.zeros(shape))
    assert np.array_equal(label_instances(np.ones(shape)), np.ones(shape))


# block by block


@pytest.mark.parametrize("seed", range(40))
def test_blocks_give_the_labels_of_the_whole_image(seed):
    rng = np.random.default_rng(seed)
    ndim = 2 + seed % 2
    shape = rng.integers(1, 40 if ndim == 2 else 14, ndim)
    blocks = rng.integers(1, shape + 3).tolist()
    for connectivity, min_size in itertools.product(range(1, ndim + 1), (0, 6)):
        # near the share at which parts join into one, so that objects are long and wind through many blocks
        source = rng.random(shape) < {1: 0.6, 2: 0.4, 3: 0.1}[connectivity] * (0.5 if ndim == 3 > connectivity else 1)
        labels = in_blocks(source, blocks, min_size=min_size, connectivity=connectivity)
        assert np.array_equal(labels, label_instances(source, min_size, connectivity))


@pytest.mark.parametrize("blocks", [1, 2, 3, 5, (1, 7), (4, 1), 100])
@pytest.mark.parametrize("foreground", [serpentine(23, 18), spiral(21), spiral(21).T, ~spiral(21)])
def test_a_snake_through_many_blocks_is_one_object(foreground, blocks):
    assert np.array_equal(in_blocks(foreground, blocks), foreground)


@pytest.mark.parametrize("blocks", [1, 3, (2, 5)])
def test_two_spirals_in_each_other_stay_two_objects(blocks):
    outer = np.kron(spiral(13), np.ones((3, 3), bool))
    inner = ndimage.binary_erosion(~outer, np.ones((3, 3)), border_value=1)  # the middle of the gap
    foreground = outer | inner
    assert label_instances(foreground).max() == 2
    assert np.array_equal(in_blocks(foreground, blocks), label_instances(foreground))


@pytest.mark.parametrize(("ndim", "connectivity"), [(2, 1), (2, 2), (3, 1), (3, 2), (3, 3)])
def test_two_pixels_on_both_sides_of_a_corner_of_blocks_are_connected_as_in_one_block(ndim, connectivity):
    places = list(itertools.product((2, 3), repeat=ndim))  # the 2^ndim pixels around the corner where blocks meet
    for one, other in itertools.combinations(places, 2):
        foreground = np.zeros((6,) * ndim, bool)
        foreground[one] = foreground[other] = True
        distance = np.abs(np.subtract(one, other)).sum()
        labels = in_blocks(foreground, 3, connectivity=connectivity)
        assert labels[other] == (1 if distance <= connectivity else 2)


@pytest.mark.parametrize("shape", [(5, 6), (3, 4, 5), (0, 4)])
@pytest.mark.parametrize("blocks", [1, 2, 9])
def test_blocks_of_an_empty_image_have_no_object_and_of_a_full_one_have_one(shape, blocks):
    assert np.array_equal(in_blocks(np.zeros(shape), blocks), np.zeros(shape))
    assert np.array_equal(in_blocks(np.ones(shape), blocks, connectivity=2), np.ones(shape))


def test_an_object_is_small_by_its_pixels_in_all_blocks():
    foreground = np.array([[0, 1, 1, 1, 1, 0, 1, 0], [0, 0, 0, 0, 0, 0, 1, 1]])
    expected = [[0, 1, 1, 1, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0]]
    assert in_blocks(foreground, (2, 3), min_size=4).tolist() == expected


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_pixel_is_foreground_above_the_threshold(dtype):
    probability = np.array([[0.25, 0.5, 0.75, np.nan, 1]], dtype)
    assert in_blocks(probability, 2).tolist() == [[0, 0, 1, 0, 2]]
    assert in_blocks(probability, 2, threshold=0.25).tolist() == [[0, 1, 1, 0, 2]]


def test_a_probability_in_steps_of_1_in_255_takes_its_threshold_in_such_steps():
    assert in_blocks(np.array([[127, 128, 255, 0]], np.uint8), 2, threshold=127.5).tolist() == [[0, 1, 1, 0]]


def test_only_boxes_of_about_one_block_are_read_and_written():
    source, target = BoxesOnly(noise((90, 110), seed=1)), BoxesOnly(np.zeros((90, 110), np.int32))
    label_blocks(source, target, blocks=(20, 25), connectivity=2)
    assert np.array_equal(target.array, label_instances(source.array, connectivity=2))
    assert (source.largest, target.largest) == (20 * 25, 20 * 25)


def test_memory_does_not_grow_with_the_image(tmp_path):
    def peak(size):
        source = np.memmap(tmp_path / f"source{size}", np.float32, "w+", shape=(size, size))
        target = np.memmap(tmp_path / f"target{size}", np.int32, "w+", shape=(size, size))
        source[::100, 10:-10] = 1
        tracemalloc.start()
        assert label_blocks(source, target, blocks=256) == len(range(0, size, 100))
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    peak(256)  # what is imported and cached once
    assert peak(2048) < 1.5 * peak(512) < 0.1 * 2048**2 * 4


@pytest.mark.parametrize("blocks", [2, 4])
def test_labels_that_do_not_fit_the_target_are_an_error(blocks):
    source = np.zeros((32, 64), bool)
    source[::2, ::2] = True  # 512 objects
    with pytest.raises(OverflowError, match="512 objects do not fit uint8, which ends at 255"):
        in_blocks(source, blocks, dtype=np.uint8)


def test_parts_of_one_block_that_do_not_fit_the_target_are_an_error():
    source = np.zeros((32, 64), bool)
    source[::2, ::2] = True
    with pytest.raises(OverflowError, match="a smaller block"):
        in_blocks(source, 64, dtype=np.uint8, min_size=2)


def test_a_narrow_target_holds_more_parts_on_the_way_than_it_can_number():
    source = np.zeros((32, 64), bool)
    source[::2, ::2] = True
    source[30:, 60:] = True
    labels = in_blocks(source, 8, dtype=np.uint8, min_size=5)
    assert np.array_equal(labels, label_instances(source, min_size=5))
    assert labels.max() == 1


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.int64, np.uint64])
def test_the_target_may_be_of_any_integer_type(dtype):
    source = noise((20, 31), seed=2)
    labels = in_blocks(source, 7, dtype=dtype)
    assert labels.dtype == dtype
    assert np.array_equal(labels, label_instances(source))


def test_the_source_is_not_changed():
    source = np.random.default_rng(3).random((20, 31))
    before = source.copy()
    in_blocks(source, 7)
    assert np.array_equal(source, before)


def test_what_does_not_fit_together_is_refused():
    image = np.zeros((4, 5))
    with pytest.raises(ValueError, match=r"target has the shape \(5, 4\), expected that of the source, \(4, 5\)"):
        label_blocks(image, np.zeros((5, 4), int), 2)
    with pytest.raises(TypeError, match="target is float64, expected an integer type"):
        label_blocks(image, np.zeros((4, 5)), 2)
    for blocks in (0, (2, 2, 2), (2, -1)):
        with pytest.raises(ValueError, match="expected one number of pixels above 0, or one for each of"):
            label_blocks(image, np.zeros((4, 5), int), blocks)
    for connectivity in (0, 3):
        with pytest.raises(ValueError, match="expected 1 to 2 in an image of 2 axes"):
            label_instances(image, connectivity=connectivity)
    with pytest.raises(ValueError, match="min_size is -1"):
        label_instances(image, min_size=-1)
    with pytest.raises(ValueError, match="an array of 4 axes"):
        label_instances(np.zeros((1, 1, 4, 5)))


# the watershed


def two_discs():
    """The distances of two discs that touch at column 20."""
    row, column = np.mgrid[:21, :41]
    discs = np.stack([10 - np.hypot(row - 10, column - centre) for centre in (10, 30)]) / 10
    return discs.max(0).clip(0), (discs.max(0) > 0) | ((abs(row - 10) < 3) & (abs(column - 20) < 3))


def test_cells_that_touch_are_two_by_watershed():
    inside, foreground = two_discs()
    assert label_instances(foreground).max() == 1
    labels = watershed_instances(inside, foreground)
    assert (labels.dtype, labels.max()) == (np.int32, 2)
    assert np.array_equal(labels > 0, foreground)
    assert (labels[:, :20].max(), labels[:, 21:][labels[:, 21:] > 0].min()) == (1, 2)


def test_peaks_are_two_objects_where_the_way_between_them_falls_by_the_depth():
    inside, foreground = two_discs()
    inside = np.where(foreground, np.maximum(inside, 0.6), 0)  # a saddle 0.4 below the peaks, 0.2 when smoothed
    inside[:, 21:] *= 0.99  # of equal peaks none is the higher one
    assert watershed_instances(inside, foreground, seed_depth=0.15).max() == 2
    assert watershed_instances(inside, foreground, seed_depth=0.25).max() == 1


def test_with_a_depth_of_zero_every_peak_is_an_object():
    inside = np.full((9, 60), 0.5)
    inside[4, [10, 30, 50]] = 0.51
    assert watershed_instances(inside, inside > 0, seed_depth=0).max() >= 3
    assert watershed_instances(inside, inside > 0).max() == 1


def test_watershed_labels_are_in_the_order_of_the_grown_objects():
    probability = np.array([[0.1, 0.1, 0.9, 0.1, 0.6], [0.1, 0.1, 0.1, 0.1, 0.6], [0.6, 0.9, 0.1, 0.1, 0.9]])
    assert watershed_instances(probability).tolist() == [[0, 0, 1, 0, 2], [0, 0, 0, 0, 2], [3, 3, 0, 0, 2]]
    assert watershed_instances(probability, min_size=2).tolist() == [[0, 0, 0, 0, 1], [0, 0, 0, 0, 1], [2, 2, 0, 0, 1]]


def test_of_one_peak_a_part_watershed_finds_the_components_and_fills_their_holes():
    probability = noise((60, 50), 3).astype(float)
    filled = label_instances(probability > 0.5)
    for number in range(1, filled.max() + 1):
        holes = ndimage.binary_fill_holes(filled == number) & (probability <= 0.5)
        filled[holes] = number
    assert np.array_equal(watershed_instances(probability, seed_depth=1), filled)


def field(shape, seed):
    """Smooth noise from 0 to 1."""
    rough = ndimage.gaussian_filter(np.random.default_rng(seed).random(shape), 2)
    return ((rough - rough.min()) / np.ptp(rough)).astype(np.float32)


@pytest.mark.parametrize("blocks", [16, (30, 7), 200])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_watershed_block_by_block_gives_that_of_the_whole_image(seed, blocks):
    inside, foreground = field((70, 61), seed), field((70, 61), seed + 10)
    foreground = np.maximum(inside, foreground)
    parameters = {"threshold": 0.45, "seed_depth": 0.02, "min_size": 12}
    parts, labels = np.zeros(inside.shape, np.int32), np.zeros(inside.shape, np.int32)
    number = watershed_blocks(inside, foreground, parts, labels, blocks, **parameters)
    whole = watershed_instances(inside, foreground, **parameters)
    assert 3 < number == whole.max()
    assert np.array_equal(labels, whole)


def test_watershed_of_a_volume_block_by_block_gives_that_of_the_whole():
    inside = field((9, 30, 31), 4)
    parts, labels = np.zeros(inside.shape, np.int32), np.zeros(inside.shape, np.int32)
    watershed_blocks(inside, inside, parts, labels, (4, 10, 10), 0.5, 0.02)
    assert np.array_equal(labels, watershed_instances(inside, None, 0.5, 0.02))


def test_an_object_in_the_hole_of_another_fills_its_own_hole():
    rings = np.zeros((15, 15))
    for radius in (7, 3):
        rings[7 - radius : 8 + radius, 7 - radius : 8 + radius] = 1
        rings[8 - radius : 7 + radius, 8 - radius : 7 + radius] = 0
    labels = watershed_instances(rings)
    assert labels[7, 7] == labels[7, 4] == 2
    assert labels[2, 2] == labels[0, 0] == 1


def test_a_part_that_spans_more_than_the_memory_allows_is_refused():
    inside, parts, labels = np.ones((20, 30)), np.zeros((20, 30), np.int32), np.zeros((20, 30), np.int32)
    with pytest.raises(ValueError, match="spans 20 x 30 pixels, more than the memory allows"):
        watershed_blocks(inside, inside, parts, labels, 8, largest=599)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_watershed_takes_a_distance_of_any_scale(dtype):
    inside, foreground = two_discs()
    labels = watershed_instances((inside * 250).astype(dtype), foreground, seed_depth=25)
    assert np.array_equal(labels > 0, foreground)
    assert labels.max() == 2


def test_nan_is_background():
    assert watershed_instances(np.array([[0.6, 0.7, 0.1, np.nan, 0.9]])).tolist() == [[1, 1, 0, 0, 2]]
    assert not watershed_instances(np.zeros((3, 4))).any()


def test_the_examples_in_the_docstrings_run():
    results = doctest.testmod(instances)
    assert results.attempted >= 5
    assert results.failed == 0
