"""The numbers that normalise an image: whole or by section, from a file or in memory."""

import numpy as np
import pytest
import tifffile

from monai_unet.io import Exposure, exposure, open_image

STACK = (np.random.default_rng(0).gamma(2, 300, (3, 50, 41)) * np.array([1, 2, 4])[:, None, None]).astype(np.uint16)


@pytest.fixture
def source(tmp_path):
    tifffile.imwrite(tmp_path / "stack.tif", STACK, photometric="minisblack")
    return open_image(tmp_path / "stack.tif")


@pytest.fixture(params=[None, (1, 99.8)], ids=["moments", "percentiles"])
def ends(request):
    return request.param


@pytest.mark.parametrize("normalise", ["dataset", "image", "section"])
def test_a_file_has_the_numbers_of_its_pixels_in_memory(source, normalise, ends):
    how = Exposure(normalise, 100, 20, ends)
    assert how.of_source(source) == how.of_array(STACK[None].astype(np.float32))


def test_the_numbers_do_not_depend_on_how_much_is_read_at_once(source, monkeypatch, ends):
    how = Exposure("image", percentiles=ends)
    whole = how.of_source(source)
    monkeypatch.setattr(exposure, "_BLOCK", 100)
    in_pieces = how.of_source(source)
    np.testing.assert_allclose(in_pieces.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(in_pieces.std, whole.std, rtol=1e-12)


def test_an_image_is_normalised_by_mean_and_deviation_of_all_sections():
    found = Exposure("image").normalised(STACK[None])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0], (STACK - STACK.mean()) / STACK.std(), atol=1e-5)


def test_each_section_is_normalised_by_itself():
    found = Exposure("section").normalised(STACK[None])
    np.testing.assert_allclose(found.mean((0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(found.std((0, 2, 3)), 1, atol=1e-5)


def test_percentiles_become_minus_two_and_two():
    found = Exposure("image", percentiles=(5, 95)).normalised(STACK[None])
    np.testing.assert_allclose(np.percentile(found, [5, 95]), [-2, 2], atol=1e-3)


@pytest.mark.parametrize("normalise", ["image", "section"])
def test_another_exposure_gives_the_same(normalise, ends):
    how = Exposure(normalise, percentiles=ends)
    grey = STACK[None].astype(np.float32)
    np.testing.assert_allclose(how.normalised(grey * 0.25 + 1000), how.normalised(grey), atol=1e-4)


def test_channels_are_normalised_by_themselves(ends):
    both = np.stack([STACK, STACK[::-1] * 3 + 7])
    how = Exposure("image", percentiles=ends)
    found = how.normalised(both)
    np.testing.assert_array_equal(found[1], how.normalised(both[1:])[0])


def test_some_sections_have_the_numbers_that_they_have_among_all(source):
    how = Exposure("section")
    some, every = how.of_source(source, (1, 3)), how.of_source(source)
    np.testing.assert_array_equal(some.normalised(STACK[None, 2:], 2), every.normalised(STACK[None, 2:], 2))


def test_a_section_of_a_single_value_becomes_zero(ends):
    flat = np.full((1, 1, 8, 8), 77, np.uint8)
    assert (Exposure("section", percentiles=ends).normalised(flat) == 0).all()


def test_the_data_sets_numbers_read_nothing(source, monkeypatch):
    monkeypatch.setattr(type(source), "read", None)
    assert Exposure("dataset", 100, 20).of_source(source).normalised(STACK[None])[0, 0, 0, 0] == (
        np.float32(STACK[0, 0, 0]) - 100
    ) / np.float32(20)


def test_values_that_are_not_finite_are_named(tmp_path):
    bad = STACK[0].astype(np.float32)
    bad[3, 4] = np.nan
    tifffile.imwrite(tmp_path / "bad.tif", bad)
    with pytest.raises(ValueError, match=r"bad\.tif holds 1 values that are not finite .* row 3, column 4"):
        Exposure("image").of_source(open_image(tmp_path / "bad.tif"))


@pytest.mark.parametrize("wrong", [(99, 1), (1,), (-1, 50), (50, 101)])
def test_wrong_percentiles_are_refused(wrong):
    with pytest.raises(ValueError, match="two numbers of 0 to 100"):
        Exposure("image", percentiles=wrong)


def test_another_word_is_refused():
    with pytest.raises(ValueError, match="one of dataset, image, section"):
        Exposure("file")


def test_where_the_percentiles_are_the_same_mean_and_deviation_count():
    sparse = np.zeros((2, 1, 60, 60), np.uint16)
    sparse[0, 0, 0, :2] = 4000
    sparse[1] = STACK[0, :60, :1].max()
    found = Exposure("image", percentiles=(1, 99)).normalised(sparse)
    assert found[0].std() == pytest.approx(1, rel=1e-4)
    assert (found[1] == 0).all()


def test_numbers_for_another_count_of_channels_are_refused():
    with pytest.raises(ValueError, match=r"image_mean .*expected one number, or one for each of 1 channels"):
        Exposure("dataset", [1, 2], [1, 2]).normalised(STACK[None])
