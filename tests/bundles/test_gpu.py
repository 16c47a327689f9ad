"""What is true or false of the bundles on a GPU."""

import numpy as np
import pytest
import tifffile
import torch
from bundle_runs import REPOSITORY, workflow
from ignite.engine import Events

from monai_unet.inferers import OverlapTileInferer
from monai_unet.networks import OriginalUNet, fold, load_weights
from monai_unet.prediction.out_of_core import predict

pytestmark = pytest.mark.gpu

DEVICE = "cuda"
COMPACT = REPOSITORY / "bundles" / "isbi_compact"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Six sections with labels."""
    from monai_unet.data.synthetic import write_synthetic

    folder = tmp_path_factory.mktemp("sections")
    write_synthetic(folder, num_sections=6, size=256)
    return folder


@pytest.fixture(scope="module")
def image(folder):
    return torch.from_numpy(tifffile.imread(folder / "train-volume.tif")[:2].astype(np.float32))[:, None]


def run(folder, out, **overrides):
    values = {"features": [4, 8, 16], "tile": 100, "dataset_dir": str(folder), "device": DEVICE, "validation": [5]}
    values |= {"ckpt_dir": str(out), "output_dir": str(out), "decay": False, "val_interval": 1}
    return workflow(REPOSITORY / "bundles" / "isbi", "train", ["train"], **{**values, **overrides})


def weights(folder, out, *epochs, **overrides):
    for each in epochs:
        training = run(folder, out, epochs=each, **overrides)
        training.run()
    return training.parser.get_parsed_content("network").state_dict()


def compact():
    network = OriginalUNet(features=(16, 32, 64, 128, 256), normalisation="weights").eval()
    load_weights(network, COMPACT / "models" / "model.pt")
    return fold(network)


def test_the_shipped_weights_give_what_they_give_on_a_cpu(image):
    network, normalised = compact(), (image - 128) / 45
    with torch.inference_mode():
        expected = OverlapTileInferer()(normalised, network).softmax(1)
        found = OverlapTileInferer()(normalised.to(DEVICE), network.to(DEVICE)).softmax(1).cpu()
    assert (found - expected).abs().max() < 1e-4


def test_predicting_a_file_gives_what_the_inferer_gives_and_a_region_is_its_part(folder, image, tmp_path):
    for package in ("zarr", "distributed"):
        pytest.importorskip(package, reason="needs zarr and dask")
    file, given = folder / "train-volume.tif", {"device": DEVICE, "progress": False}
    whole, part = tmp_path / "whole.tif", tmp_path / "part.tif"
    predict(file, whole, COMPACT, {"tile": 96}, **given)
    predict(file, part, COMPACT, {"tile": 96}, roi=[(0, 2), (37, 180), (5, 199)], **given)
    network = compact().to(DEVICE, memory_format=torch.channels_last)
    with torch.inference_mode():
        logits = OverlapTileInferer(96, amp_dtype=torch.float16)(((image - 128) / 45).to(DEVICE), network)
    found = tifffile.imread(whole)
    assert np.abs(found[:2] - logits.softmax(1)[:, 1].cpu().numpy()).max() < 1e-5
    assert np.array_equal(tifffile.imread(part), found[:2, 37:180, 5:199])


def test_an_iteration_waits_only_where_the_loss_is_read(folder, tmp_path):
    training = run(folder, tmp_path, epochs=20, val_interval=20)
    trainer = training.parser.get_parsed_content("train::trainer")

    watched = []

    def watch(engine):
        reads = (engine.state.iteration + 1) % 10 == 0
        watching = 20 < engine.state.iteration < 95 and not reads  # before, the time that it takes is measured
        torch.cuda.set_sync_debug_mode("error" if watching else "default")
        watched.extend([engine.state.iteration] if watching else [])

    trainer.add_event_handler(Events.ITERATION_COMPLETED, watch)
    try:
        training.run()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len(watched) == 67, "each of these would have raised an error where it waits"


@pytest.mark.parametrize("step", ["eager", "graph"])
def test_a_run_that_goes_on_ends_like_one_that_was_not_stopped(folder, tmp_path, monkeypatch, step):
    """Random numbers in a graph, those of the dropout, are drawn as they would have been."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS has no deterministic algorithms
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        straight = weights(folder, tmp_path / "a", 2, step=step, dropout=0.5)
        resumed = weights(folder, tmp_path / "b", 1, 2, step=step, dropout=0.5)
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)


def test_a_graph_trains_as_the_program_does(folder, tmp_path):
    eager = weights(folder, tmp_path / "eager", 2, precision="float32", dropout=0.0, step="eager")
    graph = weights(folder, tmp_path / "graph", 2, precision="float32", dropout=0.0, step="graph")
    for name in eager:
        assert torch.allclose(graph[name], eager[name], atol=2e-3), name
