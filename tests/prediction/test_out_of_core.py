"""Prediction from file to file: equal to the one in memory, and after any kill equal to an undisturbed one."""

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

pytest.importorskip("zarr", reason="needs zarr and dask")
pytest.importorskip("distributed", reason="needs zarr and dask")

from monai_unet.cli import main
from monai_unet.inferers import OverlapTileInferer
from monai_unet.io.sources import open_source
from monai_unet.networks import OriginalUNet
from monai_unet.prediction.out_of_core import INTERPRETER, predict
from monai_unet.transforms import label_instances

REPOSITORY = Path(__file__).parents[2]
OVERRIDES = {"features": [2, 3, 4]}
SMALL = INTERPRETER + 1_500_000  # bytes: tiles of some 80 pixels


def run(image, out, bundle, **kwargs):
    return predict(image, out, bundle, OVERRIDES, **{"memory": SMALL, "progress": False, **kwargs})


def in_memory(image, bundle):
    network = OriginalUNet(features=(2, 3, 4), normalisation="weights").eval()
    network.load_state_dict(torch.load(bundle / "models" / "model.pt", weights_only=True))
    pixels = torch.from_numpy(tifffile.imread(image).astype(np.float32))
    with torch.no_grad():
        logits = OverlapTileInferer(1000)(((pixels - 128) / 45)[:, None], network)
    return logits.softmax(1)[:, 1].numpy()


def read(store):
    source = open_source(store)
    return source.read(tuple(slice(0, n) for n in source.info.shape))[0]


