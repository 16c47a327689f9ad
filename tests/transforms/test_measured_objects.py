import numpy as np
import pytest
from skimage.measure import regionprops_table

from monai_unet.transforms.instances import label_instances
from monai_unet.transforms.measured_objects import measure_objects


def drawn(shape, seed=0):
    rng = np.random.default_rng(seed)
    return label_instances(rng.random(shape) > 0.45), rng.random(shape, dtype=np.float32)


@pytest.mark.parametrize("shape", [(61, 47), (7, 31, 23)])
@pytest.mark.parametrize("block", [5, 16, 100])
def test_they_are_what_scikit_image_measures_of_the_whole_whatever_the_blocks(shape, block):
    labels, values = drawn(shape)
    found = measure_objects(labels, values, [block] * len(shape))
    of_whole = regionprops_table(
        labels, values, properties=("label", "area", "centroid", "bbox", "intensity_mean"), separator="-"
    )
    assert len(found.labels) > 20
    assert np.array_equal(found.labels, of_whole["label"])
    assert np.array_equal(found.sizes, of_whole["area"])
    assert np.allclose(found.means, of_whole["intensity_mean"])
    for axis in range(len(shape)):
        assert np.allclose(found.centres[:, axis], of_whole[f"centroid-{axis}"])
        assert np.array_equal(found.starts[:, axis], of_whole[f"bbox-{axis}"])
        assert np.array_equal(found.stops[:, axis], of_whole[f"bbox-{axis + len(shape)}"])


def test_blocks_change_no_bit_of_places_and_sizes():
    labels, values = drawn((90, 80))
    one, other = (measure_objects(labels, values, blocks) for blocks in ((90, 80), (7, 11)))
    assert np.array_equal(one.centres, other.centres)
    assert np.array_equal(one.sizes, other.sizes)


def test_an_image_without_objects_has_no_rows():
    found = measure_objects(np.zeros((5, 4), np.int32), np.ones((5, 4)), (2, 2))
    assert (found.labels.shape, found.centres.shape, found.starts.shape) == ((0,), (0, 2), (0, 2))


def test_labels_may_leave_gaps():
    labels = np.zeros((3, 8), np.int32)
    labels[1, 2:5], labels[2, 7] = 2_000_000_000, 3
    assert measure_objects(labels, labels, (2, 3)).labels.tolist() == [3, 2_000_000_000]


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"labels have the shape \(2, 3\) and values \(2, 4\)"):
        measure_objects(np.zeros((2, 3), int), np.zeros((2, 4)), (2, 2))
