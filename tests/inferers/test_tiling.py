import math
import os

import numpy as np
import pytest
import torch

from monai_unet.geometry import ValidGeometry
from monai_unet.inferers.tiling import choose_tile, free_memory, read_mirrored, spans, tiles
from monai_unet.memory import parse_memory

GEOMETRY = ValidGeometry(depth=2)


@pytest.mark.parametrize("geometry", [GEOMETRY, ValidGeometry(depth=3)])
@pytest.mark.parametrize("region", [None, (0, 30), (5, 30), (17, 18), (8, 57)])
def test_the_tiles_of_a_region_fill_it_once_on_the_lattice_of_the_whole_image(geometry, region):
    first, last = region or (0, 57)
    found = spans(57, 20, geometry, region)
    assert [pixel for span in found for pixel in range(span.start, span.stop)] == list(range(first, last))
    assert all((span.read + geometry.margin) % geometry.stride == 0 for span in found)
    assert all(span.read + geometry.margin + span.before == span.start for span in found)


@pytest.mark.parametrize("geometry", [GEOMETRY, ValidGeometry(depth=3), ValidGeometry(depth=2, convs_per_block=1)])
@pytest.mark.parametrize("tile", [8, 11, 20, 40, 57, 90])
def test_all_tiles_have_inputs_of_one_size_in_a_region_too(geometry, tile):
    (inputs,) = {span.size for span in spans(57, tile, geometry)}
    for first in range(0, 57, 5):
        for last in range(first + 1, 58, 7):
            found = spans(57, tile, geometry, (first, last))
            assert {span.size for span in found} == {inputs}
            assert all(span.before + span.stop - span.start <= geometry.output_size(inputs) for span in found)
            assert [pixel for span in found for pixel in range(span.start, span.stop)] == list(range(first, last))
            assert len({span.stop - span.start for span in found[:-1]}) <= 1, "chunks have one size"


def test_the_input_of_a_tile_is_the_mirrored_image_and_no_more_is_read_than_it_needs():
    image = torch.arange(9 * 13.0).reshape(1, 1, 9, 13)
    padded = np.pad(image[0, 0].numpy(), 60, mode="reflect")
    asked = []

    def read(box):
        asked.append(box)
        return image[(..., *box)]

    axes = [spans(9, 4, GEOMETRY), spans(13, 8, GEOMETRY)]
    for tile in tiles(axes):
        top, left = tile
        expected = padded[60 + top.read : 60 + top.read + top.size, 60 + left.read : 60 + left.read + left.size]
        assert np.array_equal(read_mirrored(read, (9, 13), tile)[0, 0].numpy(), expected)
    assert all(0 <= part.start < part.stop <= n for box in asked for part, n in zip(box, (9, 13), strict=True))


def test_the_middle_of_a_large_image_is_read_without_the_rest():
    asked = []
    tile = (spans(10_000, 20, GEOMETRY)[200],)
    read_mirrored(lambda box: asked.append(box) or torch.zeros(1, box[0].stop - box[0].start), (10_000,), tile)
    assert asked[0][0].stop - asked[0][0].start == tile[0].size


def work(sizes, tile, geometry):
    return [sum(span.size for span in spans(n, t, geometry)) for n, t in zip(sizes, tile, strict=True)]


@pytest.mark.parametrize(
    ("sizes", "pixels"),
    [((100, 100), 5_000), ((37, 500), 5_000), ((37, 500), 30_000), ((30, 40, 50), 90_000), ((30, 40, 50), 150_000)],
)
def test_the_chosen_tile_fits_the_memory_and_no_equal_division_does_less_work(sizes, pixels):
    tile = choose_tile(sizes, GEOMETRY, memory=8 * pixels, bytes_per_pixel=8)
    axes = [spans(n, t, GEOMETRY) for n, t in zip(sizes, tile, strict=True)]
    assert np.prod([max(span.size for span in axis) for axis in axes]) <= pixels
    least = np.prod(work(sizes, tile, GEOMETRY))
    counts = [range(1, -(-n // 4) + 1) for n in sizes]
    for count in np.stack(np.meshgrid(*[list(c)[:12] for c in counts]), -1).reshape(-1, len(sizes)):
        other = [n if c == 1 else math.ceil(math.ceil(n / c) / 4) * 4 for n, c in zip(sizes, count, strict=True)]
        inputs = [max(s.size for s in spans(n, t, GEOMETRY)) for n, t in zip(sizes, other, strict=True)]
        if np.prod(inputs) <= pixels:
            assert np.prod(work(sizes, other, GEOMETRY)) >= least


def test_an_image_that_fits_is_one_tile():
    assert choose_tile((100, 333), GEOMETRY, memory=10**9, bytes_per_pixel=8) == (100, 333)


def test_too_little_memory_is_refused_with_what_would_do():
    with pytest.raises(ValueError, match=r"too little for a single tile .* at least") as caught:
        choose_tile((1000, 1000), GEOMETRY, memory=1000, bytes_per_pixel=8)
    least = parse_memory(str(caught.value).rpartition("at least ")[2])
    choose_tile((1000, 1000), GEOMETRY, memory=least, bytes_per_pixel=8)


def test_what_a_program_takes_besides_is_part_of_what_would_do():
    with pytest.raises(ValueError, match="at least 451 MB"):
        choose_tile((1000, 1000), GEOMETRY, memory=-5, bytes_per_pixel=8, besides=450_000_000)


def test_a_large_image_is_planned_in_no_time():
    tile = choose_tile((100_000, 100_000), ValidGeometry(4), memory=10**9, bytes_per_pixel=2048)
    assert min(tile) > 300


def test_what_is_free_is_asked_of_the_device_that_can_tell(monkeypatch):
    monkeypatch.setattr(torch.xpu, "mem_get_info", lambda device: (8_000, 10_000))
    assert free_memory(torch.device("xpu")) == 4_000


@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_a_system_that_does_not_tell_what_is_free_is_a_clear_error(monkeypatch, device):
    monkeypatch.setattr(os, "sysconf_names", {})
    with pytest.raises(ValueError, match="give an amount, as 2GB"):
        free_memory(torch.device(device))
