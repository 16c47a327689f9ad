import numpy as np
from scipy import stats

from monai_unet.metrics.overlaps import joint_counts, overlaps


def test_joint_counts_are_the_table_of_both_images():
    rng = np.random.default_rng(6)
    first, second = rng.integers(0, 5, (7, 11)), rng.integers(0, 9, (7, 11)).astype(np.uint8)
    table = stats.contingency.crosstab(first.ravel(), second.ravel())
    places = np.nonzero(table.count)
    expected = table.elements[0][places[0]], table.elements[1][places[1]], table.count[places]
    assert all(np.array_equal(*pair) for pair in zip(joint_counts(first, second), expected, strict=True))


def test_large_ids_are_kept_apart():
    last = 2**31 - 1
    counts = joint_counts(np.array([last, last, last - 1], np.int32), np.array([last, last - 1, last], np.uint32))
    assert [part.tolist() for part in counts] == [[last - 1, last, last], [last, last - 1, last], [1, 1, 1]]


def test_sizes_count_what_lies_outside_the_other_image():
    found = overlaps(np.array([[5, 5, 5, 0, 0, 0]]), np.array([[0, 0, 8, 8, 8, 8]]))
    assert (found.cell_sizes.tolist(), found.object_sizes.tolist(), found.pair_pixels.tolist()) == ([3], [4], [1])
    assert found.covered.tolist() == [1 / 3]
