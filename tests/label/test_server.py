"""MONAI Label's server itself, started by `monai-unet label`, asked over HTTP as QuPath, 3D Slicer and curl ask it."""

import importlib.util
import io
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
import torch
from skimage.io import imread, imsave

from monai_unet.data import synthetic_sections
from monai_unet.inferers import OverlapTileInferer
from monai_unet.io import read_stack
from monai_unet.label.annotations import outlines, read_annotations, write_annotations
from monai_unet.label.app_folder import make_app
from monai_unet.networks import fold
from monai_unet.prediction.load import bundle_parser
from monai_unet.transforms import label_instances, watershed_instances

if importlib.util.find_spec("monailabel") is None:
    pytest.skip("MONAI Label is not installed in this environment: make test-label", allow_module_level=True)
import psutil
import requests

REPOSITORY = Path(__file__).parents[2]
BUNDLES = ("isbi", "dic_hela", "phc_u373")
# turned in the plane and flipped, with spacings that differ: 0.6 and 0.8 are a cosine and sine
AFFINE = np.array([[-0.6, 0.8, 0, 10], [0.8, 0.6, 0, -20], [0, 0, 1, 7], [0, 0, 0, 1]]) @ np.diag([4, 4.5, 50, 1])
MIN_SIZE = 6
WAIT = 240  # seconds for a start or a training; on an idle machine both take some ten


def images():
    """Sections and their labels, by name: two sizes smaller than a tile, one larger, one of several sections."""
    sections, membranes = synthetic_sections(6, 150, seed=0)
    for name, first, shape in (
        ("small.png", 0, (1, 31, 43)),
        ("flat.tif", 1, (1, 150, 67)),
        ("stack.tiff", 2, (3, 70, 90)),
        ("volume.nii.gz", 3, (2, 83, 70)),
        ("picture.nii", 5, (1, 64, 51)),
    ):
        depth, height, width = shape
        box = (slice(first, first + depth), slice(0, height), slice(0, width))
        yield name, sections[box], membranes[box]


def write(path, array, affine=AFFINE):
    """(D, H, W) in the format of the name."""
    if path.name.endswith((".nii", ".nii.gz")):
        array = array.T[..., 0] if path.name.startswith("picture") else array.T
        nibabel.save(nibabel.Nifti1Image(array, affine), path)
    elif path.suffix == ".png":
        imsave(path, array[0], check_contrast=False)
    else:
        tifffile.imwrite(path, array if len(array) > 1 else array[0], photometric="minisblack")


