"""The page of `benchmarks/gpu.py` in little, on the CPU: that each part still runs, not what it measures."""

import subprocess
import sys

import pytest
from bundle_runs import REPOSITORY

from monai_unet.data.synthetic import write_synthetic


@pytest.mark.slow
def test_the_parts_that_read_sections_and_files_run(tmp_path):
    write_synthetic(tmp_path / "data", num_sections=2, size=200)
    page = tmp_path / "page.md"
    command = [sys.executable, "benchmarks/gpu.py", "--dataset-dir", str(tmp_path / "data"), "--out", str(page)]
    tiny = ["--device", "cpu", "--tiny", "--seconds-each", "0.01", "--parts", "agreement", "cpu", "files"]
    subprocess.run([*command, *tiny], cwd=REPOSITORY, check=True, timeout=240)
    text = page.read_text(encoding="utf-8")
    assert "failed" not in text
    assert "not run" not in text
    assert "| float32 | " in text.split("## Beside the CPU")[1]
