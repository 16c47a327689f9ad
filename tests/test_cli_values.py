"""Values of options: of the right type and in range, before anything is read or made."""

import re

import pytest

from monai_unet.cli import main

PREDICT = ("predict", "none.tif", "--bundle", "none", "--out", "none.ome.zarr")
SCORE = ("score", "none.tif", "none.tif", "--metric", "seg")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*PREDICT, "--threshold", "7"), "--threshold: 7: expected a number, at least 0, at most 1"),
        ((*PREDICT, "--threshold", "nan"), "--threshold: 'nan': expected a number"),
        ((*PREDICT, "--min-size", "-3"), "--min-size: -3: expected a whole number, at least 0"),
        ((*PREDICT, "--workers", "0"), "--workers: 0: expected a whole number, at least 1"),
        ((*PREDICT, "--memory", "0MB"), "--memory: '0MB': expected an amount of memory of 1 MB or more, as 2GB"),
        ((*PREDICT, "--device", "nonsense"), "--device: 'nonsense': expected a device of this machine"),
        ((*SCORE, "--threshold", "7"), "--threshold: 7: expected a number, at least 0, at most 1"),
        ((*SCORE, "--min-size", "1.5"), "--min-size: 1.5: expected a whole number, at least 0"),
        ((*SCORE, "--thresholds", "0.5", "-1"), "--thresholds: -1: expected a number, at least 0"),
        (("new", "x", "--dataset-dir", "y", "--ignore-label", "z"), "--ignore-label: 'z': expected a whole number or"),
        (("label", "--studies", "x", "--port", "99999"), "--port: 99999: expected a whole number, .* at most 65535$"),
        (("data", "synthetic", "--size", "0"), "--size: 0: expected a whole number, at least 1$"),
        (("export", "--bundle", "x"), "--format, --out; monai-unet export --help shows what there is$"),
    ],
)
def test_a_wrong_value_ends_with_one_line(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(arguments)
    (line,) = capsys.readouterr().err.splitlines()
    assert end.value.code == 2
    assert re.search(f"^monai-unet: error: .*{message}", line), line
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_images_is_sent_to_the_command_that_takes_folders(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my images").mkdir()
    assert main(["predict", "my images", "--bundle", "isbi_compact", "--out", "a.ome.tif"]) == 2
    assert "run inference --config_file BUNDLE/inference.json --input_dir 'my images'" in capsys.readouterr().err
