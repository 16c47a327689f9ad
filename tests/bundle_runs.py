"""How the tests run a bundle: as its users do, or through the same workflow in this process."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from monai.bundle import ConfigWorkflow

from monai_unet.networks import OriginalUNet

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


def narrow_bundle(name, folder, head=1.0, **network):
    """A copy of a bundle of the repository with the weights of a narrow, random network, for `--features [2,3,4]`.

    Random weights give large logits, whose rounding may be all that is seen: `head` multiplies those of the last layer.
    """
    copy = folder / name
    shutil.copytree(REPOSITORY / "bundles" / name, copy, ignore=shutil.ignore_patterns("models", "output"))
    (copy / "models").mkdir()
    torch.manual_seed(0)
    unet = OriginalUNet(features=(2, 3, 4), normalisation="weights", **network)
    unet.head.weight.data *= head
    torch.save(unet.state_dict(), copy / "models" / "model.pt")
    return copy