class Server:
    def __init__(self, folder):
        self.studies, self.app = folder / "studies", folder / "app"
        self.studies.mkdir()
        for name, image, _ in images():
            write(self.studies / name, image)
        bundles = [REPOSITORY / "bundles" / name for name in BUNDLES]
        narrow = {"features": [4, 8, 16], "tile": 60, "min_size": MIN_SIZE, "ckpt_dir": str(folder / "none")}
        make_app(self.app, bundles, narrow)
        for name in BUNDLES:
            self.balance(name)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.log = folder / "server.log"
        command = [sys.executable, "-m", "monai_unet.cli", "label", "--studies", self.studies, "--app", self.app]
        command += ["--bundle", *bundles, "--port", self.port]
        command += [text for name, value in narrow.items() for text in (f"--{name}", value)]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                list(map(str, command)), stdout=log, stderr=log, cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"}
            )

    def balance(self, model):
        """Let the untrained network call half of an image a cell, so that there is something to compare."""
        logits = self.logits(model, next(images())[1])
        weights = self.weights(model)
        weights["head.bias"][0] += (logits[:, 1:].logsumexp(1) - logits[:, 0]).median()
        torch.save(weights, self.app / "model" / model / "models" / "model.pt")

    def ask(self, method, path, **arguments):
        return requests.request(method, f"http://127.0.0.1:{self.port}{path}", timeout=WAIT, **arguments)

    def answer(self, method, path, **arguments):
        answer = self.ask(method, path, **arguments)
        assert answer.status_code == 200, (answer.status_code, answer.text, self.log.read_text()[-3000:])
        return answer

    def wait_until_it_answers(self):
        end = time.monotonic() + WAIT
        while time.monotonic() < end and self.process.poll() is None:
            try:
                return self.ask("GET", "/info/")
            except requests.ConnectionError:
                time.sleep(0.3)
        raise AssertionError(f"the server did not start:\n{self.log.read_text()[-3000:]}")

    def infer(self, model, image, folder, **params):
        """The answer of /infer, written where it can be read by its kind."""
        answer = self.answer("POST", f"/infer/{model}?image={image}&output=image", data={"params": json.dumps(params)})
        path = folder / (image + "".join(Path(answer.headers["content-disposition"].split('"')[1]).suffixes))
        path.write_bytes(answer.content)
        return path

    def label(self, name, labels, folder, ext=None):
        """Put the labels of an image into the datastore, in the format of the image or as `ext` says."""
        stem, _, own = name.partition(".")
        path = folder / f"{stem}.{ext or own}"
        write(path, labels)
        with path.open("rb") as file:
            self.answer("PUT", f"/datastore/label?image={stem}", files={"label": (path.name, file)})

    def train(self, model, **params):
        self.answer("POST", f"/train/{model}", json=params)
        end = time.monotonic() + WAIT
        while time.monotonic() < end:
            state = self.answer("GET", "/train/").json()
            if state["status"] not in ("SUBMITTED", "RUNNING"):
                return state
            time.sleep(0.3)
        raise AssertionError(f"training takes more than {WAIT} s: {state}")

    def weights(self, model):
        return torch.load(self.app / "model" / model / "models" / "model.pt", weights_only=True)

    def logits(self, model, array):
        """The network applied to array order, without MONAI Label, readers or tiles."""
        parser = bundle_parser(str(self.app / "model" / model))
        network = parser.get_parsed_content("network_def").eval()
        network.load_state_dict(self.weights(model))
        network = fold(network).to(memory_format=torch.channels_last)  # else a pixel at the threshold falls otherwise
        mean, std = parser.get_parsed_content("image_mean"), parser.get_parsed_content("image_std")
        with torch.no_grad():
            batch = (torch.from_numpy(array.astype(np.float32))[:, None] - mean) / std
            return OverlapTileInferer()(batch, network)

    def expected(self, model, array):
        """The labels of that."""
        probability = self.logits(model, array).softmax(1).numpy()
        if model == "isbi":
            return (probability[:, 1] > 0.5).astype(np.uint8)
        return np.stack([watershed_instances(p[1], 1 - p[0], 0.5, 0.1, MIN_SIZE) for p in probability])


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Stopped by its process id, whatever happened; what it started itself ends with it."""
    started = Server(tmp_path_factory.mktemp("label"))
    try:
        started.wait_until_it_answers()
        yield started
    finally:
        children = (
            psutil.Process(started.process.pid).children(recursive=True) if started.process.poll() is None else []
        )
        started.process.terminate()
        try:
            started.process.wait(20)
        except subprocess.TimeoutExpired:
            started.process.kill()
        for child in children:
            if child.is_running():
                child.kill()


def test_every_bundle_is_there_to_predict_and_to_train(server):
    info = server.answer("GET", "/info/").json()
    assert set(info["models"]) == set(info["trainers"]) == set(BUNDLES)
    assert {name: model["labels"] for name, model in info["models"].items()} == {
        "isbi": {"inside": 1},
        "dic_hela": {"cell": 1},
        "phc_u373": {"cell": 1},
    }
    assert {model["dimension"] for model in info["models"].values()} == {2}
    assert info["datastore"]["total"] == 5


@pytest.mark.parametrize("model", BUNDLES)
@pytest.mark.parametrize("name", [name for name, _, _ in images()])
def test_the_answer_is_the_networks_labels_pixel_by_pixel_in_the_format_of_the_image(server, tmp_path, model, name):
    image = next(image for given, image, _ in images() if given == name)
    answer = server.infer(model, name.partition(".")[0], tmp_path)
    assert answer.name == name
    labels = read_stack(answer)
    assert labels.shape == image.shape
    assert labels.dtype == (np.uint8 if model == "isbi" else np.uint16)
    assert np.array_equal(labels, server.expected(model, image))
    assert labels.any() or name != "small.png", "the network is balanced on it"
    if ".nii" in name:
        assert nibabel.load(answer).shape == nibabel.load(server.studies / name).shape
        assert np.allclose(nibabel.load(answer).affine, AFFINE, atol=1e-5)


def test_a_file_may_come_with_the_request(server, tmp_path):
    _, image, _ = next(iter(images()))
    write(tmp_path / "other.png", image)
    files = {"file": ("other.png", (tmp_path / "other.png").read_bytes())}
    answer = server.answer("POST", "/infer/isbi?output=image", files=files)
    assert np.array_equal(imread(io.BytesIO(answer.content)), server.expected("isbi", image)[0])


def test_3d_slicer_gets_nrrd_with_origin_spacing_and_directions(server, tmp_path):
    import SimpleITK

    answer = server.infer("isbi", "volume", tmp_path, result_extension=".nrrd", result_dtype="uint8")
    result, image = (SimpleITK.ReadImage(str(path)) for path in (answer, server.studies / "volume.nii.gz"))
    expected = server.expected("isbi", read_stack(server.studies / "volume.nii.gz"))
    assert np.array_equal(SimpleITK.GetArrayFromImage(result), expected)
    assert np.allclose(result.GetOrigin(), image.GetOrigin(), atol=1e-4)
    assert np.allclose(result.GetSpacing(), image.GetSpacing(), atol=1e-4)


def test_qupath_gets_the_outlines_of_the_cells(server, tmp_path):
    wsi = {"wsi": json.dumps({"min_poly_area": 0, "tile_size": [1024, 1024], "params": {"max_workers": 1}})}
    with (server.studies / "small.png").open("rb") as file:
        answer = server.answer("POST", "/infer/wsi_v2/dic_hela?output=asap", files={"file": ("p.png", file)}, data=wsi)
    (tmp_path / "a.xml").write_bytes(answer.content)
    expected = server.expected("dic_hela", read_stack(server.studies / "small.png"))[0]
    filled = read_annotations(tmp_path / "a.xml", expected.shape)
    assert np.array_equal(filled > 0, drawn(expected, tmp_path) > 0)
    assert filled.max() == len(outlines(expected))


def test_qupath_may_ask_for_a_region_of_an_image_that_the_server_has(server, tmp_path):
    request = {"location": [10, 20], "size": [30, 40], "min_poly_area": 0, "params": {}}
    answer = server.answer("POST", "/infer/wsi/isbi?output=asap&image=flat", json=request)
    (tmp_path / "a.xml").write_bytes(answer.content)
    expected = server.expected("isbi", read_stack(server.studies / "flat.tif"))[0]
    seen = np.zeros_like(expected)
    seen[20:60, 10:40] = expected[20:60, 10:40]
    assert np.array_equal(read_annotations(tmp_path / "a.xml", seen.shape) > 0, drawn(seen, tmp_path) > 0)


def drawn(labels, folder):
    """The objects without their holes, as polygons show them."""
    write_annotations(folder / "expected.xml", [("x", corners) for _, corners in outlines(labels)])
    return read_annotations(folder / "expected.xml", labels.shape)


@pytest.mark.parametrize("strategy", ["random", "first"])
def test_active_learning_names_an_image_to_label_next(server, strategy):
    answer = server.answer("POST", f"/activelearning/{strategy}", json={}).json()
    assert answer["id"] in {name.partition(".")[0] for name, _, _ in images()}
    assert Path(answer["path"]).is_file()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("bad.tif", b"this is no TIFF", "bad.tif|tmp"),
        ("nan.tif", np.full((20, 20), np.nan, np.float32), "not finite"),
        ("colour.png", np.zeros((20, 20, 3), np.uint8), "grey"),
        ("dim.tif", np.linspace(0, 0.9, 400, dtype=np.float32).reshape(20, 20), "scaled to 0 to 1"),
    ],
)
def test_a_bad_image_is_answered_by_the_reason(server, tmp_path, name, content, message):
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif path.suffix == ".tif":
        tifffile.imwrite(path, content)
    else:
        imsave(path, content, check_contrast=False)
    answer = server.ask("POST", "/infer/isbi?output=image", files={"file": (name, path.read_bytes())})
    assert answer.status_code == 422
    assert any(part in answer.json()["detail"] for part in message.split("|"))


def test_an_image_that_is_not_there_is_not_found(server):
    answer = server.ask("POST", "/infer/isbi?image=nowhere")
    assert answer.status_code == 404
    assert "nowhere" in answer.json()["detail"]


def test_it_listens_on_the_loopback_only(server):
    listening = {
        connection.laddr.ip
        for connection in psutil.Process(server.process.pid).net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


# attacks: each is answered by a refusal, and nothing has happened


def wheres(server):
    """Every file of the server's folders and the folder around them, with its time."""
    files = (path for path in server.studies.parent.rglob("*") if path.is_file() and "log" not in path.name)
    return {str(path): path.stat().st_mtime_ns for path in files}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/train/isbi", {"max_epochs": "$__import__('os').system('touch {folder}/attacked')+1"}),
        ("POST", "/train/isbi", {"max_epochs": "@epochs"}),
        ("POST", "/train/isbi", {"$__import__('os').system('touch {folder}/attacked')": 1}),
        ("POST", "/train/isbi", {"train#trainer#max_epochs": 1}),
        ("POST", "/train/isbi", {"bundle_path": "/tmp"}),
        ("POST", "/train/isbi", {"run_id": "$__import__('os').system('touch {folder}/attacked')"}),
        ("POST", "/train/isbi", {"model_filename": "../../../x.pt"}),
        ("POST", "/train/isbi", {"device": "$__import__('os').system('touch {folder}/attacked')"}),
        ("POST", "/train/isbi", {"tracking": "mlflow", "tracking_uri": "http://example.org"}),
        ("POST", "/train/", {"isbi": {"max_epochs": "$__import__('os').system('touch {folder}/attacked')+1"}}),
        ("POST", "/batch/infer/isbi", {"device": "$__import__('os').system('touch {folder}/attacked')"}),
        ("POST", "/batch/infer/isbi", {"label_tag": "../../x"}),
        ("POST", "/infer/wsi/isbi?image=flat", {"params": {"image": "/etc/hostname"}}),
        ("POST", "/infer/wsi/isbi?image=../../x", {}),
        ("POST", "/infer/isbi?image=%2Fetc%2Fhostname", None),
        ("POST", "/activelearning/random", {"strategy": "../../x"}),
        ("PUT", "/datastore/?image=../../x", "file"),
        ("PUT", "/datastore/image?image=..%2F..%2Fx", "file"),
        ("PUT", "/datastore/image?image=.hidden", "file"),
        ("PUT", "/datastore/label?image=flat&tag=../../x", "label"),
        ("PUT", "/datastore/label?image=flat&tag=/tmp", "label"),
        ("PUT", "/datastore/label?image=../../x", "label"),
        ("DELETE", "/datastore/image?id=../../x", None),
        ("DELETE", "/datastore/label?id=flat&tag=../..", None),
        ("GET", "/datastore/label?label=flat&tag=../../app", None),
        ("GET", "/session/..%5C..", None),
    ],
)
def test_values_that_are_no_data_are_refused(server, method, path, body):
    before = wheres(server)
    folder = str(server.studies.parent)
    arguments = {"files": {body: ("x.tif", b"x")}} if isinstance(body, str) else {}
    if isinstance(body, dict):
        arguments["data"] = json.dumps(body).replace("{folder}", folder)
        arguments["headers"] = {"Content-Type": "application/json"}
    answer = server.ask(method, path, **arguments)
    assert answer.status_code in (404, 422), answer.text
    assert answer.json()["detail"]
    assert wheres(server) == before


