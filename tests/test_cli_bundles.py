from pathlib import Path

import pytest

from monai_unet.cli import main
from monai_unet.shipped import shipped_bundles


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_list_names_every_bundle_with_its_task_its_weights_and_its_terms(capsys):
    assert main(["bundles"]) == 0
    out = capsys.readouterr().out
    assert [line for line in out.splitlines() if line and not line.startswith(" ")] == list(shipped_bundles())
    of_isbi, of_compact = (out.split(f"\n{name}\n")[1].split("\n\n")[0] for name in ("isbi", "isbi_compact"))
    assert "none: to be trained" in of_isbi
    assert "3.9 MB" in of_compact
    assert "non-commercial" in of_compact


def test_a_copy_has_what_the_bundle_has_but_no_output_of_its_runs(capsys):
    assert main(["copy", "isbi_compact"]) == 0
    source = shipped_bundles()["isbi_compact"]
    for path in source.rglob("*"):
        within = path.relative_to(source)
        if path.is_file() and within.parts[0] != "output" and not path.name.startswith("checkpoint"):
            assert Path("isbi_compact", within).read_bytes() == path.read_bytes()
    assert not Path("isbi_compact/output").exists()
    assert "monai-unet train isbi_compact --dataset-dir DIR" in capsys.readouterr().out


def test_the_command_to_train_a_copy_holds_with_spaces_in_its_path(capsys):
    assert main(["copy", "isbi", "my copy"]) == 0
    assert "monai-unet train 'my copy' --dataset-dir DIR" in capsys.readouterr().out


def test_a_copy_replaces_nothing(capsys):
    Path("mine").mkdir()
    assert main(["copy", "isbi", "mine"]) == 2
    assert "mine already exists and was left as it is; give another name or folder: mine_2 is free" in (
        capsys.readouterr().err
    )


def test_a_bundle_that_is_not_there_is_not_copied(capsys):
    assert main(["copy", "isbi_kompakt"]) == 2
    assert "isbi_kompakt is not a bundle" in capsys.readouterr().err


@pytest.mark.parametrize("folder", [None, "bundles"])
def test_after_synthetic_data_the_commands_that_come_next_work_outside_the_repository(folder, capsys):
    if folder:
        Path(folder).mkdir()
    assert main(["data", "synthetic", "--sections", "1", "--size", "64", "--test-sections", "0"]) == 0
    place = f"{folder}/isbi" if folder else "isbi"
    expected = f"next: monai-unet copy isbi && monai-unet train {place}"
    assert f"{expected} --dataset_dir datasets/synthetic/data" in capsys.readouterr().out
