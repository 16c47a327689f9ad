import hashlib
import time

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from monai_unet.data import synthetic_sections, write_synthetic


@pytest.fixture(scope="module")
def stack():
    return synthetic_sections(num_sections=3, size=512, seed=0)


def checksums(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_images_and_labels_are_bytes_of_one_shape(stack):
    images, labels = stack
    assert images.dtype == labels.dtype == np.uint8
    assert images.shape == labels.shape == (3, 512, 512)


@pytest.mark.parametrize("size", [64, 65, 200])
def test_a_small_section_still_has_cells_and_membranes(size):
    _, labels = synthetic_sections(num_sections=1, size=size, seed=1)
    assert labels.shape == (1, size, size)
    assert np.unique(labels).tolist() == [0, 255]


def test_a_section_of_512_pixels_has_100_to_140_cells(stack):
    numbers = [ndimage.label(section)[1] for section in stack[1]]  # 4-connected
    assert 100 <= np.mean(numbers) <= 140


def test_a_fifth_to_a_third_of_the_pixels_is_membrane(stack):
    assert 0.2 < np.mean(stack[1] == 0) < 0.33  # ISBI 2012: 0.22


def test_membranes_are_darker_than_cells(stack):
    images, labels = stack
    assert images[labels == 0].mean() + 30 < images[labels == 255].mean()


def test_grey_values_spread_like_those_of_real_sections(stack):
    images, _ = stack
    assert 105 < images.mean() < 145  # ISBI 2012: 125
    assert 35 < images.std() < 52  # 44


def test_some_insides_of_cells_are_as_dark_as_membranes(stack):
    images, labels = stack
    membrane = images[labels == 0].mean()
    deep = np.stack([ndimage.distance_transform_edt(section) > 6 for section in labels])
    assert 0.02 < np.mean(images[deep] < membrane) < 0.2  # mitochondria and vesicles


def test_neighbouring_sections_resemble_each_other_more_than_distant_ones():
    _, labels = synthetic_sections(num_sections=12, size=192, seed=4)
    agree = [np.mean(labels[0] == labels[other]) for other in (1, 11)]
    assert agree[0] > agree[1] + 0.05


def test_the_same_seed_writes_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        write_synthetic(tmp_path / name, num_sections=2, size=96, seed=7, num_test_sections=1)
    assert checksums(tmp_path / "one") == checksums(tmp_path / "two")
    assert len(checksums(tmp_path / "one")) == 3


def test_another_seed_gives_another_stack():
    one, other = (synthetic_sections(num_sections=1, size=64, seed=seed)[1] for seed in (0, 1))
    assert not np.array_equal(one, other)


def test_the_test_sections_are_no_training_sections(tmp_path):
    write_synthetic(tmp_path, num_sections=1, size=64, num_test_sections=1)
    train, test = (tifffile.imread(tmp_path / f"{part}-volume.tif") for part in ("train", "test"))
    assert not np.array_equal(train, test)


def test_each_section_is_a_page_as_in_the_challenge_files(tmp_path):
    paths = write_synthetic(tmp_path, num_sections=3, size=64, num_test_sections=2)
    found = {}
    for path in paths:
        with tifffile.TiffFile(path) as file:
            found[path.name] = [(page.shape, page.dtype, page.compression) for page in file.pages]
    page = ((64, 64), np.uint8, tifffile.COMPRESSION.NONE)
    assert found == {"test-volume.tif": [page] * 2, "train-volume.tif": [page] * 3, "train-labels.tif": [page] * 3}


def test_without_test_sections_there_is_no_test_file(tmp_path):
    write_synthetic(tmp_path, num_sections=1, size=64, num_test_sections=0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train-labels.tif", "train-volume.tif"]


def test_other_data_in_the_folder_stays_unless_forced(tmp_path):
    write_synthetic(tmp_path, num_sections=1, size=64, seed=0)
    before = checksums(tmp_path)
    with pytest.raises(FileExistsError, match="--force"):
        write_synthetic(tmp_path, num_sections=1, size=64, seed=1)
    assert checksums(tmp_path) == before
    write_synthetic(tmp_path, num_sections=1, size=64, seed=1, num_test_sections=0, force=True)
    assert not set(checksums(tmp_path).values()) & set(before.values())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"num_sections": 0}, "1 or more"),
        ({"size": 63}, "64 or more"),
        ({"seed": -1}, "0 or more"),
    ],
)
def test_numbers_out_of_range_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        synthetic_sections(**wrong)


@pytest.mark.slow
def test_the_default_set_takes_a_few_seconds():
    start = time.process_time()
    images, _ = synthetic_sections()
    assert len(images) == 30
    assert time.process_time() - start < 30  # about 3 s on the machine it was written on
