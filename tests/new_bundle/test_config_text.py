import json
from pathlib import Path

import pytest

from monai_unet.new_bundle.config_text import has, remove, set_values

TEXT = """{
  "imports": ["$import os"],

  "a": 1,
  "tile": [1, 2],
  "train": {
    "handlers": [
      { "_target_": "package.First", "path": "here" },
      { "_target_": "package.Second", "a": [1] }
    ],
    "train::handlers": 3
  },
  "validate::handlers": [{ "_target_": "Report", "title": "old" }]
}
"""
BUNDLES = Path(__file__).parents[2] / "bundles"


def test_a_value_is_replaced_and_all_else_stays_as_it_was_written():
    assert set_values(TEXT, {"a": "x y", "tile": None}) == TEXT.replace('"a": 1,', '"a": "x y",').replace(
        '"tile": [1, 2]', '"tile": null'
    )


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("train::handlers::0::path", '"here"', "9"),
        ("train::handlers::First::path", '"here"', "9"),
        ("train::handlers::Second::a::0", "[1] }", "[9] }"),
        ("validate::handlers::Report::title", '"old"', "9"),
        ("train::train::handlers", "3", "9"),
    ],
)
def test_an_id_finds_its_value_by_number_and_by_target(name, old, new):
    assert set_values(TEXT, {name: 9}) == TEXT.replace(old, new)


def test_a_new_name_goes_before_the_next_one_that_is_there():
    changed = set_values(TEXT, {"classes": ["b"], "other": 2, "tile": 5})
    assert list(json.loads(changed)) == ["imports", "a", "classes", "other", "tile", "train", "validate::handlers"]
    assert '\n  "classes": ["b"],\n  "other": 2,\n  "tile": 5,\n' in changed


def test_a_new_name_with_none_to_follow_goes_to_the_end():
    assert list(json.loads(set_values(TEXT, {"last": {}})))[-1] == "last"


def test_a_new_name_below_another_goes_to_its_end():
    assert set_values(TEXT, {"train::handlers::First::more": 1}) == TEXT.replace('"here" }', '"here", "more": 1 }')


def test_a_value_that_is_too_long_for_a_line_is_written_an_entry_a_line():
    changed = set_values(TEXT, {"a": {"one": "x" * 60, "two": ["y" * 40, 1]}})
    assert f'  "a": {{\n    "one": "{"x" * 60}",\n    "two": ["{"y" * 40}", 1]\n  }},\n  "tile"' in changed


@pytest.mark.parametrize(
    "name", ["imports", "a", "validate::handlers", "train::handlers::First", "train::handlers::Second::a"]
)
def test_what_is_removed_leaves_valid_json_without_it(name):
    changed = remove(TEXT, name)
    assert has(TEXT, name)
    assert not has(changed, name)
    assert len(str(json.loads(changed))) < len(str(json.loads(TEXT)))


def test_what_is_not_there_is_a_key_error():
    for name in ("b", "train::b::c", "train::handlers::Third"):
        with pytest.raises(KeyError):
            remove(TEXT, name)
    with pytest.raises(KeyError):
        set_values(TEXT, {"train::b::c": 1})


@pytest.mark.parametrize("bundle", ["dic_hela", "isbi", "phc_u373"])
def test_every_value_on_top_of_the_templates_can_be_set_alone(bundle):
    text = (BUNDLES / bundle / "configs" / "train.json").read_text()
    for name in json.loads(text):
        changed = json.loads(set_values(text, {name: "new"}))
        assert changed == {**json.loads(text), name: "new"}
