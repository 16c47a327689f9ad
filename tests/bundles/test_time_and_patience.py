"""A training says early how long it takes, and ends early where it is given patience."""

import bundle_runs
import pytest
import torch
from bundle_runs import REPOSITORY

SMALL = {"features": [2, 3, 4], "tile": 60, "inference_tile": 60, "device": "cpu", "val_interval": 1}


@pytest.fixture
def train(sections, tmp_path):
    def run(**overrides):
        places = {"ckpt_dir": str(tmp_path), "output_dir": str(tmp_path / "out")}
        arguments = {"dataset_dir": str(sections), **places, **SMALL, **overrides}
        bundle_runs.workflow(REPOSITORY / "bundles" / "isbi", "train", ["train"], **arguments).run()
        return (
            torch.load(tmp_path / "checkpoint.pt", weights_only=True)["trainer"]["iteration"] // 5
        )  # sections that train

    return run


def test_it_is_said_once_how_long_a_training_takes(train, capsys):
    train(epochs=4, val_interval=4)
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "this training takes about" in line)
    assert line.endswith(f"on the CPU, {torch.get_num_threads()} thread{'s' if torch.get_num_threads() > 1 else ''}")


def test_a_score_that_does_not_grow_ends_the_training_with_all_that_is_done_at_its_end(train, tmp_path):
    assert train(epochs=8, learning_rate=0.0, patience=2) == 3  # the first epoch's score is the best one
    assert (tmp_path / "model.found.json").is_file()
    assert train(epochs=8, learning_rate=0.0, patience=2) == 3  # the same command goes no further
    assert train(epochs=5, learning_rate=0.0, patience=3) == 4
