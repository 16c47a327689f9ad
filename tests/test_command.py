import pytest

from monai_unet.command import command_line


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["/venv/bin/monai-unet", "new", "my cells"], "monai-unet new 'my cells'"),
        ([r"monai-unet.exe", "bundles"], "monai-unet bundles"),
        (["/x/monai/bundle/__main__.py", "run", "evaluating"], "python -m monai.bundle run evaluating"),
        (["/x/monai_unet/cli/__main__.py", "predict", "a.tif"], "python -m monai_unet.cli predict a.tif"),
        (
            ["/x/monai/bundle/__main__.py", "run", "--config_file", "['a.json','b.json']"],
            """python -m monai.bundle run --config_file "['a.json','b.json']\"""",
        ),
        (["/x/pytest/__main__.py", "tests"], ""),
        ([""], ""),
    ],
)
def test_the_command_is_as_it_was_typed(monkeypatch, words, expected):
    monkeypatch.setattr("sys.argv", words)
    assert command_line() == expected
