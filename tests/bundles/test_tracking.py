"""Where a run's curves go: TensorBoard always, MLflow by one word."""

import sqlite3

import pytest
from bundle_runs import command

SHORT = ("--features", "[2,3,4]", "--tile", 60, "--inference_tile", 60, "--epochs", 2, "--val_interval", 1)


@pytest.mark.slow
def test_mlflow_gets_the_loss_and_the_scores(sections, tmp_path):
    pytest.importorskip("mlflow", reason="needs the extra `mlflow`")
    arguments = ("--dataset_dir", sections, "--ckpt_dir", tmp_path, "--output_dir", tmp_path / "out", "--device", "cpu")
    done = command("training", "--config_file", "bundles/isbi/train.json", *arguments, *SHORT, "--tracking", "mlflow")
    assert done.returncode == 0, done.stderr[-2000:]
    with sqlite3.connect(tmp_path / "out" / "mlruns.db") as store:
        kept = dict(store.execute("select key, count(*) from metrics group by key"))
    assert kept["v_rand"] == kept["pixel_error"] == 2
    assert kept["train_loss"] >= 2 * 5  # an entry an iteration: five sections, two epochs
