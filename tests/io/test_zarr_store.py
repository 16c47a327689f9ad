import json
import pickle
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from monai_unet.io import open_source
from monai_unet.io.zarr_store import PredictionStore, create_or_open, mean

pytest.importorskip("zarr", reason="zarr is not installed (extra `large`)")

SHAPE, CHUNKS = (3, 300, 700), (1, 128, 256)
PIXELS = np.random.default_rng(0).random(SHAPE, dtype=np.float32)


@pytest.fixture(params=["0.5", "0.4"])
def version(request):
    return request.param


def make(path, shape=SHAPE, chunks=CHUNKS, dtype="float32", axes="zyx", spacing=(50, 4, 4), settings=None, **options):
    return create_or_open(path, shape, chunks, dtype, axes, spacing, settings or {"tile": 128}, **options)


def fill(store, pixels):
    for index in store.missing_chunks():
        store.write(index, pixels[store.box(index)])
    return store


def whole(store):
    return store.read(tuple(slice(0, size) for size in store.shape))


def files(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_what_is_written_chunk_by_chunk_is_read_as_a_whole(tmp_path, version):
    store = fill(make(tmp_path / "out.ome.zarr", version=version), PIXELS)
    assert store.grid == (3, 3, 3)
    assert np.array_equal(whole(store), PIXELS)
    assert np.array_equal(store.read((slice(1, 2), slice(100, 300), slice(3, 9))), PIXELS[1:2, 100:, 3:9])


def test_missing_chunks_are_those_that_were_not_written_and_zeros_count(tmp_path, version):
    store = make(tmp_path / "out", version=version)
    assert len(store.missing_chunks()) == 27
    store.write((2, 1, 0), np.zeros((1, 128, 256)))
    store.write((0, 2, 2), np.ones((1, 44, 188)))
    missing = make(tmp_path / "out", version=version).missing_chunks()
    assert len(missing) == 25
    assert {(2, 1, 0), (0, 2, 2)}.isdisjoint(missing)
    assert missing == sorted(missing)


def test_the_settings_are_there_before_any_chunk(tmp_path, version):
    make(tmp_path / "out", settings={"weights": "abc", "tile": [1, 2]}, version=version)
    assert PredictionStore(tmp_path / "out").settings == {"weights": "abc", "tile": [1, 2]}


def test_a_store_of_other_settings_is_refused_and_kept(tmp_path, version):
    make(tmp_path / "out", settings={"tile": 128, "weights": "abc", "image": "a"}, version=version)
    before = files(tmp_path)
    with pytest.raises(ValueError, match=r'out belongs .*image is "a" there and null now; tile is 128 there and 256'):
        make(tmp_path / "out", settings={"tile": 256, "weights": "abc"}, version=version)
    with pytest.raises(ValueError, match=r'dtype is "float32" there and "uint8" now'):
        make(
            tmp_path / "out",
            settings={"tile": 128, "weights": "abc", "image": "a"},
            dtype="uint8",
            version=version,
        )
    assert files(tmp_path) == before


@pytest.mark.parametrize("kind", ["file", "folder", "zarr", "link"])
def test_what_is_no_such_store_is_left_alone(tmp_path, kind):
    import zarr

    path = tmp_path / "out"
    if kind == "file":
        path.write_text("x")
    elif kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(tmp_path / "nowhere")
    else:
        zarr.create_group(path)
    before = files(tmp_path)
    with pytest.raises(FileExistsError, match="out exists and is not a prediction"):
        make(path)
    assert files(tmp_path) == before


def test_a_block_of_another_shape_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"chunk \(0, 2, 2\) has the shape \(1, 44, 188\); the block has"):
        make(tmp_path / "out").write((0, 2, 2), np.zeros((1, 128, 256)))


