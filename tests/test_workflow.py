"""What a bundle checks first when MONAI runs it, on a bundle of three lines."""

import json
import os

import pytest
from monai.bundle import ConfigParser, ConfigWorkflow

from monai_unet.errors import cause_under_monai
from monai_unet.workflow import check_config

CONFIG = {
    "imports": ["$import monai_unet.workflow as workflow"],
    "bundle_root": "$workflow.bundle_root()",
    "ckpt_dir": "$@bundle_root + '/models'",
    "epochs": 2,
    "learning_rate": 0.1,
    "elastic_prob": 0.5,
    "resume": True,
    "unused": 1,
    "trainer": {"_target_": "monai.engines.SupervisedTrainer", "max_epochs": "@epochs", "lr": ["@learning_rate"]},
    "initialize": ["$workflow.begin()"],
    "run": ["$@trainer", "$@elastic_prob", "$@resume"],
    "other": ["$@unused"],
}


def check(given, command="run"):
    merged = ConfigParser(json.loads(json.dumps(CONFIG)))
    merged.update(given)
    check_config(merged.get(), [CONFIG], ("initialize", command, "finalize"), command)


def refusal(given, command="run"):
    """What is said against values; None where they are taken."""
    try:
        return check(given, command)
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize("given", [{"epochs": 5, "learning_rate": 1e-3}, {"trainer::max_epochs": 7}])
def test_what_is_read_may_be_given(given):
    assert refusal(given) is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"lerning_rate": 1}, "lerning_rate is not a name .*; did you mean learning_rate"),
        ({"treshold": 0.9}, "treshold is not a name of the bundle's configs, and nothing reads it"),
        ({"unused": 2}, "unused does nothing in run: leave it out"),
        (
            {"trainer#max_epoch": 3},
            r"trainer::max_epoch: .*SupervisedTrainer takes no max_epoch; did you mean max_epochs",
        ),
        ({"resume": "false"}, "resume 'false': expected True or False"),
        ({"elastic_prob": 3}, "elastic_prob 3: expected a number, at least 0, at most 1"),
        ({"trainer#max_epochs": 0}, "trainer::max_epochs 0: expected a whole number, at least 1"),
        ({"trainer#lr": ["fast"]}, "trainer::lr::0 'fast': expected a number"),
    ],
)
def test_what_would_do_nothing_or_is_not_allowed_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        check(given)


def test_what_another_command_reads_is_refused_in_this_one_only():
    assert refusal({"unused": 2}, "other") is None
    assert "epochs does nothing in other" in refusal({"epochs": 5}, "other")


def test_a_name_that_the_given_values_themselves_refer_to_is_taken():
    assert refusal({"epochs": "$@mine + 1", "mine": 3}) is None
    assert "mine is not a name" in refusal({"mine": 3})


@pytest.mark.parametrize("given", [{"percentiles": [5, 95]}, {"percentiles::0": 5}, {"percentiles": None}])
def test_a_knob_that_another_one_keeps_from_acting_is_refused(given):
    config = {**CONFIG, "normalise": "dataset", "percentiles": [1, 99.8], "run": ["$@percentiles", "$@normalise"]}
    merged = ConfigParser(json.loads(json.dumps(config)))
    merged.update(given)
    with pytest.raises(ValueError, match="percentiles does nothing with normalise dataset"):
        check_config(merged.get(), [config], ("run",), "run")


@pytest.fixture
def bundle(tmp_path):
    folder = tmp_path / "a bundle"
    (folder / "configs").mkdir(parents=True)
    config = {**CONFIG, "run": ["$print('root', @bundle_root)", "@ckpt_dir"]}
    (folder / "configs" / "train.json").write_text(json.dumps(config))
    (folder / "train.json").write_text(json.dumps(config))
    return folder


