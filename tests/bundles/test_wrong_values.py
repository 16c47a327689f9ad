"""A value that may not be ends a bundle's command before anything is made."""

import pytest
from bundle_runs import REPOSITORY, command

BUNDLE = REPOSITORY / "bundles" / "dic_hela"


@pytest.mark.parametrize(
    ("run", "config", "given", "said"),
    [
        ("training", "train", ("--resume", "false"), "resume 'false': expected True or False; write --resume False"),
        ("training", "train", ("--epochs", "$0"), "epochs 0: expected a whole number, at least 1"),
        ("inference", "inference", ("--memory", "0MB"), "memory '0MB': expected an amount of memory of 1 MB or more"),
    ],
)
def test_a_wrong_value_ends_with_one_line_and_2_and_makes_nothing(tmp_path, run, config, given, said):
    folders = {"train": ("--dataset_dir", tmp_path, "--ckpt_dir", tmp_path / "models")}.get(config, ())
    folders = (*folders, "--output_dir", tmp_path / "out")
    done = command(run, "--config_file", BUNDLE / "configs" / f"{config}.json", *folders, *given)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith(f"monai-unet: error: {said}")
    assert list(tmp_path.iterdir()) == []