def test_parameters_beside_a_file_are_checked_too(server):
    answer = server.ask("POST", "/infer/isbi?image=flat", data={"params": json.dumps({"image": "/etc/hostname"})})
    assert answer.status_code == 422
    assert "'image' is not known" in answer.json()["detail"]


def test_an_image_that_is_there_is_not_written_over(server):
    before = (server.studies / "flat.tif").read_bytes()
    answer = server.ask("PUT", "/datastore/image?image=flat", files={"file": ("flat.tif", b"x")})
    assert answer.status_code == 409
    assert (server.studies / "flat.tif").read_bytes() == before


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("path", ["/proxy/dicom/wado/x", "/ohif/", "/reload", "/model/isbi", "/login", "/logs/gpu"])
def test_what_is_not_needed_is_not_offered(server, method, path):
    if (method, path) == ("GET", "/model/isbi"):
        pytest.skip("the weights of a model can be fetched")
    assert server.ask(method, path).status_code == 404


@pytest.mark.parametrize("path", ["/train/none", "/infer/none?image=flat", "/batch/infer/none", "/infer/wsi/none"])
def test_an_unknown_model_is_not_found(server, path):
    answer = server.ask("POST", path)
    assert answer.status_code == 404
    assert "there is no model 'none', only dic_hela, isbi, phc_u373" in answer.json()["detail"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://example.org"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Host": "example.org"},
        {"Host": "127.0.0.1.example.org:8000"},
    ],
)
def test_a_page_of_another_site_starts_no_training_and_reads_nothing(server, headers):
    for method, path in (("POST", "/train/isbi"), ("GET", "/info/")):
        answer = server.ask(method, path, headers=headers)
        assert answer.status_code in (403, 421), answer.text
    assert server.ask("GET", "/train/", params={"check_if_running": "true"}).status_code == 404