def chunks(store):
    return {str(path.relative_to(store)): path.read_bytes() for path in store.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def undisturbed(stack, bundle, tmp_path_factory):
    return run(stack, tmp_path_factory.mktemp("undisturbed") / "out.ome.zarr", bundle)


def test_the_tiled_prediction_of_a_file_equals_the_untiled_one_in_memory(stack, bundle, undisturbed):
    assert len(chunks(undisturbed / "0")) > 10, "not tiled at all"
    assert np.abs(read(undisturbed) - in_memory(stack, bundle)).max() < 1e-5


@pytest.mark.parametrize(("precision", "rotations"), [("float32", 1), ("bfloat16", 1), ("bfloat16", 3)])
def test_neither_a_region_nor_more_workers_change_more_than_the_last_bits(
    stack, bundle, tmp_path, precision, rotations
):
    settings = {**OVERRIDES, "precision": precision, "rotations": rotations}
    whole = predict(stack, tmp_path / "whole.ome.zarr", bundle, settings, memory=SMALL, progress=False)
    regions = {1: [(1, 2), (37, 200), (5, 101)], 2: [(0, 1), (8, 211), (100, 190)]}
    for workers, roi in regions.items():
        out = tmp_path / f"{workers}.ome.zarr"
        part = predict(stack, out, bundle, settings, memory=SMALL, roi=roi, workers=workers, progress=False)
        expected = read(whole)[tuple(slice(*each) for each in roi)]
        # in single precision the kernels of some CPUs add in another order at another place, or with fewer threads
        assert np.abs(read(part) - expected).max() <= (1e-5 if precision == "float32" else 0)


@pytest.mark.parametrize("dtype", ["float16", "uint8"])
def test_probabilities_may_be_stored_smaller(stack, bundle, undisturbed, tmp_path, dtype):
    values = read(run(stack, tmp_path / "out.ome.zarr", bundle, dtype=dtype)).astype(np.float32)
    assert np.abs(values / (255 if dtype == "uint8" else 1) - read(undisturbed)).max() < 3e-3


def test_a_label_is_what_is_above_the_threshold(stack, bundle, undisturbed, tmp_path):
    run(stack, tmp_path / "out.ome.zarr", bundle, output="label", threshold=0.4)
    assert np.array_equal(read(tmp_path / "out.ome.zarr" / "labels" / "label"), read(undisturbed) > 0.4)
    run(stack, tmp_path / "out.ome.tif", bundle, output="label", threshold=0.4)
    assert np.array_equal(read(tmp_path / "out.ome.tif"), read(undisturbed) > 0.4)


@pytest.mark.parametrize("output", ["label", "instances"])
def test_labels_lie_in_the_store_of_the_probability_that_they_are_made_of(stack, bundle, undisturbed, tmp_path, output):
    out = run(stack, tmp_path / "out.ome.zarr", bundle, output=output)
    of_image, of_whole = chunks(out / "0"), chunks(undisturbed / "0")
    assert of_image == of_whole
    assert json.loads((out / "labels" / "zarr.json").read_text())["attributes"]["ome"]["labels"] == [output]


def test_labels_are_added_to_probabilities_without_computing_these_again(
    stack, bundle, undisturbed, tmp_path, monkeypatch
):
    out = tmp_path / undisturbed.name
    shutil.copytree(undisturbed, out)
    before = chunks(out)
    monkeypatch.setattr("monai_unet.prediction.compute.predict_chunk", None)
    for output in ("instances", "label"):
        run(stack, out, bundle, output=output)
    after = chunks(out)
    assert {name: after[name] for name in before} == before
    assert json.loads(after["labels/zarr.json"])["attributes"]["ome"]["labels"] == ["instances", "label"]


def test_probabilities_that_were_rounded_are_no_ground_for_labels(stack, bundle, tmp_path):
    out = run(stack, tmp_path / "out.ome.zarr", bundle, dtype="uint8")
    with pytest.raises(ValueError, match='dtype is "uint8" there and "float32" now'):
        run(stack, out, bundle, output="instances")


@pytest.mark.parametrize("name", ["out.ome.zarr", "out.ome.tif"])
def test_instances_are_those_of_the_whole_sections_whatever_the_tiles(stack, bundle, undisturbed, tmp_path, name):
    threshold = float(np.mean(read(undisturbed)))  # of random weights: many objects, some across borders of tiles
    out = run(stack, tmp_path / name, bundle, output="instances", threshold=threshold, min_size=5)
    found = read(out / "labels" / "instances" if out.is_dir() else out)
    for section, probability in zip(found, read(undisturbed), strict=True):
        assert np.array_equal(section, label_instances(probability > threshold, min_size=5))
    assert found.max() > 10
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["out.ome.tif", "out.nii", "out.nii.gz"])
def test_other_formats_hold_the_same_and_leave_no_store_behind(stack, bundle, undisturbed, tmp_path, name):
    out = run(stack, tmp_path / name, bundle)
    assert np.array_equal(read(out), read(undisturbed))
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (131, 67)])
def test_a_picture_of_any_size_is_predicted(bundle, tmp_path, shape):
    tifffile.imwrite(tmp_path / "a.tif", np.full(shape, 99, np.uint8))
    out = run(tmp_path / "a.tif", tmp_path / "out.ome.tif", bundle)
    assert tifffile.imread(out).shape == shape


def test_a_second_run_computes_nothing(stack, bundle, undisturbed, monkeypatch):
    monkeypatch.setattr("monai_unet.prediction.compute.predict_chunk", None)
    before = chunks(undisturbed)
    run(stack, undisturbed, bundle)
    assert chunks(undisturbed) == before


def test_a_run_that_lost_chunks_ends_with_the_same_bytes(stack, bundle, undisturbed, tmp_path):
    out = tmp_path / undisturbed.name
    shutil.copytree(undisturbed, out)
    whole = chunks(out)
    lost = sorted(name for name in whole if name.startswith("0/c/"))[::3]
    for name in lost:
        (out / name).unlink()
    run(stack, out, bundle)
    assert chunks(out) == whole


@pytest.mark.parametrize("change", [{"roi": [(0, 100), (0, 100)]}, {"dtype": "uint8"}])
def test_an_output_of_other_arguments_is_refused_and_left_alone(stack, bundle, undisturbed, change):
    before = chunks(undisturbed)
    with pytest.raises(ValueError, match=r"out\.ome\.zarr belongs to a prediction with other settings"):
        run(stack, undisturbed, bundle, **change)
    assert chunks(undisturbed) == before


