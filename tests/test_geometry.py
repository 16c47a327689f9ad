import numpy as np
import pytest

from monai_unet.geometry import ValidGeometry, mirror


def walk(size: int, depth: int, convs_per_block: int) -> int | None:
    """The output size by walking the layers; None when a pooling meets an odd size or nothing is left."""
    skips = []
    for _ in range(depth):
        size -= 2 * convs_per_block
        if size < 2 or size % 2:
            return None
        skips.append(size)
        size //= 2
    size -= 2 * convs_per_block
    for skip in reversed(skips):
        if size < 1:
            return None
        size *= 2
        assert skip >= size
        assert (skip - size) % 2 == 0, "the crop has no centre"
        size -= 2 * convs_per_block
    return size if size > 0 else None


@pytest.mark.parametrize(("size", "output"), [(572, 388), (188, 4), (204, 20)])
def test_the_paper_network_loses_92_pixels_on_each_side(size, output):
    assert ValidGeometry(depth=4).output_size(size) == output


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("convs_per_block", [1, 2, 3])
def test_sizes_agree_with_walking_the_layers(depth, convs_per_block):
    geometry = ValidGeometry(depth, convs_per_block)
    for size in range(1, 700):
        walked = walk(size, depth, convs_per_block)
        assert geometry.is_valid(size) == (walked is not None), size
        if walked is not None:
            assert geometry.output_size(size) == walked


def test_a_size_that_does_not_fit_is_refused_with_the_nearest_that_do():
    with pytest.raises(ValueError, match=r"500 does not fit .* the nearest are 492 and 508"):
        ValidGeometry(depth=4).output_size(500)


def test_below_the_smallest_size_only_the_smallest_is_named():
    with pytest.raises(ValueError, match="the nearest are 188, the smallest"):
        ValidGeometry(depth=4).output_size(100)


@pytest.mark.parametrize("output", [1, 4, 5, 388, 389, 500])
def test_the_smallest_input_covers_the_wanted_output_and_the_next_smaller_does_not(output):
    geometry = ValidGeometry(depth=4)
    size = geometry.input_size_for(output)
    assert geometry.output_size(size) >= output
    smaller = size - geometry.stride
    assert not geometry.is_valid(smaller) or geometry.output_size(smaller) < output


def test_tiles_of_388_pixels_are_laid_384_apart():
    assert ValidGeometry(depth=4).step(388) == 384


def test_a_tile_smaller_than_the_lattice_is_refused():
    with pytest.raises(ValueError, match="take 16 or more"):
        ValidGeometry(depth=4).step(15)


@pytest.mark.parametrize(("depth", "convs"), [(0, 2), (4, 0)])
def test_a_network_without_levels_or_convolutions_does_not_exist(depth, convs):
    with pytest.raises(ValueError, match="does not exist"):
        ValidGeometry(depth, convs)


@pytest.mark.parametrize("size", range(1, 12))
def test_mirrored_indices_equal_numpy_reflect_padding_of_any_width(size):
    padded = np.pad(np.arange(size), 40, mode="reflect")
    assert np.array_equal(mirror(np.arange(-40, size + 40), size), padded)
