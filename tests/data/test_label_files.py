import numpy as np
import pytest
import tifffile
import torch

from monai_unet.colours import parse_colours
from monai_unet.data.label_files import unknown_value
from monai_unet.data.sections import SectionDataset

TABLE = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [255, 255, 255]], np.uint8)
COLOURS = parse_colours("background=0,0,0 disc=255,0,0 square=0,255,0 ignore=255,255,255")


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(0)
    numbers = rng.integers(0, 4, (3, 8, 9)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "image.tif", rng.integers(0, 255, numbers.shape, np.uint8), photometric="minisblack")
    tifffile.imwrite(tmp_path / "numbers.tif", numbers, photometric="minisblack")
    tifffile.imwrite(tmp_path / "colours.tif", TABLE[numbers], photometric="rgb")
    return {
        name: [{"image": str(tmp_path / "image.tif"), "label": str(tmp_path / f"{name}.tif")}]
        for name in ("numbers", "colours")
    }


def test_training_sees_the_same_in_colours_and_in_numbers(files):
    numbers = SectionDataset(files["numbers"], lambda x: x, num_classes=3, ignore_label=3)
    colours = SectionDataset(files["colours"], lambda x: x, num_classes=3, colours=COLOURS)
    for one, other in zip(numbers, colours, strict=True):
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in ("image", "label", "cells", "ignore"))


def test_the_first_of_two_colours_is_background_though_it_does_not_occur(tmp_path, files):
    tifffile.imwrite(tmp_path / "all.tif", np.full((3, 8, 9, 3), (255, 0, 0), np.uint8), photometric="rgb")
    file = {**files["colours"][0], "label": str(tmp_path / "all.tif")}
    (section, *_) = SectionDataset([file], lambda x: x, colours=parse_colours("background=0,0,0 cell=255,0,0"))
    assert section["label"].all()


def test_labels_in_colour_without_a_table_name_the_option(files):
    with pytest.raises(ValueError, match=r"colours\.tif .* say which colour is which class, --colours"):
        SectionDataset(files["colours"], lambda x: x, num_classes=3)


def test_unknown_pixels_named_twice_are_refused():
    with pytest.raises(ValueError, match="unknown pixels are named twice, by ignore_label 7"):
        unknown_value(7, COLOURS)
