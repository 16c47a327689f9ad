import numpy as np
import pytest
import tifffile

from monai_unet.data import noisy_dataset, restoration_files, scored_targets
from monai_unet.data.noisy import SIGMA, add_poisson_noise
from monai_unet.data.restoration_dataset import read_restoration_sections


def write(path, shape=(3, 8, 9), seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, np.random.default_rng(seed).integers(0, 255, shape, np.uint8), photometric="minisblack")
    return path


@pytest.fixture
def pairs(tmp_path):
    write(tmp_path / "images" / "a.tif", seed=1)
    write(tmp_path / "targets" / "a.tif", seed=2)
    return tmp_path


def test_pairs_are_found_by_their_names(pairs):
    (found,) = restoration_files(pairs)
    assert (found["image"], found["target"]) == (str(pairs / "images" / "a.tif"), str(pairs / "targets" / "a.tif"))


def test_an_image_without_a_target_is_named(pairs):
    write(pairs / "images" / "b.tif")
    with pytest.raises(FileNotFoundError, match=r"b\.tif has no partner"):
        restoration_files(pairs)


def test_without_pairs_a_folder_of_images_is_enough(tmp_path):
    write(tmp_path / "a.tif")
    assert [file["name"] for file in restoration_files(tmp_path, "noise2void")] == ["a"]
    with pytest.raises(FileNotFoundError, match="--targets noise2void"):
        restoration_files(tmp_path)


def test_an_evaluation_compares_with_targets_where_there_are_any(pairs):
    assert scored_targets(pairs, "noise2void") == "pairs"
    assert scored_targets(pairs / "images", "noise2void") == "noise2void"


def test_a_neighbouring_section_is_the_target_of_noise2noise_in_both_directions(pairs):
    stack = tifffile.imread(pairs / "images" / "a.tif")
    found = read_restoration_sections(pairs / "images" / "a.tif", targets="noise2noise")
    read = [(each["image"].numpy()[0], each["label"].numpy()[0]) for each in found]
    expected = [(stack[one], stack[other]) for one, other in ((0, 1), (1, 0), (1, 2), (2, 1))]
    assert np.array_equal(read, expected)


def test_a_section_without_a_neighbour_that_trains_is_refused(pairs):
    with pytest.raises(ValueError, match="neighbouring sections"):
        read_restoration_sections(pairs / "images" / "a.tif", targets="noise2noise", sections=[0, 2])


def test_a_target_of_another_shape_is_refused(pairs):
    write(pairs / "targets" / "a.tif", (3, 8, 8))
    with pytest.raises(ValueError, match=r"a\.tif"):
        read_restoration_sections(pairs / "images" / "a.tif", pairs / "targets" / "a.tif")


def test_synthetic_pairs_have_the_noise_that_they_are_said_to_have(tmp_path):
    folder = noisy_dataset(tmp_path, num_sections=2, size=96)
    noisy, clean = (tifffile.imread(folder / part / "sections.tif") for part in ("images", "targets"))
    assert abs((noisy - clean).std() - SIGMA) < 0.5
    assert abs((noisy - clean).mean()) < 0.5


def test_poisson_noise_keeps_the_mean_and_grows_with_the_root_of_the_grey_value():
    noisy = add_poisson_noise(np.full((200, 200), 127.5), peak=40, seed=0)
    assert abs(noisy.mean() - 127.5) < 0.5
    assert abs(noisy.std() - np.sqrt(20) * 255 / 40) < 0.5
