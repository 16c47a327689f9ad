"""A bundle with other values than those that its folder and the bundle to start from suggest."""

import json

import numpy as np
import pytest
import tifffile

from monai_unet.recipes.create import new_bundle


@pytest.fixture
def one_section(tmp_path):
    rng = np.random.default_rng(0)
    for part, values in (("images", rng.integers(0, 255, (80, 80), np.uint8)), ("labels", np.eye(80, dtype=np.uint8))):
        (tmp_path / "data" / part).mkdir(parents=True)
        tifffile.imwrite(tmp_path / "data" / part / "a.tif", values)
    return tmp_path / "data"


def test_one_section_will_do_where_none_validates_and_the_last_weights_are_kept(one_section, tmp_path):
    made = new_bundle("b", one_section, out=tmp_path / "b", labels="instances", values={"validation": 0, "epochs": 7})
    train = json.loads((made.folder / "configs" / "train.json").read_text())
    assert (train["validation"], train["epochs"]) == (0, 7)
    savers = [each for each in train["validate"]["handlers"] if each["_target_"].endswith("SaveBest")]
    assert [each["can_tell"] for each in savers] == [False]


def test_one_section_is_refused_where_some_validate(one_section, tmp_path):
    with pytest.raises(ValueError, match="is a single section; at least two are needed"):
        new_bundle("b", one_section, out=tmp_path / "b", labels="instances")


def test_values_are_in_all_configs_that_have_the_knob_and_on_the_card(one_section, tmp_path):
    values = {"validation": 0, "features": [2, 3, 4], "batch_size": 3}
    folder = new_bundle("b", one_section, out=tmp_path / "b", labels="instances", values=values).folder
    configs = {name: json.loads((folder / "configs" / f"{name}.json").read_text()) for name in ("train", "inference")}
    assert configs["train"]["features"] == configs["inference"]["features"] == [2, 3, 4]
    assert configs["train"]["batch_size"] == 3
    assert "| as given | `features` = `[2, 3, 4]` |" in (folder / "docs" / "README.md").read_text()


def test_values_are_checked_as_knobs(one_section, tmp_path):
    with pytest.raises(ValueError, match="batch_size"):
        new_bundle("b", one_section, out=tmp_path / "b", labels="instances", values={"batch_size": 0, "validation": 0})
    with pytest.raises(ValueError, match="there is no knob batches"):
        new_bundle("b", one_section, out=tmp_path / "b", labels="instances", values={"batches": 1, "validation": 0})
