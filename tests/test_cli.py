import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from monai_unet.cli import main

NEXT = "next: monai-unet train bundles/isbi"


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def beside_the_bundles():
    Path("bundles/isbi").mkdir(parents=True)
    Path("bundles/isbi/train.json").touch()


def run(capsys, *words):
    code = main(words)
    return code, *capsys.readouterr()


def synthetic(*words):
    return ("data", "synthetic", "--sections", "2", "--size", "64", "--test-sections", "1", *words)


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from monai_unet.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "print([name for name in ('torch', 'monai', 'numpy', 'scipy', 'tifffile') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert "data" in answer.stdout
    assert answer.stdout.splitlines()[-1] == "[]"


def test_synthetic_writes_the_set_and_names_the_next_command(beside_the_bundles, capsys):
    code, out, _ = run(capsys, *synthetic())
    assert code == 0
    assert "2 labelled sections of 64 x 64 px" in out
    assert out.endswith(NEXT + "\n")
    assert tifffile.imread("datasets/synthetic/data/train-labels.tif").shape == (2, 64, 64)


def test_the_next_command_names_a_folder_of_ones_own(beside_the_bundles, capsys):
    _, out, _ = run(capsys, *synthetic("--out", "my set"))
    assert out.endswith(f"{NEXT} --dataset_dir 'my set'\n")


def test_the_next_command_names_the_synthetic_set_where_isbi_2012_would_win(beside_the_bundles, capsys):
    run(capsys, *synthetic("--out", "made"))
    _, first, _ = run(capsys, "data", "isbi2012", "--source", "made")
    _, second, _ = run(capsys, *synthetic())
    assert first.endswith(NEXT + "\n")
    assert second.endswith(f"{NEXT} --dataset_dir datasets/synthetic/data\n")


def test_a_conversion_is_told(capsys):
    run(capsys, *synthetic("--out", "made"))
    labels = tifffile.imread("made/train-labels.tif")
    tifffile.imwrite("made/train-labels.tif", labels // np.uint8(255), photometric="minisblack")
    code, out, _ = run(capsys, "data", "isbi2012", "--source", "made")
    assert code == 0
    assert "values 0 and 1" in out


def test_the_same_data_again_is_fine(capsys):
    assert run(capsys, *synthetic())[0] == 0
    assert run(capsys, *synthetic())[0] == 0


def test_other_data_in_place_is_an_error_unless_forced(capsys):
    run(capsys, *synthetic())
    code, out, err = run(capsys, *synthetic("--seed", "1"))
    assert (code, out) == (2, "")
    assert "--force" in err
    assert run(capsys, *synthetic("--seed", "1", "--force"))[0] == 0


def test_an_error_is_one_line_on_stderr_without_a_traceback(capsys):
    code, out, err = run(capsys, "data", "isbi2012", "--source", "nowhere")
    assert (code, out) == (2, "")
    assert err.startswith("monai-unet: error: nowhere does not exist")
    assert err.count("\n") == 1


@pytest.mark.parametrize("place", [0, 2, 4])
def test_debug_shows_the_traceback_wherever_it_stands(capsys, place):
    words = ["data", "isbi2012", "--source", "nowhere"]
    words.insert(place, "--debug")
    code, _, err = run(capsys, *words)
    assert code == 2
    assert "Traceback" in err


@pytest.mark.parametrize("words", [[], ["data"], ["data", "isbi2012"], ["data", "synthetic", "--size", "x"]])
def test_an_incomplete_command_exits_with_2(words):
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
