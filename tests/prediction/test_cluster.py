import subprocess
import sys

import pytest

pytest.importorskip("zarr", reason="needs zarr and dask")
distributed = pytest.importorskip("distributed", reason="needs zarr and dask")
cluster = pytest.importorskip("monai_unet.prediction.cluster")


def test_a_scheduler_without_a_worker_is_not_waited_for_without_end(stack, tmp_path, predicted, monkeypatch, caplog):
    monkeypatch.setattr(cluster, "_LOOK", 0.1)
    monkeypatch.setattr(cluster, "PATIENCE", 0.5)
    options = {"processes": False, "protocol": "tcp://", "host": "127.0.0.1", "dashboard_address": None}
    with (
        distributed.LocalCluster(n_workers=0, **options) as running,
        pytest.raises(OSError, match=r"has had no worker for 0\.5 s: start one"),
    ):
        predicted(stack, tmp_path / "out.ome.zarr", scheduler=running.scheduler_address)
    assert f"waiting for a worker of {running.scheduler_address}" in caplog.text


def test_a_tile_that_kills_its_worker_again_and_again_is_an_error(stack, tmp_path, predicted, monkeypatch):
    def killed(self, futures):
        raise distributed.KilledWorker("tile", "tcp://127.0.0.1:9", 4)

    monkeypatch.setattr(distributed.Client, "gather", killed)
    with pytest.raises(OSError, match="a worker was killed at every try, most likely as memory ran out"):
        predicted(stack, tmp_path / "out.ome.zarr", workers=2)


def predict_without(package, stack, tmp_path, bundle, *more):
    """In a process of its own, as modules are imported once."""
    script = (
        f"import sys; sys.modules['{package}'] = None; from monai_unet.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    arguments = ["predict", stack, "--bundle", bundle, "--out", tmp_path / "out.ome.tif", "--features", "[2,3,4]"]
    return subprocess.run(
        [sys.executable, "-c", script, *arguments, *more], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("package", "more", "said"),
    [
        ("zarr", [], "needs the package zarr 3, which is for Python 3.11 and later"),
        ("distributed", ["--workers", "2"], "pip install 'monai-unet[large]'"),
        ("distributed", ["--scheduler", "tcp://127.0.0.1:9"], "pip install 'monai-unet[large]'"),
    ],
)
def test_what_is_missing_is_named_before_anything_is_made(stack, tmp_path, bundle, package, more, said):
    done = predict_without(package, stack, tmp_path, bundle, *more)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_single_process_needs_no_dask(stack, tmp_path, bundle):
    assert predict_without("distributed", stack, tmp_path, bundle).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["out.ome.tif"]