def test_a_store_that_cannot_be_made_is_named_and_nothing_is_left(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.mkdtemp", full)
    with pytest.raises(OSError, match=r"out cannot be written \(No space left on device\)"):
        make(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_chunk_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    store = make(tmp_path / "out")
    replace = Path.replace

    def killed(self, target):
        assert str(self).endswith(".partial")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(OSError, match=r"out.* cannot be written \(No space left on device\); what is there is kept"):
        store.write((0, 0, 0), PIXELS[store.box((0, 0, 0))])
    monkeypatch.setattr(Path, "replace", replace)
    assert (0, 0, 0) in store.missing_chunks()


def test_what_a_killed_writer_leaves_is_not_counted_and_goes_in_the_end(tmp_path, version):
    store = fill(make(tmp_path / "out", version=version), PIXELS)
    chunk = next(file for file in (tmp_path / "out" / "0").rglob("*") if file.name == "2" and file.is_file())
    partial = chunk.rename(chunk.with_suffix(".0123abc.partial"))
    assert len(store.missing_chunks()) == 1
    fill(store, PIXELS).finish()
    assert not partial.exists()


WRITER = """
import sys
sys.path.insert(0, sys.argv[2])
from test_zarr_store import PIXELS, fill, make
store = make(sys.argv[1])
print("begun", flush=True)
fill(store, PIXELS).finish()
"""


def test_after_kill_9_the_same_call_goes_on_and_ends_with_the_same_bytes(tmp_path):
    fill(make(tmp_path / "undisturbed" / "out"), PIXELS).finish()
    path = tmp_path / "killed" / "out"
    random = np.random.default_rng(0)
    for _ in range(3):
        command = [sys.executable, "-c", WRITER, str(path), str(Path(__file__).parent)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as run:
            run.stdout.readline()
            time.sleep(random.uniform(0, 0.1))
            run.send_signal(signal.SIGKILL)
        store = make(path)
        missing = set(store.missing_chunks())
        for index in np.ndindex(store.grid):
            if index not in missing:
                assert np.array_equal(store.read(store.box(index)), PIXELS[store.box(index)])
    fill(store, PIXELS).finish()
    assert files(path) == files(tmp_path / "undisturbed" / "out")


def test_processes_that_make_the_same_store_at_once_share_it(tmp_path):
    with ThreadPoolExecutor(6) as threads:
        stores = list(threads.map(lambda i: make(tmp_path / "out"), range(6)))
    stores[0].write((0, 0, 0), PIXELS[stores[0].box((0, 0, 0))])
    assert all(len(store.missing_chunks()) == 26 for store in stores)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_pickled_store_writes_into_the_same_folder(tmp_path):
    store = make(tmp_path / "out")
    pickle.loads(pickle.dumps(store)).write((0, 0, 0), PIXELS[store.box((0, 0, 0))])
    assert len(store.missing_chunks()) == 26


# the pyramid


@pytest.mark.parametrize("chunks", [(1, 128, 256), (2, 75, 101), (3, 300, 700)])
def test_levels_are_means_whatever_the_chunks(tmp_path, version, chunks):
    store = fill(make(tmp_path / "out", chunks=chunks, version=version), PIXELS)
    store.finish()
    halves = PIXELS.reshape(3, 150, 2, 350, 2).mean((2, 4), dtype=np.float32)
    assert np.allclose(np.asarray(store.level(1)), halves, atol=1e-6)
    assert store.level(2).shape == (3, 75, 175)
    assert not (tmp_path / "out" / "3").exists()


def test_levels_of_labels_hold_labels_only(tmp_path):
    labels = (PIXELS * 9).astype(np.uint32) * 100_000
    store = fill(make(tmp_path / "out", dtype="uint32", labels=True), labels)
    store.finish()
    assert np.array_equal(np.asarray(store.level(1)), labels[:, ::2, ::2])
    assert np.array_equal(np.asarray(store.level(2)), labels[:, ::4, ::4])


def test_the_mean_of_an_odd_end_is_of_what_is_there():
    assert mean(np.array([[1, 3, 8]], np.uint8), (1, 2)).tolist() == [[2, 8]]
    assert mean(np.array([[1.0, 3.0, 8.0]], np.float16), (2, 2)).tolist() == [[2, 8]]


def test_sections_are_halved_when_the_pixels_have_grown_to_their_distance(tmp_path):
    store = fill(make(tmp_path / "out", (20, 40, 1100), (20, 40, 1100), spacing=(10, 4, 4)), np.ones((20, 40, 1100)))
    store.finish()
    assert [store.level(i).shape for i in range(4)] == [(20, 40, 1100), (20, 20, 550), (10, 10, 275), (5, 5, 138)]


def test_finish_refuses_an_unfinished_store_and_repeats_nothing(tmp_path, version):
    store = make(tmp_path / "out", version=version)
    store.write((0, 0, 0), PIXELS[store.box((0, 0, 0))])
    with pytest.raises(ValueError, match="out lacks 26 of 27 chunks"):
        store.finish()
    assert not store.is_complete
    with pytest.raises(ValueError, match="an unfinished prediction"):
        open_source(tmp_path / "out")
    fill(store, PIXELS).finish()
    before = files(tmp_path)
    times = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")}
    assert make(tmp_path / "out", version=version).is_complete
    store.finish()
    assert files(tmp_path) == before
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")} == times


def test_a_finished_store_is_an_image_of_its_own(tmp_path, version):
    names = ("membrane", "inside")
    pixels = np.stack([PIXELS, 1 - PIXELS])
    options = {"shape": (2, *SHAPE), "chunks": (2, *CHUNKS), "axes": "czyx", "channel_names": names}
    fill(make(tmp_path / "out", **options, unit="nanometer", version=version), pixels).finish()
    source = open_source(tmp_path / "out")
    assert (source.info.shape, source.info.channels) == (SHAPE, 2)
    assert (source.info.spacing, source.info.unit) == ((50, 4, 4), "nanometer")
    box = (slice(1, 3), slice(100, 150), slice(200, 300))
    assert np.array_equal(source.read(box), pixels[:, 1:3, 100:150, 200:300])


def test_the_metadata_is_that_of_ngff(tmp_path, version):
    fill(make(tmp_path / "out.ome.zarr", unit="nanometer", version=version), PIXELS).finish()
    if version == "0.5":
        image = json.loads((tmp_path / "out.ome.zarr" / "zarr.json").read_text())["attributes"]["ome"]
        assert image["version"] == "0.5"
    else:
        image = json.loads((tmp_path / "out.ome.zarr" / ".zattrs").read_text())
        assert image["multiscales"][0]["version"] == "0.4"
    multiscale = image["multiscales"][0]
    assert multiscale["axes"] == [{"name": axis, "type": "space", "unit": "nanometer"} for axis in "zyx"]
    assert multiscale["datasets"][1] == {
        "path": "1",
        "coordinateTransformations": [
            {"type": "scale", "scale": [50.0, 8.0, 8.0]},
            {"type": "translation", "translation": [0.0, 2.0, 2.0]},
        ],
    }
    assert image["omero"]["channels"][0]["label"] == "probability"


def test_ome_zarr_models_accepts_it(tmp_path, version):
    models = pytest.importorskip("ome_zarr_models", reason="ome-zarr-models, which validates NGFF, is not installed")
    import zarr

    fill(make(tmp_path / "out", version=version), PIXELS).finish()
    # it raises for a store that is not valid
    assert models.open_ome_zarr(zarr.open_group(tmp_path / "out", mode="r")) is not None


def test_a_picture_has_no_z(tmp_path):
    store = make(tmp_path / "out", (300, 700), (512, 512), axes="yx")
    assert store.chunks == (300, 512)
    assert store.spacing == (4, 4)
    fill(store, PIXELS[0]).finish()
    assert open_source(tmp_path / "out").info.ndim == 2


def test_an_ordinary_folder_is_made_that_others_may_read(tmp_path):
    make(tmp_path / "new" / "out")
    (tmp_path / "b").mkdir()
    assert (tmp_path / "new" / "out").stat().st_mode == (tmp_path / "b").stat().st_mode


@pytest.mark.parametrize(("axes", "chunks"), [("xyz", (1, 2, 3)), ("zyx", (1, 2)), ("zyx", (0, 1, 1))])
def test_axes_and_chunks_that_do_not_fit_are_refused(tmp_path, axes, chunks):
    with pytest.raises(ValueError, match=r"expected .*yx"):
        make(tmp_path / "out", axes=axes, chunks=chunks)