def test_an_output_of_other_weights_is_refused(stack, bundle, undisturbed, tmp_path):
    other = tmp_path / "isbi"
    shutil.copytree(bundle, other)
    torch.save(OriginalUNet(features=(2, 3, 4), normalisation="weights").state_dict(), other / "models" / "model.pt")
    with pytest.raises(ValueError, match="model is"):
        run(stack, undisturbed, other)


def test_a_file_that_exists_is_not_overwritten(stack, bundle, tmp_path):
    (tmp_path / "out.ome.tif").write_text("precious")
    with pytest.raises(FileExistsError, match=r"out\.ome\.tif exists"):
        run(stack, tmp_path / "out.ome.tif", bundle)
    assert (tmp_path / "out.ome.tif").read_text() == "precious"


def test_nan_is_named_with_its_place(bundle, tmp_path):
    image = np.zeros((90, 80), np.float32)
    image[70, 3] = np.nan
    tifffile.imwrite(tmp_path / "a.tif", image)
    with pytest.raises(ValueError, match=r"a\.tif holds 1 values that are not finite .* row 70, column 3"):
        run(tmp_path / "a.tif", tmp_path / "out.ome.zarr", bundle)


def test_grey_values_of_another_range_are_named(bundle, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.full((20, 20), 3000, np.uint16))
    with pytest.raises(ValueError, match=r"a\.tif holds values from 3000 .* trained on 0 to 255"):
        run(tmp_path / "a.tif", tmp_path / "out.ome.zarr", bundle)


def test_an_image_that_is_scaled_to_0_to_1_is_refused_before_anything_is_made(bundle, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.linspace(0, 1, 400, dtype=np.float32).reshape(20, 20))
    with pytest.raises(ValueError, match=r"a\.tif holds values from 0 to 1 only, .* scaled to 0 to 1"):
        run(tmp_path / "a.tif", tmp_path / "out.ome.zarr", bundle)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def test_a_dark_part_of_an_image_is_no_scaled_image(bundle, tmp_path):
    image = np.linspace(0, 1, 400, dtype=np.float32).reshape(20, 20)
    image[19] = 200
    tifffile.imwrite(tmp_path / "a.tif", image)
    out = run(tmp_path / "a.tif", tmp_path / "out.ome.zarr", bundle, roi=[(0, 10), (0, 20)])
    assert read(out).shape == (1, 10, 20)


