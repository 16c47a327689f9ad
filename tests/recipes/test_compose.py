import json
from pathlib import Path

import pytest
from monai.bundle import ConfigParser

from monai_unet.knobs import knobs
from monai_unet.recipes.compose import CONFIGS, KINDS, Recipe, compose, dumps, names, shipped
from monai_unet.transforms import Decoding

BUNDLES = Path(__file__).parents[2] / "bundles"


@pytest.mark.parametrize("name", names())
def test_what_the_recipe_writes_is_what_is_committed(name):
    """`make bundles` writes them."""
    for config, content in compose(shipped(name)).items():
        for folder in (BUNDLES / name, BUNDLES / name / "configs"):
            assert (folder / f"{config}.json").read_text(encoding="utf-8") == dumps(content), config
    assert (BUNDLES / name / "logging.conf").read_bytes() == (BUNDLES / name / "configs" / "logging.conf").read_bytes()


def test_no_file_of_a_bundle_is_a_link_which_windows_would_check_out_as_a_text():
    assert not [path for path in BUNDLES.rglob("*") if path.is_symlink()]


def test_every_bundle_of_the_project_has_a_recipe():
    assert names() == sorted(path.parents[1].name for path in BUNDLES.glob("*/configs/train.json"))


@pytest.mark.parametrize("kind", KINDS)
def test_what_training_and_inference_share_is_the_same_in_both(kind):
    configs = compose(Recipe(kind))
    for name in ("network_def", "decoding", *(name for name, knob in knobs().items() if knob.acts_on == "meaning")):
        if name in configs["train"] and not (name in knobs() and knobs()[name].found):
            assert configs["train"][name] == configs["inference"][name]


@pytest.mark.parametrize("config", ["evaluate", "inference"])
def test_evaluation_and_inference_take_what_training_found_or_else_the_recipes_value(config):
    configs = compose(Recipe("cells", {"min_size": 70}))
    assert configs["train"]["min_size"] == 70
    assert configs[config]["min_size"] == "$io.found_value(@ckpt_path, 'min_size', 70)"


@pytest.mark.parametrize("separation", ["gap", "distance"])
def test_the_network_has_a_channel_for_each_that_the_decoding_reads(separation):
    train = compose(Recipe("cells"))["train"]
    decoding = Decoding(train["classes"], objects=True, separation=separation)
    parser = ConfigParser({**train, "separation": separation})
    assert parser.get_parsed_content("network_def::out_channels") == decoding.channels


@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_run_compares_every_knob_that_is_not_free(kind):
    train = compose(Recipe(kind))["train"]
    handlers = train["train"]["handlers"]
    settings = next(each["settings"] for each in handlers if each["_target_"].endswith("SaveLast"))
    present = {name for name in train if name in knobs()}
    fixed = {name for name in present if knobs()[name].resume == "fixed"}
    assert {name for name in settings if name in knobs()} == fixed
    assert present - fixed == {name for name in present if knobs()[name].resume == "free"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_plain_value_on_top_of_a_config_is_a_knob(kind):
    for name in ("train", "evaluate", "inference"):
        config = compose(Recipe(kind))[name]
        plain = {key for key, value in config.items() if not isinstance(value, dict | str)}
        assert plain - set(knobs()) <= {
            "imports",
            "initialize",
            "training",
            "evaluating",
            "inference",
            "predicting",
            "run",
        } | {
            "handlers",
            "validate::handlers",
        }


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_that_stands_for_something_else_is_left(kind):
    for config in compose(Recipe(kind, {"classes": ["a", "b"]})).values():
        text = json.dumps(config)
        for mark in ("_knobs_", "_model_", "_only_", "_value_", "_each_class_", "_fixed_knobs_", "_model_knobs_"):
            assert mark not in text
    assert set(compose(Recipe(kind))) == set(CONFIGS)


def test_a_value_that_its_knob_does_not_allow_is_refused():
    with pytest.raises(ValueError, match="elastic_prob 3: expected a number, at least 0, at most 1"):
        compose(Recipe("cells", {"elastic_prob": 3}))


def test_a_knob_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="there is no knob lerning_rate"):
        compose(Recipe("cells", {"lerning_rate": 0.1}))


def test_a_change_at_a_place_that_is_not_there_is_refused():
    with pytest.raises(KeyError, match="optimiser"):
        compose(Recipe("cells", changes={"train": {"optimiser::lr": 1}}))


def test_a_config_is_written_on_one_line_where_it_fits_and_reads_back():
    config = {"a": 1, "b": {"c": [1, 2]}, "d": {"long": ["x" * 50, "y" * 70]}, "e": 2}
    text = dumps(config)
    assert json.loads(text) == config
    assert text.startswith('{\n  "a": 1,\n  "b": { "c": [1, 2] },\n\n  "d": {\n    "long": [\n')
    assert text.endswith('  },\n\n  "e": 2\n}\n')


def test_the_page_of_the_knobs_is_the_committed_one():
    from monai_unet.recipes.write import knobs_page

    assert (BUNDLES.parent / "docs" / "knobs.md").read_text(encoding="utf-8") == knobs_page()
