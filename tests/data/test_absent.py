import pytest

from monai_unet.data import files_if_there, labelled_files, named, need, split_files
from monai_unet.data.absent import NoFiles


def test_a_missing_folder_has_no_files_which_are_refused_when_they_are_needed(tmp_path):
    files = files_if_there(labelled_files, tmp_path / "cells")
    assert list(files) == []
    with pytest.raises(FileNotFoundError, match="cells does not exist; expected a folder in"):
        need(files)


def test_what_is_wrong_with_a_folder_that_is_there_is_an_error_at_once(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no labelled images"):
        files_if_there(labelled_files, tmp_path)


def test_files_that_are_there_are_found_as_ever():
    assert files_if_there(lambda folder, *how, **more: [folder, *how, more], "a", 1, b=2) == ["a", 1, {"b": 2}]
    need([])


def test_no_files_are_split_into_no_files_and_named_by_their_reason():
    files = NoFiles(FileNotFoundError("cells does not exist; expected a folder"))
    assert split_files(files) == (files, files)
    assert named(files) == "nothing (cells does not exist)"