def test_a_second_run_for_instances_computes_nothing(stack, bundle, tmp_path, monkeypatch):
    out = run(stack, tmp_path / "out.ome.zarr", bundle, output="instances")
    before = chunks(out)
    monkeypatch.setattr("monai_unet.prediction.compute.predict_chunk", None)
    run(stack, out, bundle, output="instances")
    assert chunks(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["out.ome.zarr"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"roi": [(0, 500), (0, 10)]}, "does not lie in"),
        ({"memory": "10MB"}, "too little for a single tile"),
        ({"output": "mask"}, "one of probability, label, instances"),
        ({"dtype": "int8"}, "one of float32"),
        ({"dtype": "uint8", "output": "instances"}, "is for probabilities"),
        ({"threshold": 0.3}, "threshold 0.3 does nothing for probabilities"),
        ({"threshold": 3, "output": "label"}, "threshold 3: expected a number of 0 to 1"),
        ({"min_size": 9, "output": "label"}, "min_size 9 applies to instances"),
    ],
)
def test_arguments_that_cannot_work_are_refused_before_anything_is_made(stack, bundle, tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        run(stack, tmp_path / "out.ome.zarr", bundle, **arguments)
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_what_it_wrote_and_where(large, bundle, tmp_path, capsys):
    out = tmp_path / "out.ome.tif"
    line = ["predict", large, "--bundle", bundle, "--out", out, "--features", "[2,3,4]", "--roi", "0:20,0:30"]
    assert main([str(part) for part in line]) == 0
    began, ended = capsys.readouterr().out.splitlines()
    assert (began, ended) == (f"predicting {large} with {bundle}", f"prediction of {large}: {out}")


def test_the_command_says_where_labels_and_their_table_lie(large, bundle, tmp_path, capsys):
    line = ["predict", large, "--bundle", bundle, "--out", tmp_path / "out.ome.zarr", "--features", "[2,3,4]"]
    line += ["--roi", "0:20,0:30", "--output", "instances", "--objects", tmp_path / "objects.csv"]
    assert main([str(part) for part in line]) == 0
    said = [f"predicting {large} with {bundle}"]
    said += [f"instances of {large}: {tmp_path / 'out.ome.zarr/labels/instances'}"]
    said += [f"objects of {large}: {tmp_path / 'objects.csv'}"]
    assert capsys.readouterr().out.splitlines() == said


def test_an_output_of_unknown_type_is_refused(stack, bundle, tmp_path):
    with pytest.raises(ValueError, match=r"out\.jpg: unknown type"):
        run(stack, tmp_path / "out.jpg", bundle)


def command(image, out, bundle, *arguments):
    line = [sys.executable, "-m", "monai_unet.cli", "predict", image, "--bundle", bundle, "--out", out]
    line += ["--memory", SMALL, "--features", "[2,3,4]", *arguments]
    return subprocess.Popen(
        [str(part) for part in line],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def wait_for_chunks(store, number, process):
    end = time.monotonic() + 120
    while len(list((store / "0").rglob("c/*/*/*"))) < number:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end, "no chunk came"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    path = tmp_path_factory.mktemp("images") / "large.tif"
    tifffile.imwrite(path, np.random.default_rng(1).integers(0, 255, (8, 400, 400), np.uint8), photometric="minisblack")
    return path


@pytest.fixture(scope="module")
def large_undisturbed(large, bundle, tmp_path_factory):
    """The bytes of a run that nobody killed."""
    out = tmp_path_factory.mktemp("whole") / "out.ome.zarr"
    process = command(large, out, bundle)
    assert process.wait(timeout=200) == 0, process.stderr.read()
    return chunks(out)


@pytest.mark.slow
def test_killed_at_random_moments_it_goes_on_and_ends_with_the_same_bytes(large, bundle, large_undisturbed, tmp_path):
    out, dice = tmp_path / "killed" / "out.ome.zarr", random.Random(0)
    for number in (1, 20):
        process = command(large, out, bundle)
        wait_for_chunks(out, number, process)
        time.sleep(dice.random() * 0.2)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=30)
    assert not open_store(out).is_complete
    process = command(large, out, bundle)
    assert process.wait(timeout=200) == 0, process.stderr.read()
    assert chunks(out) == large_undisturbed


@pytest.mark.slow
def test_killed_while_objects_are_numbered_it_goes_on_and_ends_with_the_same_bytes(large, bundle, tmp_path):
    whole, out = (tmp_path / name / "out.ome.zarr" for name in ("whole", "killed"))
    arguments = ("--output", "instances", "--threshold", "0.49")
    process = command(large, whole, bundle, *arguments)
    assert process.wait(timeout=200) == 0, process.stderr.read()
    process = command(large, out, bundle, *arguments)
    end = time.monotonic() + 200
    while not list(out.parent.glob(".writing-*/instances.zarr/0/c")):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end, "numbering did not begin"
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=30)
    assert open_store(out).is_complete
    assert not (out / "labels").exists()
    process = command(large, out, bundle, *arguments)
    assert process.wait(timeout=200) == 0, process.stderr.read()
    assert chunks(out) == chunks(whole)
    assert [path.name for path in out.parent.iterdir()] == ["out.ome.zarr"]


