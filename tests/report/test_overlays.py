import numpy as np

from monai_unet.report.overlays import FRAME_COLOUR, OUTLINE_COLOUR, framed, heat, in_colour, overlaid, resized
from monai_unet.report.pictures import UNKNOWN_COLOURS

GREY = np.full((12, 14, 3), 100, np.uint8)
SQUARE = np.zeros((12, 14), np.int32)
SQUARE[2:8, 3:11] = 5


def test_one_channel_is_grey():
    picture = in_colour(np.arange(12.0).reshape(1, 3, 4))
    assert picture.shape == (3, 4, 3)
    assert np.array_equal(picture[..., 0], picture[..., 2])


def test_three_channels_are_red_green_and_blue():
    image = np.zeros((3, 3, 4))
    image[2, 1, 1] = 1
    picture = in_colour(image)
    assert picture[1, 1].tolist() == [0, 0, 255]
    assert picture.sum() == 255


def test_two_channels_are_green_and_magenta():
    picture = in_colour(np.random.default_rng(0).random((2, 6, 6)))
    assert np.array_equal(picture[..., 0], picture[..., 2])
    assert not np.array_equal(picture[..., 0], picture[..., 1])


def test_a_larger_image_is_averaged_and_its_labels_are_picked():
    values = np.kron(np.array([[0.0, 8.0]]), np.ones((2, 2)))
    values[0, 0] = 4
    assert resized(values, 2).tolist() == [[1.0, 8.0]]
    assert set(np.unique(resized(SQUARE, 5, whole_numbers=True))) <= {0, 5}


def test_the_shape_of_an_oblong_image_is_kept():
    assert resized(np.zeros((2, 30, 60)), 20).shape == (2, 10, 20)


def test_without_a_tint_the_outline_alone_is_drawn_inside_the_label():
    drawn = overlaid(GREY, SQUARE, tint=False)
    changed = (drawn != GREY).any(-1)
    expected = SQUARE > 0
    expected[3:7, 4:10] = False
    assert np.array_equal(changed, expected)
    assert (drawn[changed] == OUTLINE_COLOUR).all()


def test_cells_that_touch_have_different_tints():
    labels = np.repeat([[1] * 7 + [2] * 7], 12, axis=0)
    drawn = overlaid(GREY, labels)
    assert drawn[5, 2].tolist() != drawn[5, 11].tolist()


def test_what_is_unknown_is_hatched():
    drawn = overlaid(GREY, SQUARE, unknown=np.ones(SQUARE.shape, bool))
    assert {tuple(colour) for colour in drawn.reshape(-1, 3).tolist()} == set(UNKNOWN_COLOURS)


def test_the_frame_is_in_the_middle_and_what_is_in_it_is_as_it_was():
    drawn = framed(GREY, 6, 8)
    assert (drawn[3, 3:11] == FRAME_COLOUR).all()
    assert (drawn[4:8, 4:10] == 100).all()
    assert drawn[0, 0, 0] < 100


def test_heat_is_brighter_where_values_are_higher():
    assert (np.diff(heat(np.linspace(0, 3, 20)[None], 0, 3).astype(int).sum(-1)) > 0).all()
