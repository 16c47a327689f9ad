"""How the tests follow a page of the documentation, command by command."""

import os
import re
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
_TRIAL = r' --(features "[^"]*"|(epochs|ckpt_dir|output_dir) \S+)'


def commands(text):
    """The blocks of commands that the page tells its readers to run."""
    return re.findall(r"^```bash\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def follow(text, folder, timeout):
    """Run the commands of a page in a folder, and return what they wrote on stderr."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    said = []
    for command in commands(text):
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
        said.append(done.stderr)
    return said


def run_and_trial(text):
    """The lines of the page's real run, and those of its trial without the options that make it short."""
    (run,) = (block for block in re.findall(r"^```text\n(.*?)^```", text, re.MULTILINE | re.DOTALL) if "-m" in block)
    trial = [
        command
        for command in commands(text)
        if command.startswith(("python", "monai-unet train", "monai-unet evaluate"))
    ]
    return (
        [line.replace(" --output_dir results", "") for line in run.splitlines()],
        [re.sub(_TRIAL, "", command).strip() for command in trial],
    )
