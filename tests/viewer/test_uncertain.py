import numpy as np
import pytest

from monai_unet.viewer.uncertain import Place, entropy, is_painted, uncertain_places


def test_entropy_is_1_where_all_classes_are_as_likely_and_0_where_one_is_certain():
    assert entropy(np.array([0.0, 0.5, 1.0])).round(4).tolist() == [0, 1, 0]
    of_three = np.array([[1 / 3, 1.0], [1 / 3, 0.0], [1 / 3, 0.0]])
    assert entropy(of_three, channels=True).round(4).tolist() == [1, 0]


def test_probabilities_in_8_bits_count_255_as_1():
    eight = np.array([0, 51, 255], np.uint8)
    np.testing.assert_allclose(entropy(eight), entropy(eight / 255.0), atol=1e-6)


def test_the_least_sure_place_comes_first_and_painted_ones_are_left_out():
    probability = np.zeros((2, 7, 9))
    probability[1, 4:, 6:] = 0.5  # the corner, which is smaller than a place
    probability[0, :4, :3] = 0.2
    first, second, *rest = uncertain_places(probability, size=3)
    assert (first.section, first.y, first.x, round(first.entropy, 3)) == (1, 6, 6, 1)  # 1 of 1 row of 3
    assert (second.section, second.y, second.x) == (0, 0, 0) or second.section == 1
    painted = np.zeros((2, 7, 9), int)
    painted[1, 6, 8] = 2
    assert first not in uncertain_places(probability, painted, size=3)
    assert len(uncertain_places(probability, painted, size=3)) == len(rest) + 1


@pytest.mark.parametrize("size", [5, 96])
def test_places_are_the_same_however_an_image_is_read(monkeypatch, size):
    import monai_unet.viewer.uncertain as module

    probability = np.random.default_rng(0).random((230, 310))
    whole = uncertain_places(probability, size=size)
    monkeypatch.setattr(module, "_READ", 2 * size)
    assert uncertain_places(probability, size=size) == whole
    means = {(place.y, place.x): place.entropy for place in whole}
    for (y, x), mean in list(means.items())[::7]:
        assert mean == pytest.approx(entropy(probability[y : y + size, x : x + size]).mean(), abs=1e-5)


def test_several_classes_lie_along_the_first_axis():
    probability = np.zeros((3, 4, 4))
    probability[0] = 1
    probability[:, :2, 2:] = 1 / 3
    assert uncertain_places(probability, size=2, channels=True)[0] == Place(0, 0, 2, 2, pytest.approx(1))


def test_labels_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"labels of shape \(3, 3\) and a prediction of shape \(4, 4\)"):
        uncertain_places(np.zeros((4, 4)), np.zeros((3, 3)))


def test_a_place_is_painted_when_one_of_its_pixels_is():
    labels = np.zeros((2, 8, 8), int)
    labels[1, 3, 3] = 1
    assert is_painted(labels, Place(1, 0, 0, 4, 0.0))
    assert not is_painted(labels, Place(0, 0, 0, 4, 0.0))
    assert not is_painted(labels, Place(1, 4, 0, 4, 0.0))