def test_its_own_pages_are_let_in(server):
    answer = server.answer("GET", "/info/", headers={"Origin": f"http://127.0.0.1:{server.port}"})
    assert "access-control-allow-origin" not in answer.headers


def test_a_refusal_leaves_no_traceback_in_the_log(server):
    before = server.log.read_text()
    server.ask("POST", "/train/isbi", json={"max_epochs": "$1"})
    assert "Traceback" not in server.log.read_text()[len(before) :]


# from here on the weights change: what stands above compares with whatever weights there are


@pytest.mark.parametrize("model", BUNDLES)
def test_training_changes_the_answers_from_the_first_label_on(server, tmp_path, model):
    before = server.weights(model)
    name, image, labels = next(iter(images()))
    server.label(name, labels, tmp_path)
    state = server.train(model, max_epochs=2)
    assert state["status"] == "DONE", state["details"]
    assert not all(torch.equal(before[key], value) for key, value in server.weights(model).items())
    answer = read_stack(server.infer(model, name.partition(".")[0], tmp_path))
    assert np.array_equal(answer, server.expected(model, image))


def test_training_again_with_more_labels_of_every_format_goes_on_from_the_weights(server, tmp_path):
    for name, _, labels in images():
        server.label(name, labels, tmp_path)
    before = server.weights("isbi")
    state = server.train("isbi", max_epochs=1)
    assert state["status"] == "DONE", state["details"]
    change = max((before[key] - value).abs().max() for key, value in server.weights("isbi").items())
    assert 0 < change < 0.1, "one epoch from where the last one ended, not from the start"


def test_cells_are_learnt_from_instances_in_another_format_and_from_qupaths_polygons(server, tmp_path):
    for name, _, labels in images():
        cells = np.stack([label_instances(section > 0) for section in labels]).astype(np.uint16)
        if name == "flat.tif":
            write_annotations(tmp_path / "flat.xml", [("Cell", corners) for _, corners in outlines(cells[0])])
            with (tmp_path / "flat.xml").open("rb") as file:
                server.answer("PUT", "/datastore/label?image=flat", files={"label": ("flat.xml", file)})
        elif len(cells) == 1:
            server.label(name, cells, tmp_path, ext="tif")
    before = server.weights("phc_u373")
    state = server.train("phc_u373", max_epochs=1)
    assert state["status"] == "DONE", state["details"]
    assert not all(torch.equal(before[key], value) for key, value in server.weights("phc_u373").items())
    polygons = read_stack(server.app / "model" / "phc_u373" / "labels" / "flat.tif")
    assert polygons.max() > 3
