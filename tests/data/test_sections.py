import nibabel
import numpy as np
import pytest
import tifffile
import torch
from monai.data import MetaTensor, get_track_meta
from monai.transforms import Compose, DeleteItemsd, EnsureTyped, Lambda, RandShiftIntensityd

from monai_unet.data.sections import (
    SectionDataset,
    background_of,
    can_tell,
    read_labelled_sections,
    say_if_blind,
)

LABELS = np.array([[255, 0, 255], [0, 0, 255]], np.uint8)


def write(path, array):
    tifffile.imwrite(path, array, photometric="minisblack")


@pytest.fixture
def files(tmp_path):
    volume = np.arange(3 * 2 * 3, dtype=np.uint8).reshape(3, 2, 3)
    write(tmp_path / "image.tif", volume)
    write(tmp_path / "label.tif", np.stack([LABELS, LABELS.T.reshape(2, 3), 255 - LABELS]))
    return {"image": str(tmp_path / "image.tif"), "label": str(tmp_path / "label.tif")}


def unchanged(section):
    return section


def test_a_section_has_image_label_and_one_number_a_cell(files):
    section = read_labelled_sections(**files)[0]
    assert torch.equal(section["image"], torch.arange(6.0).reshape(1, 2, 3))
    assert torch.equal(section["label"], torch.from_numpy((LABELS > 0)[None].astype(np.float32)))
    assert section["cells"].tolist() == [[[1, 0, 2], [0, 0, 2]]]


def test_the_name_says_file_and_section(files):
    assert read_labelled_sections(**files)[2]["name"] == "image.tif section 2"


def test_cells_that_touch_at_a_corner_are_two(tmp_path, files):
    write(tmp_path / "corner.tif", np.array([[1, 0], [0, 1]], np.uint8))
    write(tmp_path / "dark.tif", np.zeros((2, 2), np.uint8))
    (section,) = read_labelled_sections(tmp_path / "dark.tif", tmp_path / "corner.tif")
    assert section["cells"].max() == 2


def test_instances_keep_their_numbers(tmp_path):
    labels = np.array([[0, 7], [300, 7]], np.uint16)
    write(tmp_path / "label.tif", labels)
    write(tmp_path / "image.tif", labels)
    (section,) = read_labelled_sections(tmp_path / "image.tif", tmp_path / "label.tif", instances=True)
    assert section["cells"].tolist() == [[[0, 7], [300, 7]]]
    assert section["label"].tolist() == [[[0, 1], [1, 1]]]


def test_chosen_sections_of_several_files_come_in_order(files):
    dataset = SectionDataset([{**files, "sections": [2, 0]}, files], unchanged)
    assert [section["name"][-1] for section in dataset] == ["2", "0", "0", "1", "2"]


def test_what_is_not_random_is_computed_once(files):
    calls = []

    def count(section):
        calls.append(section["name"])
        return section

    dataset = SectionDataset([files], Lambda(count))
    assert [dataset[0]["name"], dataset[0]["name"]] == ["image.tif section 0"] * 2
    assert len(calls) == 3


@pytest.mark.parametrize("fails", [False, True])
def test_random_transforms_give_plain_tensors_and_leave_monais_setting_as_it_was(files, fails):
    plain = EnsureTyped("image", track_meta=False)
    shift = RandShiftIntensityd("image", offsets=0.1, prob=1.0)
    assert isinstance(shift(plain({"image": torch.zeros(1, 2)}))["image"], MetaTensor)  # by itself
    dataset = SectionDataset([files], Compose([plain, *([DeleteItemsd("image")] if fails else []), shift]))
    if fails:
        with pytest.raises(RuntimeError):
            dataset[0]
    else:
        assert type(dataset[0]["image"]) is torch.Tensor
    assert get_track_meta()


def test_labels_with_more_than_two_values_are_refused_by_name(tmp_path, files):
    write(files["label"], np.arange(18, dtype=np.uint8).reshape(3, 2, 3))
    with pytest.raises(
        ValueError, match=r"label.tif holds 18 different values \(0, 1, 2, 3, 4 and 13 more\); expected two"
    ):
        read_labelled_sections(**files)


