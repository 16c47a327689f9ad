"""How the tests run a bundle: as its users do, or through the same workflow in this process."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from monai.bundle import ConfigWorkflow

REPOSITORY = Path(__file__).parents[1]


def workflow(bundle, kind, names, run_id="run", **overrides):
    if kind == "train" and bundle.is_relative_to(REPOSITORY):  # its own output may be held by the run of another test
        overrides = {"output_dir": tempfile.mkdtemp(prefix="monai-unet-test-"), **overrides}
    files = [str(bundle / "configs" / f"{name}.json") for name in names]
    config = files if len(files) > 1 else files[0]
    run = ConfigWorkflow(config, workflow_type=kind, run_id=run_id, logging_file=False, **overrides)
    run.initialize()
    return run


def command(*arguments, cwd=REPOSITORY):
    return subprocess.run(
        [sys.executable, "-m", "monai.bundle", "run", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=250,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
