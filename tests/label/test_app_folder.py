"""The app folder, and how the server is started; MONAI Label is not needed for these."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
import torch

from monai_unet import cli
from monai_unet.io import write_found
from monai_unet.label import server
from monai_unet.label.app_folder import make_app
from monai_unet.prediction.load import bundle_parser

REPOSITORY = Path(__file__).parents[2]
ISBI, HELA = (REPOSITORY / "bundles" / name for name in ("isbi", "dic_hela"))
NARROW = {"features": [2, 3, 4], "ckpt_dir": "not there"}


def weights(app, name="isbi"):
    return torch.load(app / "model" / name / "models" / "model.pt", weights_only=True)


def test_bundles_are_copied_with_their_overrides(tmp_path):
    lines = make_app(tmp_path, [ISBI, HELA], {**NARROW, "min_size": 7})
    assert [line.split(":")[0] for line in lines] == ["dic_hela", "isbi"]
    for bundle in (ISBI, HELA):
        copy = tmp_path / "model" / bundle.name / "configs"
        for name in ("train", "inference"):
            config, original = (
                json.loads((folder / f"{name}.json").read_text()) for folder in (copy, bundle / "configs")
            )
            assert config["features"] == [2, 3, 4]
            assert config["ckpt_dir"] == original["ckpt_dir"], "what is trained stays in the app"
            assert ("min_size" in config) == ("min_size" in original)
        name, original = (
            json.loads((part / "metadata.json").read_text())["name"] for part in (copy, bundle / "configs")
        )
        assert name == original


def test_without_weights_the_network_is_untrained_and_said_to_be(tmp_path):
    [line] = make_app(tmp_path, [ISBI], NARROW)
    assert "UNTRAINED" in line
    assert weights(tmp_path)["head.weight"].shape == (2, 2, 1, 1)


def test_the_bundles_weights_are_copied_once_and_those_in_the_app_kept(tmp_path):
    make_app(tmp_path / "first", [ISBI], NARROW)
    start = tmp_path / "first" / "model" / "isbi" / "models"
    overrides = {**NARROW, "ckpt_dir": str(start)}
    app = tmp_path / "app"
    assert "copied from" in make_app(app, [ISBI], overrides)[0]
    assert torch.equal(weights(app)["head.weight"], weights(tmp_path / "first")["head.weight"])
    trained = {name: value + 1 for name, value in weights(app).items()}
    torch.save(trained, app / "model" / "isbi" / "models" / "model.pt")
    assert "as they are" in make_app(app, [ISBI], overrides)[0]
    assert torch.equal(weights(app)["head.weight"], trained["head.weight"])


@pytest.mark.parametrize(
    ("bundles", "overrides", "message"),
    [
        ([ISBI, ISBI], {}, "have the same name"),
        ([ISBI], {"featurs": [2]}, "has the name featurs"),
        ([REPOSITORY], {}, r"inference.json does not exist"),
    ],
)
def test_what_cannot_be_served_is_refused(tmp_path, bundles, overrides, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        make_app(tmp_path, bundles, overrides)


def test_a_name_that_monai_label_takes_for_another_task_is_refused(tmp_path):
    (tmp_path / "cell_detection").symlink_to(ISBI)
    folder = tmp_path / "Nuclei_Detection"
    (folder / "configs").mkdir(parents=True)
    for name in ("inference", "train"):
        (folder / "configs" / f"{name}.json").write_text((ISBI / "configs" / f"{name}.json").read_text())
    with pytest.raises(ValueError, match="another task"):
        make_app(tmp_path / "app", [folder])


def test_a_bundle_that_restores_images_is_refused(tmp_path):
    with pytest.raises(ValueError, match="denoise restores images, and MONAI Label draws labels"):
        make_app(tmp_path / "app", [ISBI.with_name("denoise")])
    assert not (tmp_path / "app").exists()


def test_weights_of_another_width_are_refused(tmp_path):
    make_app(tmp_path, [ISBI], NARROW)
    with pytest.raises(ValueError, match="the weights of another network"):
        make_app(tmp_path, [ISBI], {**NARROW, "features": [3, 4, 5]})


@pytest.fixture
def started(monkeypatch, tmp_path):
    """What `monai-unet label` would have started."""
    calls = []
    monkeypatch.setattr(server, "check_server", lambda studies: None)
    monkeypatch.setattr(os, "execve", lambda *arguments: calls.append(arguments))
    (tmp_path / "studies").mkdir()

    def run(*arguments):
        command = ["label", "--studies", str(tmp_path / "studies"), "--bundle", str(ISBI), "--features", "[2,3,4]"]
        assert cli.main([*command, "--ckpt_dir", "none", *arguments]) == 0
        return calls[0]

    return run


def test_the_server_binds_to_the_loopback_unless_told_otherwise(started, capsys):
    program, command, _ = started()
    assert program == sys.executable
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert capsys.readouterr().err == ""


def test_another_address_has_to_be_named_and_is_warned_about(started, capsys):
    command = started("--host", "0.0.0.0")[1]
    assert command[command.index("--host") + 1] == "0.0.0.0"
    assert "whoever reaches port 8000" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("example.org", False),
    ],
)
def test_what_only_this_machine_reaches(host, expected):
    assert server.is_loopback(host) is expected


def test_settings_of_the_environment_win(tmp_path):
    environment = server.server_environment(tmp_path, {"MONAI_LABEL_TRACKING_ENABLED": "true", "HOME": "/h"})
    assert environment["MONAI_LABEL_TRACKING_ENABLED"] == "true"
    assert environment["HOME"] == "/h"
    assert "*.tiff" in json.loads(environment["MONAI_LABEL_DATASTORE_FILE_EXT"])


def test_without_monai_label_the_command_says_how_to_get_it(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert cli.main(["label", "--studies", str(tmp_path)]) == 2
    assert "make label" in capsys.readouterr().err


def test_what_was_found_for_the_weights_comes_along(tmp_path, pytestconfig):
    bundle = tmp_path / "cells"
    shutil.copytree(pytestconfig.rootpath / "bundles" / "dic_hela_compact", bundle)
    found = {"values": {"threshold": 0.6}, "score": "SEG", "sections": "a", "tried": {}}
    write_found(bundle / "models" / "model.pt", found)
    make_app(tmp_path / "app", [bundle], {})
    decoding = bundle_parser(str(tmp_path / "app" / "model" / "cells")).get_parsed_content("decoding")
    assert decoding.threshold == 0.6


def test_the_channel_of_borders_is_no_label_to_draw(tmp_path, pytestconfig):
    make_app(tmp_path / "app", [pytestconfig.rootpath / "bundles" / "dic_hela_compact"], {})
    path = tmp_path / "app" / "model" / "dic_hela_compact" / "configs" / "metadata.json"
    metadata = json.loads(path.read_text())
    assert metadata["network_data_format"]["outputs"]["pred"]["channel_def"] == {"0": "background", "1": "cell"}
