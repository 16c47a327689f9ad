"""Training in two processes on this machine, by gloo, as torchrun starts it."""

import json
import os
import subprocess
import sys

import pytest
import torch
from bundle_runs import REPOSITORY

# every section whole and as it is, so that both runs see the same data
PLAIN = {"dropout": 0.0, "elastic_prob": 0.0, "quarter_turns": False, "grey_scale": 0.0, "grey_shift": 0.0, "tile": 100}
SETTINGS = {
    **PLAIN,
    "features": [2, 3, 4],
    "inference_tile": 100,
    "epochs": 4,
    "val_interval": 2,
    "validation": 2,
    "device": "cpu",
}


def train(sections, folder, processes, **settings):
    config = ["bundles/isbi/configs/train.json"]
    start = [sys.executable]
    if processes > 1:
        config.append("bundles/isbi/configs/multi_gpu_train.json")
        start += ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    folders = {"dataset_dir": str(sections), "ckpt_dir": str(folder), "output_dir": str(folder / "out")}
    arguments = [
        item
        for name, value in {**SETTINGS, **folders, **settings}.items()
        for item in (f"--{name}", value if isinstance(value, str) else repr(value))
    ]
    done = subprocess.run(
        [*start, "-m", "monai.bundle", "run", "training", "--config_file", json.dumps(config), *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done


@pytest.fixture(scope="module")
def runs(sections, tmp_path_factory):
    """(one process with batches of two, two processes with batches of one): what they printed, and their folders."""
    folders = [tmp_path_factory.mktemp(name) for name in ("one", "two")]
    said = [
        train(sections, folders[0], 1, batch_size=2, precision="float32"),
        train(sections, folders[1], 2, batch_size=1, precision="float32"),
    ]
    return said, folders


@pytest.mark.slow
def test_two_processes_follow_one_with_twice_the_batch(runs):
    one, two = (torch.load(folder / "checkpoint.pt", weights_only=True)["network"] for folder in runs[1])
    start = torch.load(runs[1][0] / "model.pt", weights_only=True)
    assert one.keys() == two.keys() == start.keys()
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_both_validate_alike(runs):
    best = [torch.load(folder / "checkpoint.pt", weights_only=True)["best"]["best_metric"] for folder in runs[1]]
    assert best[0] == pytest.approx(best[1], abs=1e-6)


@pytest.mark.slow
def test_the_first_process_alone_writes_and_prints(runs):
    said, (_, folder) = runs
    assert {path.name for path in folder.iterdir()} == {"checkpoint.pt", "model.pt", "model.found.json", "out"}
    assert len(list((folder / "out").glob("events*"))) == 1
    assert said[1].stdout.count("training in 2 processes") == 1
    assert (said[1].stdout + said[1].stderr).count("best v_rand so far") <= 2  # at two validations, once each


@pytest.mark.slow
def test_the_processes_draw_different_tiles(sections, tmp_path):
    from ignite.engine import Engine
    from monai.transforms import RandShiftIntensity

    from monai_unet.handlers import EpochSeed, epoch_seed

    drawn = []
    for rank in (0, 1):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(epoch_seed.idist, "get_rank", lambda rank=rank: rank)
            shift = RandShiftIntensity(offsets=1.0, prob=1.0)
            engine = Engine(lambda engine, batch, shift=shift: drawn.append(shift.R.random_sample()))
            EpochSeed(3, shift).attach(engine)
            engine.run([0])
    assert drawn[0] != drawn[1]