def test_labels_of_another_shape_are_refused_with_both_names(files):
    write(files["label"], np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(ValueError, match=r"label.tif has the shape \(2, 2, 3\) and .*image.tif, .* \(3, 2, 3\)"):
        read_labelled_sections(**files)


def test_instances_that_are_no_whole_numbers_are_refused(files):
    write(files["label"], np.full((3, 2, 3), 0.5, np.float32))
    with pytest.raises(ValueError, match=r"values that are not whole \(0.5\)"):
        read_labelled_sections(**files, instances=True)


def test_a_section_that_does_not_exist_is_refused(files):
    with pytest.raises(ValueError, match=r"image.tif holds sections 0 to 2; \[3\] were asked for"):
        SectionDataset([{**files, "sections": [1, 3]}], unchanged)


def test_no_sections_are_no_data_set(files):
    with pytest.raises(ValueError, match="empty"):
        SectionDataset([], unchanged)


def test_a_map_of_classes_keeps_its_numbers_and_numbers_the_parts_of_one_class(tmp_path):
    labels = np.array([[0, 1, 2, 2], [1, 0, 2, 0]], np.uint8)
    write(tmp_path / "label.tif", labels)
    write(tmp_path / "image.tif", labels)
    (section,) = read_labelled_sections(tmp_path / "image.tif", tmp_path / "label.tif", num_classes=3)
    assert section["label"].tolist() == [labels.tolist()]
    assert section["cells"].tolist() == [[[0, 1, 2, 2], [3, 0, 2, 0]]]


def test_a_class_that_there_is_not_is_refused(files):
    write(files["label"], np.full((3, 2, 3), 3, np.uint8))
    with pytest.raises(ValueError, match=r"holds 3; with 3 classes \(background, class 1, class 2\) expected 0 to 2"):
        read_labelled_sections(**files, num_classes=3)


def test_a_section_without_cells_is_background(files):
    write(files["label"], np.zeros((3, 2, 3), np.uint8))
    assert not read_labelled_sections(**files)[0]["label"].any()


def test_the_ignore_label_is_unknown_and_no_cell(files):
    write(files["label"], np.array([[[255, 7, 255], [0, 0, 7]]] * 3, np.uint8))
    section = read_labelled_sections(**files, ignore_label=7)[0]
    assert section["ignore"].tolist() == [[[0, 1, 0], [0, 0, 1]]]
    assert section["label"].tolist() == [[[1, 0, 1], [0, 0, 0]]]


@pytest.mark.parametrize("instances", [False, True])
def test_an_ignore_label_below_0_is_no_negative_label(files, instances):
    write(files["label"], np.array([[[1, -1, 1], [0, 0, -1]]] * 3, np.int16))
    section = read_labelled_sections(**files, ignore_label=-1, instances=instances)[0]
    assert section["ignore"].tolist() == [[[0, 1, 0], [0, 0, 1]]]
    assert section["label"].tolist() == [[[1, 0, 1], [0, 0, 0]]]


def test_instances_may_be_real_numbers_that_are_whole_as_nifti_often_has_them(files):
    write(files["label"], np.array([[[2, 0, 3], [2, 0, 0]]] * 3, np.float32))
    section = read_labelled_sections(**files, instances=True)[0]
    assert section["cells"].tolist() == [[[2, 0, 3], [2, 0, 0]]]


def test_of_a_partly_annotated_section_the_background_is_unknown(files):
    section = read_labelled_sections(**files, partly_annotated=True)[0]
    assert torch.equal(section["ignore"], (section["label"] == 0).to(torch.uint8))


def test_a_section_whose_cells_have_one_number_is_a_mask(files):
    write(files["label"], np.array([[[255, 0, 255], [255, 0, 0]], [[4, 0, 4], [4, 9, 0]], [[0, 0, 7]] * 2], np.uint8))
    cells = [section["cells"].tolist() for section in read_labelled_sections(**files, instances=True)]
    assert cells == [[[[1, 0, 2], [1, 0, 0]]], [[[4, 0, 4], [4, 9, 0]]], [[[0, 0, 1]] * 2]]


def test_in_the_rim_what_is_not_in_or_beside_a_labelled_cell_is_unknown(tmp_path):
    cells = np.zeros((60, 70), np.uint16)
    cells[0:5, 30:40] = 3
    write(tmp_path / "image.tif", np.zeros(cells.shape, np.uint8))
    write(tmp_path / "label.tif", cells)
    (section,) = read_labelled_sections(tmp_path / "image.tif", tmp_path / "label.tif", instances=True, unknown_rim=12)
    ignore = section["ignore"][0].numpy()
    assert not ignore[12:-12, 12:-12].any()
    assert not ignore[0:5, 24:46].any(), "six pixels beside the cell are known"
    assert ignore[2, 23] == ignore[59, 69] == ignore[11, 60] == 1


@pytest.mark.parametrize(
    ("label", "ignore", "expected"),
    [([[0, 1]], [[0, 0]], True), ([[0, 0]], [[0, 0]], False), ([[0, 1]], [[0, 1]], False)],
)
def test_sections_without_a_known_cell_cannot_tell_good_weights_from_bad(label, ignore, expected, capsys):
    sample = {"label": torch.tensor([label]), "ignore": torch.tensor([ignore])}
    assert can_tell([sample]) is expected
    say_if_blind([sample])
    assert ("the last ones are kept" in capsys.readouterr().out) is not expected


@pytest.fixture
def masks(tmp_path):
    """Files of masks by their values, a row of three pixels each."""

    def make(*rows):
        files = []
        for number, row in enumerate(rows):
            for part in ("image", "label"):
                write(tmp_path / f"{part}{number}.tif", np.array([row], np.uint8))
            files.append({part: str(tmp_path / f"{part}{number}.tif") for part in ("image", "label")})
        return files

    return make


@pytest.mark.parametrize(
    ("rows", "inside"),
    [
        ([(1, 2, 2), (1, 1, 1)], [[0, 1, 1], [0, 0, 0]]),  # an image without a cell, as ilastik exports it
        ([(1, 2, 2), (2, 2, 2)], [[0, 1, 1], [1, 1, 1]]),
        ([(0, 255, 0), (255, 255, 255)], [[0, 1, 0], [1, 1, 1]]),  # an image that is cell all over
        ([(0, 255, 0), (0, 0, 0)], [[0, 1, 0], [0, 0, 0]]),
        ([(0, 1, 0), (0, 255, 0)], [[0, 1, 0], [0, 1, 0]]),
    ],
)
def test_which_value_is_background_is_decided_for_the_folder(masks, rows, inside):
    files = masks(*rows)
    dataset = [SectionDataset([file], unchanged, folder=files)[0] for file in files]
    assert [section["label"][0, 0].tolist() for section in dataset] == inside


def test_the_background_of_scribbles_is_not_the_ignored_value(masks):
    files = masks((0, 1, 2), (0, 1, 1), (0, 2, 2))
    dataset = SectionDataset(files, unchanged, ignore_label=0)
    assert [section["label"][0, 0].tolist() for section in dataset] == [[0, 0, 1], [0, 0, 0], [0, 1, 1]]


def test_a_mask_alone_of_one_value_has_no_cell(masks):
    (file,) = masks((1, 1, 1))
    assert not read_labelled_sections(**file)[0]["label"].any()


def test_masks_that_disagree_about_the_background_are_refused(masks):
    files = masks((0, 255, 0), (1, 2, 2))
    with pytest.raises(ValueError, match=r"label1.tif holds 1 and 2, and other masks of the folder 0"):
        SectionDataset(files, unchanged)


def test_ignored_pixels_alone_have_no_background(masks):
    assert background_of(masks((7, 7, 7)), ignore_label=7) == 0


def test_labels_of_mirrored_axes_are_put_onto_the_image(tmp_path):
    volume = np.arange(6, dtype=np.uint8).reshape(3, 2, 1) % 2
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), tmp_path / "image.nii")
    mirrored = np.array([[-1, 0, 0, 2], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    nibabel.save(nibabel.Nifti1Image(volume[::-1], mirrored), tmp_path / "label.nii")
    (section,) = read_labelled_sections(tmp_path / "image.nii", tmp_path / "label.nii")
    assert torch.equal(section["label"], section["image"])
