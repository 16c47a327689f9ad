from pathlib import Path

import numpy as np
import pytest
import tifffile

from monai_unet.data import folds_of, labelled_files, named, paths, shared, split_files, split_sections, write_synthetic


def write(path, sections=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (sections, 4, 5) if sections > 1 else (4, 5)
    tifffile.imwrite(path, np.zeros(shape, np.uint8), photometric="minisblack", compression="lzw")


@pytest.fixture
def challenge(tmp_path):
    for sequence, labelled in (("01", (2, 5)), ("02", (0, 7, 8))):
        for frame in range(9):
            write(tmp_path / sequence / f"t{frame:03d}.tif")
        for frame in labelled:
            write(tmp_path / f"{sequence}_GT" / "SEG" / f"man_seg{frame:03d}.tif")
    return tmp_path


@pytest.fixture
def folders(tmp_path):
    for name in ("b.tif", "a.tif", "c.tif", "d.tif"):
        write(tmp_path / "images" / name)
        write(tmp_path / "labels" / name)
    return tmp_path


def names(part):
    return [file["name"] for file in part]


def test_the_frames_with_labels_are_found_in_the_challenges_layout(challenge):
    assert names(labelled_files(challenge)) == ["01/t002", "01/t005", "02/t000", "02/t007", "02/t008"]


def test_an_image_goes_with_the_label_of_its_number(challenge):
    file = labelled_files(challenge)[1]
    assert (file["image"], file["label"]) == (
        str(challenge / "01" / "t005.tif"),
        str(challenge / "01_GT" / "SEG" / "man_seg005.tif"),
    )


def test_images_and_labels_are_paired_by_name_whatever_their_ending(folders):
    (folders / "labels" / "c.tif").rename(folders / "labels" / "c.TIFF")
    found = labelled_files(folders)
    assert names(found) == ["a", "b", "c", "d"]
    assert found[2]["label"].endswith("c.TIFF")


def test_an_image_without_a_label_is_refused_by_name(folders):
    (folders / "labels" / "c.tif").unlink()
    with pytest.raises(FileNotFoundError, match=r"c.tif has no partner in .*labels"):
        labelled_files(folders)


def test_a_label_without_its_frame_is_refused(challenge):
    (challenge / "02" / "t007.tif").unlink()
    with pytest.raises(FileNotFoundError, match=r"t007.tif does not exist; .*man_seg007.tif is its label"):
        labelled_files(challenge)


def test_another_layout_is_refused_with_what_was_found(tmp_path):
    write(tmp_path / "pictures" / "a.tif")
    with pytest.raises(FileNotFoundError, match=r"holds no labelled images; expected .*found pictures"):
        labelled_files(tmp_path)


def test_where_images_lie_beside_labels_of_another_name_the_name_is_told(tmp_path):
    write(tmp_path / "images" / "a.tif")
    write(tmp_path / "masks" / "a.tif")
    with pytest.raises(FileNotFoundError, match=r"found images, masks; rename the folder of their labels to labels"):
        labelled_files(tmp_path)


def test_where_a_bundles_data_set_is_missing_the_command_that_fetches_it_is_told(tmp_path):
    folder = tmp_path / "datasets" / "phc_u373" / "data"
    with pytest.raises(FileNotFoundError, match=f"`monai-unet data phc_u373 --out {folder}` puts it there"):
        labelled_files(folder)


def test_partly_annotated_images_are_marked(challenge):
    assert [f["partly_annotated"] for f in labelled_files(challenge, ["01/t005"])] == [False, True, False, False, False]


def test_a_partly_annotated_image_that_is_not_there_is_refused(challenge):
    with pytest.raises(ValueError, match="partly_annotated names 01/6"):
        labelled_files(challenge, ["01/6"])


@pytest.mark.parametrize("frame", ["03/t006", "01/t006"])
def test_a_partly_annotated_frame_that_has_no_label_here_is_passed_over(challenge, frame):
    assert len(labelled_files(challenge, [frame])) == 5


def test_the_last_of_two_sequences_validates(challenge):
    training, validation = split_files(labelled_files(challenge))
    assert names(training) == ["01/t002", "01/t005"]
    assert names(validation) == ["02/t000", "02/t007", "02/t008"]


def test_a_sequence_can_be_named(challenge):
    assert names(split_files(labelled_files(challenge), "01")[1]) == ["01/t002", "01/t005"]


def test_without_sequences_the_last_block_validates(folders):
    training, validation = split_files(labelled_files(folders), 0.25)
    assert (names(training), names(validation)) == (["a", "b", "c"], ["d"])


def test_sections_of_stacks_are_split_as_sections(tmp_path):
    for part in ("images", "labels"):
        write(tmp_path / part / "a.tif", 3)
        write(tmp_path / part / "b.tif", 5)
    training, validation = split_files(labelled_files(tmp_path), [2, 3, 7])
    assert [(f["name"], f["sections"]) for f in training] == [("a", [0, 1]), ("b", [1, 2, 3])]
    assert [(f["name"], f["sections"]) for f in validation] == [("a", [2]), ("b", [0, 4])]


def test_a_sequence_that_is_not_there_is_refused(challenge):
    with pytest.raises(ValueError, match="the sequences are 01, 02"):
        split_files(labelled_files(challenge), "03")


def test_paths_are_told_once_and_in_order(challenge):
    files = labelled_files(challenge)
    validation, training = files[:1], files[1:]
    assert paths([*training, *validation, *validation]) == [f[part] for f in files for part in ("image", "label")]


def test_a_file_without_a_name_goes_by_its_path():
    assert named([{"image": "x/a.tif"}, {"image": "x/b.tif", "sections": [0, 2]}]) == "x/a.tif, x/b.tif [0, 2]"


def test_validation_sections_of_a_file_that_trains_are_said_to_be():
    one, other = {"image": "a.tif", "sections": [0, 1]}, {"image": "b.tif"}
    assert "of the same file as training sections" in shared([one], [{"image": "a.tif", "sections": [2]}, other])
    assert shared([one], [other]) == ""


def test_a_folder_of_isbi_2012_is_one_file_of_many_sections(tmp_path):
    write_synthetic(tmp_path, num_sections=6, size=64)
    files = labelled_files(tmp_path)
    assert [(file["name"], file["sequence"]) for file in files] == [("train-volume", "")]
    parts = split_files(files, 1 / 6, None)
    assert [[file["sections"] for file in part] for part in parts] == [
        [list(part)] for part in split_sections(6, 1 / 6)
    ]


def test_a_folder_of_isbi_2012_is_checked(tmp_path):
    write_synthetic(tmp_path, num_sections=6, size=64)
    (tmp_path / "train-labels.tif").unlink()
    with pytest.raises(FileNotFoundError, match=r"train-labels\.tif not found"):
        labelled_files(tmp_path)


def test_silver_truth_is_taken_when_it_is_asked_for_and_gold_where_both_exist(challenge):
    for number in ("000", "777"):
        write(challenge / "01" / f"t{number}.tif")
        write(challenge / "01_ST" / "SEG" / f"man_seg{number}.tif")
    write(challenge / "01_GT" / "SEG" / "man_seg000.tif")

    def labels(truth):
        files = labelled_files(challenge, truth=truth)
        return {file["name"]: Path(file["label"]).parts[-3] for file in files if file["sequence"] == "01"}

    assert labels("silver") == {"01/t000": "01_ST", "01/t777": "01_ST"}
    both = labels("both")
    assert (both["01/t000"], both["01/t777"]) == ("01_GT", "01_ST")
    assert set(labels("gold").values()) == {"01_GT"}
    with pytest.raises(ValueError, match="truth 'bronze': one of gold, silver, both"):
        labelled_files(challenge, truth="bronze")


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (2, ([[0, 1], [2, 3, 4]], "sequences")),
        (3, ([[0, 1], [2], [3, 4]], "files")),  # as many sequences as that there are not
    ],
)
def test_folds_are_blocks_of_sequences_or_of_files(challenge, number, expected):
    assert folds_of(labelled_files(challenge), number) == expected


def test_a_file_of_several_sections_is_in_one_fold_where_there_are_as_many_files(folders):
    for name in ("a.tif", "c.tif"):
        write(folders / "images" / name, 3)
        write(folders / "labels" / name, 3)
    assert folds_of(labelled_files(folders), 3) == ([[0, 1, 2], [3], [4, 5, 6, 7]], "files")
    assert folds_of(labelled_files(folders), 5) == ([[0, 1], [2], [3, 4], [5], [6, 7]], "sections")


def test_folds_are_of_the_sections_that_take_part_alone(folders):
    assert folds_of(labelled_files(folders), 2, [0, 2, 3]) == ([[0, 2], [3]], "files")


def test_an_image_where_a_folder_is_wanted_is_said_to_be_a_file(tmp_path):
    write(tmp_path / "a.tif")
    with pytest.raises(FileNotFoundError, match=r"a\.tif is a file; expected a folder in"):
        labelled_files(tmp_path / "a.tif")
