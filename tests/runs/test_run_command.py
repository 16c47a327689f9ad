"""`monai-unet train` and `evaluate` are MONAI's commands in short."""

import shutil

import pytest
import torch
from bundle_runs import REPOSITORY, command

import monai_unet
from monai_unet.cli import main
from monai_unet.data import write_synthetic

SMALL = ("--features", "[2,3,4]", "--tile", "60", "--inference_tile", "60", "--epochs", "2", "--val_interval", "1")


@pytest.fixture(scope="module")
def sections(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sections")
    write_synthetic(folder, num_sections=4, size=96, seed=0, num_test_sections=0)
    return folder


@pytest.fixture
def bundle(tmp_path):
    return shutil.copytree(REPOSITORY / "bundles" / "isbi", tmp_path / "isbi")


@pytest.mark.slow
def test_train_is_monais_training_bit_for_bit(bundle, sections, tmp_path):
    data = ("--dataset_dir", str(sections), "--device", "cpu")
    assert main(["train", str(bundle), *data, *SMALL]) == 0
    places = ("--ckpt_dir", tmp_path / "other", "--output_dir", tmp_path / "other")
    done = command("training", "--config_file", bundle / "configs" / "train.json", *data, *SMALL, *places)
    assert done.returncode == 0, done.stderr
    one, other = (
        torch.load(folder / "model.pt", weights_only=True) for folder in (bundle / "models", tmp_path / "other")
    )
    assert all(torch.equal(one[name], other[name]) for name in {**one, **other})
    read_by_both = (*data, *SMALL[:2], *SMALL[4:6])
    assert main(["evaluate", str(bundle), *read_by_both]) == 0
    files = "['{0}/train.json','{0}/evaluate.json']".format(bundle / "configs")
    places = ("--ckpt_dir", bundle / "models", "--output_dir", tmp_path / "evaluated")
    done = command("evaluating", "--config_file", files, *read_by_both, *places)
    assert done.returncode == 0, done.stderr
    for name in ("metrics.csv", "sections.csv"):
        assert (bundle / "output" / name).read_text() == (tmp_path / "evaluated" / name).read_text()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("train", "{bundle}", "--epoch", "2"), "epoch is not a name of the bundle's configs"),
        (("train", "{bundle}", "--epochs", "0"), "epochs 0: expected a whole number, at least 1"),
        (("train", "{bundle}", "--dataset_dir", "nowhere"), "nowhere does not exist; expected a folder in"),
        (("train", "{bundle}", "--run_id", "training"), "--run_id is said by the command itself"),
        (("evaluate", "{bundle}", "--epochs", "2"), "epochs does nothing in evaluating: leave it out"),
        (("train", "nowhere"), "nowhere is not a bundle"),
        (("train", "{bundle}", "--folds", "1"), "--folds: 1: expected a whole number, at least 2"),
        (("train", "{bundle}", "--epochs"), "--epochs: expected --NAME VALUE, a name of the bundle's train.json"),
    ],
)
def test_what_the_user_can_put_right_ends_with_one_line(words, line, bundle, capsys):
    try:
        code = main([word.format(bundle=bundle) for word in words])
    except SystemExit as end:  # of the parser
        code = end.code
    assert code == 2
    assert line in capsys.readouterr().err.splitlines()[-1]


def test_a_bundle_in_the_installed_package_is_not_trained_in_place(monkeypatch, bundle, sections, tmp_path, capsys):
    monkeypatch.setattr(monai_unet, "__file__", str(tmp_path / "__init__.py"))
    for what in ("train", "evaluate"):
        assert main([what, str(bundle)]) == 2
        line = capsys.readouterr().err.splitlines()[-1]
        assert f"copy it, monai-unet copy isbi DIR, and {what} DIR" in line
    out = ("--output_dir", str(tmp_path / "out"))
    assert main(["evaluate", str(bundle), "--dataset_dir", str(sections), *out]) == 2  # it goes on, and has no weights
    assert "model.pt does not exist" in capsys.readouterr().err