def run(*files, **given):
    options = {"workflow_type": "train", "logging_file": False, "meta_file": []}
    workflow = ConfigWorkflow([str(file) for file in files], **{**options, **given})
    workflow.initialize()
    workflow.run()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epochs": "$0"}, "epochs 0: expected a whole number, at least 1"),
        ({"epochs": "$1 / 0"}, "epochs '$1 / 0': ZeroDivisionError: division by zero"),
        ({"epochs": "@nothing"}, "`@nothing` is not defined"),
        ({"learning_rate": "$float('inf')"}, "learning_rate inf: expected a number, at least 0"),
        ({"features": [4, "$2 - 2"]}, "features [4, 0]: expected a list of 2 or more whole numbers, at least 1"),
        ({"trainer#max_epochs": "$-1"}, "trainer::max_epochs -1: expected a whole number, at least 1"),
        ({"run_id": "trianing"}, "trianing is nothing that the config can run: there are training, run; did you mean"),
    ],
)
def test_what_an_expression_gives_is_checked_before_anything_runs(bundle, given, message, capsys):
    config = {**CONFIG, "features": [2, 3], "run": ["$print('it runs')", "@features", "$@trainer"], "training": []}
    for place in ("configs/train.json", "train.json"):
        (bundle / place).write_text(json.dumps(config))
    with pytest.raises(RuntimeError) as caught:
        run(bundle / "train.json", **given)
    assert message in str(cause_under_monai(caught.value))
    assert "it runs" not in capsys.readouterr().out


@pytest.mark.parametrize("place", ["configs/train.json", "train.json"])
def test_a_bundle_lies_where_its_config_lies(bundle, place, capsys):
    run(bundle / place)
    out = capsys.readouterr().out
    assert f"bundle {bundle}, weights in {bundle}/models\n" in out
    assert f"root {bundle}\n" in out


@pytest.mark.parametrize("place", ["configs/train.json", "train.json"])
def test_a_config_of_which_one_copy_was_changed_is_refused(bundle, place):
    config = json.loads((bundle / "train.json").read_text())
    (bundle / "train.json").write_text(json.dumps({**config, "epochs": 3}))
    with pytest.raises(RuntimeError) as caught:
        run(bundle / place)
    assert "train.json are copies of one config, and they differ" in str(cause_under_monai(caught.value))


def test_a_link_from_elsewhere_leads_to_the_bundle(bundle, tmp_path, capsys):
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "mine.json").symlink_to(bundle / "configs" / "train.json")
    run(tmp_path / "links" / "mine.json")
    assert f"root {bundle}\n" in capsys.readouterr().out


def test_of_a_list_of_configs_the_first_one_says_where(bundle, tmp_path, capsys):
    (tmp_path / "more.json").write_text(json.dumps({"ckpt_dir": "elsewhere"}))
    run(bundle / "train.json", tmp_path / "more.json")
    assert f"bundle {bundle}, weights in elsewhere\n" in capsys.readouterr().out


def test_another_bundle_as_the_root_is_refused(bundle, tmp_path):
    (tmp_path / "other" / "configs").mkdir(parents=True)
    with pytest.raises(RuntimeError) as caught:
        run(bundle / "train.json", bundle_root=str(tmp_path / "other"))
    assert "is another bundle than the one of the config" in str(cause_under_monai(caught.value))


def test_a_copied_bundle_does_not_take_the_originals_folder(bundle, tmp_path, monkeypatch, capsys):
    copy = tmp_path / "copy"
    os.system(f"cp -r '{bundle}' '{copy}'")
    monkeypatch.chdir(tmp_path)
    run("copy/train.json")
    assert "bundle copy, weights in copy/models\n" in capsys.readouterr().out


def test_a_parser_without_a_workflow_asks_for_the_root(bundle):
    parser = ConfigParser(CONFIG)
    with pytest.raises(RuntimeError) as caught:
        parser.get_parsed_content("bundle_root")
    assert "set `bundle_root` to its folder" in str(cause_under_monai(caught.value))
