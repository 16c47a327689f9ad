"""Names of options: "-" and "_" alike, no abbreviations, and none that does nothing."""

import re

import pytest

from monai_unet.cli import main

PREDICT = (
    "predict",
    "README.md",
    "--bundle",
    "bundles/isbi_compact",
    "--out",
    "none.ome.zarr",
)  # is not opened any more


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch, pytestconfig):
    monkeypatch.chdir(pytestconfig.rootpath)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*PREDICT, "--treshold", "0.9"), "--treshold: .* did you mean threshold"),
        ((*PREDICT, "--thresh", "0.9"), "--thresh: .* did you mean threshold"),
        ((*PREDICT, "--image-std", "0"), "image_std 0: expected a number or a list of numbers, above 0"),
        ((*PREDICT, "--image_std=0"), "image_std 0: expected a number or a list of numbers, above 0"),
        ((*PREDICT, "--output_dir", "x"), "--output_dir does nothing in predict: leave it out"),
        ((*PREDICT, "--min_size", "5000"), "min_size 5000 applies to instances and does nothing for a probability"),
        ((*PREDICT, "--min-size", "5000"), "min_size 5000 applies to instances and does nothing for a probability"),
        ((*PREDICT, "--rotations"), "--rotations: expected --NAME VALUE"),
        (
            ("export", "--bundle", "bundles/isbi_compact", "--format", "onnx", "--out", "x.onnx", "--tile", "9"),
            "--tile does nothing in export: leave it out",
        ),
    ],
)
def test_a_name_that_is_wrong_or_does_nothing_ends_with_one_line(arguments, message, capsys):
    if arguments[0] == "predict":
        pytest.importorskip("zarr", reason="a prediction is stored by zarr, for Python 3.11 and later")
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(message, line), line


@pytest.mark.parametrize("option", ["--ignore_label", "--ignore-label"])
def test_an_option_may_be_written_with_either_dash(option, tmp_path, capsys):
    assert main(["new", "mine", "--dataset-dir", str(tmp_path / "none"), option, "255"]) == 2
    assert "none does not exist" in capsys.readouterr().err
