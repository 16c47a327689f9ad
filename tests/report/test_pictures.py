import io

import numpy as np
from PIL import Image

from monai_unet import report
from monai_unet.metrics.split_merge import split_merge

CELLS = np.array([[1, 1, 1, 1, 1, 0, 2, 2, 0, 3, 3, 0, 4, 4]], np.int32)
OBJECTS = np.array([[1, 1, 0, 2, 2, 0, 3, 3, 3, 3, 3, 0, 0, 0]], np.int32)  # 1 is split, 2 and 3 merged, 4 missed


def errors(unknown=None):
    found = split_merge(CELLS, OBJECTS)
    return report.error_map(found.code, OBJECTS, found.merging_objects, unknown)


def test_a_split_cell_is_painted_in_the_splits_colour():
    assert errors()[0, 0].tolist() == list(report.SPLIT_COLOUR)


def test_merged_cells_are_painted_in_the_mergers_colour():
    assert errors()[0, [6, 7, 9, 10]].tolist() == [list(report.MERGED_COLOUR)] * 4


def test_a_missed_cell_is_painted_in_its_colour_only_lighter_as_no_object_is_there():
    assert errors()[0, 12].tolist() == [colour // 2 + 128 for colour in report.MISSED_COLOUR]


def test_where_a_cell_is_cut_and_where_cells_are_joined_is_lighter():
    assert errors()[0, 2].tolist() == [colour // 2 + 128 for colour in report.SPLIT_COLOUR]
    assert errors()[0, 8].tolist() == [colour // 2 + 128 for colour in report.MERGED_COLOUR]


def test_a_hit_is_quiet_and_the_outside_white():
    picture = report.error_map(np.array([[1, 0]], np.uint8), np.array([[1, 0]]), np.array([], int))
    assert picture[0].tolist() == [list(report.HIT_COLOUR), [255, 255, 255]]


def test_unknown_pixels_are_hatched_in_grey_whatever_lies_there():
    picture = errors(unknown=np.ones(CELLS.shape, bool))
    assert set(np.ptp(picture, axis=-1).ravel().tolist()) == {0}  # no colour
    assert len(np.unique(picture)) == 2


def test_wrong_pixels_show_and_right_ones_do_not():
    picture = report.wrong_pixels(np.array([[0, 1, 2]]), np.array([[0, 2, 2]]))
    assert picture[0].tolist() == [[255, 255, 255], list(report.MISSED_COLOUR), list(report.HIT_COLOUR)]


def test_numbers_next_to_each_other_and_the_background_differ_in_colour():
    colours = report.distinct_colours(np.arange(61)[None])[0].astype(int)
    assert len(np.unique(colours, axis=0)) == 61
    assert np.abs(np.diff(colours, axis=0)).max(axis=1).min() > 50


def test_an_object_has_the_number_of_the_cell_it_shows_most_of_and_no_number_twice():
    numbers = report.same_colours(CELLS, OBJECTS)[0]
    assert numbers[0] == 1  # as large as the other part: the lower number
    assert numbers[3] > 4
    assert set(numbers[6:11]) == {2}
    assert set(numbers[[2, 5, 11, 12]]) == {0}


def test_numbering_does_not_touch_its_input_and_takes_images_without_cells_or_objects():
    none = np.zeros((2, 3), np.int32)
    assert not report.same_colours(none, none).any()
    assert report.same_colours(none, none + 5).min() == 1
    assert not report.same_colours(none + 7, none).any()


def test_a_constant_image_is_black_and_not_an_error():
    assert report.grey(np.full((2, 2), 7.0)).max() == 0


def test_probabilities_keep_their_scale():
    assert report.grey(np.array([[0.4, 0.8, np.nan]]), 0, 1).tolist() == [[102, 204, 0]]


def test_panels_stand_side_by_side_with_white_bars():
    picture = report.side_by_side([np.zeros((2, 3), np.uint8), np.full((2, 5, 3), 9, np.uint8)])
    assert picture.shape == (2, 3 + 4 + 5, 3)
    assert picture[0, :, 0].tolist() == [0] * 3 + [255] * 4 + [9] * 5


def test_a_large_picture_is_shrunk_by_averaging_and_a_small_one_kept():
    picture = np.zeros((40, 100), np.uint8)
    picture[:, ::2] = 200
    shrunk = np.asarray(Image.open(io.BytesIO(report.png(picture, 50))))
    assert shrunk.shape == (20, 50)
    assert np.unique(shrunk).tolist() == [100]
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(report.png(picture, 100)))), picture)
