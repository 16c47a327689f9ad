from pathlib import Path

import pytest

from monai_unet.recipes.compose import names
from monai_unet.shipped import bundle_folder, shipped_bundles


def test_every_recipe_has_a_bundle():
    assert list(shipped_bundles()) == names()


def test_a_name_stands_for_the_folder_of_the_bundle():
    assert bundle_folder("isbi_compact") == shipped_bundles()["isbi_compact"]
    assert (bundle_folder("isbi_compact") / "models" / "model.pt").is_file()


def test_a_folder_goes_before_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("isbi").mkdir()
    assert bundle_folder("isbi") == shipped_bundles()["isbi"]
    Path("isbi/configs").mkdir()
    Path("isbi/configs/inference.json").write_text("{}")
    assert bundle_folder("isbi") == Path("isbi")


def test_what_is_neither_is_refused_with_the_names_that_there_are():
    with pytest.raises(FileNotFoundError, match=r"nothing is not a bundle: .*, dic_hela, .*isbi_compact"):
        bundle_folder("nothing")


def test_a_config_that_is_not_json_is_named_with_the_line(tmp_path):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "inference.json").write_text("{}")
    (tmp_path / "configs" / "train.json").write_text('{\n"epochs": 3\n"min_size": 4\n}')
    with pytest.raises(ValueError, match=r"train\.json is not JSON: Expecting ',' delimiter, at line 3, column 1"):
        bundle_folder(tmp_path)


def test_a_bundle_whose_copies_of_a_config_differ_is_refused(tmp_path):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "inference.json").write_text('{"min_size": 43}')
    (tmp_path / "inference.json").write_text('{"min_size": 20}')
    with pytest.raises(ValueError, match="are copies of one config, and they differ"):
        bundle_folder(tmp_path)