@pytest.mark.slow
def test_when_a_worker_is_killed_the_run_goes_on_and_ends_with_the_same_bytes(
    large, bundle, large_undisturbed, tmp_path
):
    psutil = pytest.importorskip("psutil")
    out = tmp_path / "killed" / "out.ome.zarr"
    process = command(large, out, bundle, "--workers", "2")
    wait_for_chunks(out, 5, process)
    children = psutil.Process(process.pid).children(recursive=True)
    workers = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    workers[-1].kill()
    assert process.wait(timeout=200) == 0, process.stderr.read()
    assert chunks(out) == large_undisturbed


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_interrupt_ends_with_one_line_and_the_run_can_go_on(large, bundle, tmp_path, workers):
    out = tmp_path / "stopped" / "out.ome.zarr"
    process = command(large, out, bundle, "--workers", workers)
    wait_for_chunks(out, 5, process)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    said = [line for line in errors.replace("\r", "\n").splitlines() if line and not line.startswith("predicting")]
    assert said == ["monai-unet: interrupted; what was predicted is kept, and the same command goes on"]
    assert process.returncode == 130
    assert open_store(out).missing_chunks()


@pytest.mark.slow
def test_an_error_of_the_data_is_one_line_without_a_traceback(bundle, tmp_path):
    image = np.full((150, 150), 9, np.float32)
    image[100, 100] = np.nan
    tifffile.imwrite(tmp_path / "holed.tif", image)
    process = command(tmp_path / "holed.tif", tmp_path / "out.ome.zarr", bundle, "--workers", "2")
    _, errors = process.communicate(timeout=120)
    said = [line for line in errors.replace("\r", "\n").splitlines() if line and not line.startswith("predicting")]
    assert len(said) == 1
    assert said[0].startswith(f"monai-unet: error: {tmp_path / 'holed.tif'} holds 1 values that are not finite")


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small disk can only be made by a user who may mount one")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_a_clear_error_and_what_was_written_counts_when_there_is_room(
    stack, bundle, undisturbed, small_disk, tmp_path
):
    with pytest.raises(OSError, match=r"out\.ome\.zarr") as raised:
        run(stack, small_disk / "out.ome.zarr", bundle)
    assert raised.value.errno == errno.ENOSPC
    kept = tmp_path / "out.ome.zarr"
    shutil.copytree(small_disk / "out.ome.zarr", kept)
    store = open_store(kept)
    assert 0 < len(store.missing_chunks()) < np.prod(store.grid)
    run(stack, kept, bundle)
    assert chunks(kept) == chunks(undisturbed)


def test_a_running_scheduler_computes_the_same(stack, bundle, undisturbed, tmp_path):
    from distributed import LocalCluster

    options = {"processes": False, "protocol": "tcp://", "host": "127.0.0.1", "dashboard_address": None}
    with LocalCluster(n_workers=1, threads_per_worker=2, **options) as cluster:
        out = run(stack, tmp_path / "out.ome.zarr", bundle, scheduler=cluster.scheduler_address)
    assert chunks(out) == chunks(undisturbed)


def test_a_scheduler_that_does_not_answer_is_a_clear_error(stack, bundle, tmp_path):
    with pytest.raises(OSError, match=r"127\.0\.0\.1:9"):
        run(stack, tmp_path / "out.ome.zarr", bundle, scheduler="tcp://127.0.0.1:9")


def open_store(path):
    from monai_unet.io.zarr_store import PredictionStore

    return PredictionStore(path)


def test_a_cluster_of_this_machine_listens_on_the_loopback_only():
    psutil = pytest.importorskip("psutil")
    from monai_unet.prediction.cluster import cluster

    before = {connection.laddr for connection in psutil.Process().net_connections()}
    with cluster(2, None, "cpu"):
        ours = [psutil.Process(), *psutil.Process().children(recursive=True)]
        connections = [connection for process in ours for connection in process.net_connections()]
        found = [c for c in connections if c.status == "LISTEN" and c.laddr not in before]
    assert found
    assert {connection.laddr.ip for connection in found} == {"127.0.0.1"}
