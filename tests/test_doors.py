"""One image through every way to a prediction: labels and objects are the same, bit for bit."""

import itertools

import numpy as np
import pytest
import tifffile
import torch
from bundle_runs import REPOSITORY, workflow
from monai.bundle import ConfigParser
from monai.transforms import Compose, SaveImaged

from monai_unet.cli import main
from monai_unet.label.app_folder import make_app

NARROW = {"features": [4, 8, 16]}
# far from the defaults, so that a door with values of its own would show
SETTINGS = {
    "cells": {"separation": "gap", "threshold": 0.505, "min_size": 7},
    "cells with a distance": {"separation": "distance", "threshold": 0.9, "seed_depth": 0.002, "min_size": 7},
    "masks": {"threshold": 0.495},
    "masks of an image normalised by itself": {"threshold": 0.495, "normalise": "image", "percentiles": [5, 95]},
    "cells of sections normalised by themselves": {
        "separation": "gap",
        "threshold": 0.505,
        "min_size": 7,
        "normalise": "section",
        "percentiles": None,
    },
    "two channels": {
        "channels": ["dapi", "actin=body"],
        "image_mean": [120, 90.5],
        "image_std": [40, 33.25],
        "separation": "gap",
        "threshold": 0.05,
        "min_size": 7,
    },
}
BUNDLES = {"masks": "isbi", "masks of an image normalised by itself": "isbi"}  # the others are cells


class Case(tuple):
    """(bundle, folder), and the name of its settings."""

    settings: str


@pytest.fixture(scope="module", params=list(SETTINGS))
def case(request, tmp_path_factory):
    """(bundle, folder): two sections, their labels, and an untrained network whose probabilities go both ways."""
    pytest.importorskip("zarr", reason="needs zarr and dask")
    bundle, folder = REPOSITORY / "bundles" / BUNDLES.get(request.param, "dic_hela"), tmp_path_factory.mktemp("doors")
    rng = np.random.default_rng(0)
    for part in ("images", "labels"):
        (folder / part).mkdir()
    image = np.kron(rng.integers(60, 190, (2, 12, 15)), np.ones((1, 6, 6))).astype(np.uint8)
    image += rng.integers(0, 9, image.shape, np.uint8)
    if "normalise" in SETTINGS[request.param]:
        image[1] //= 2  # of another exposure, for which there is no one pair of numbers
    if "channels" in SETTINGS[request.param]:  # in another order than the network takes them
        image = np.stack([image[:, ::-1], image], axis=1)
        described = {"axes": "ZCYX", "Channel": {"Name": ["body", "dapi"]}}
        tifffile.imwrite(folder / "images" / "t000.tif", image, ome=True, photometric="minisblack", metadata=described)
    else:
        tifffile.imwrite(folder / "images" / "t000.tif", image, photometric="minisblack")
    labels = np.kron(rng.integers(0, 2, (2, 12, 15)), np.ones((1, 6, 6))).astype(np.uint8)
    tifffile.imwrite(folder / "labels" / "t000.tif", labels, photometric="minisblack")
    parser = ConfigParser.load_config_file(bundle / "configs" / "inference.json")
    torch.manual_seed(1)
    network = ConfigParser({**parser, **NARROW, **SETTINGS[request.param]}).get_parsed_content("network_def")
    torch.save(network.state_dict(), folder / "model.pt")
    case = Case((bundle, folder))
    case.settings = request.param
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # how a convolution is split among threads changes its last bit
    yield case
    torch.set_num_threads(threads)


def given(case, **more):
    _, folder = case
    return {**NARROW, **SETTINGS[case.settings], "ckpt_dir": str(folder), "device": "cpu", **more}


def options(values):
    return list(itertools.chain.from_iterable((f"--{name}", str(value)) for name, value in values.items()))


@pytest.fixture(scope="module")
def inferred(case):
    """What `run inference` writes: (probability, label)."""
    bundle, folder = case
    out = folder / "inferred"
    image = str(folder / "images" / "t000.tif")
    workflow(bundle, "infer", ["inference"], **given(case, input_dir=image, output_dir=str(out))).run()
    names = {
        "dic_hela": ("probability/t000_probability.tif", "mask000.tif"),
        "isbi": ("t000_probability.tif", "t000_label.tif"),
    }[bundle.name]
    return [tifffile.imread(out / name) for name in names]


def test_there_is_something_to_compare(case, inferred):
    probability, label = inferred
    assert 0.1 < (label > 0).mean() < 0.9
    assert (label.max() > 3) == (case[0].name == "dic_hela")
    threshold = SETTINGS[case.settings]["threshold"]
    assert ((probability > threshold - 0.005) & (probability < threshold + 0.005)).any(), "the threshold matters"


def predict(case, source, kind, **values):
    _, folder = case
    out = folder / f"{kind}_{len(list(folder.iterdir()))}.ome.tif"
    image = str(folder / "images" / "t000.tif")
    assert main(["predict", image, "--bundle", str(source), "--out", str(out), "--output", kind, *options(values)]) == 0
    return tifffile.imread(out)


def kinds(case):
    return "instances" if case[0].name == "dic_hela" else "label"


def of_probability(case):
    return {name: value for name, value in given(case).items() if name not in ("threshold", "min_size")}


def test_the_command_predict_gives_the_same(case, inferred):
    assert np.array_equal(predict(case, case[0], kinds(case), **given(case)), inferred[1])
    assert np.array_equal(predict(case, case[0], "probability", **of_probability(case)), inferred[0])


def test_running_predicting_gives_the_same(case, inferred):
    bundle, folder = case
    out = folder / "predicting.ome.tif"
    values = given(case, input=str(folder / "images" / "t000.tif"), output=str(out))
    workflow(bundle, "infer", ["inference"], run_id="predicting", **values).run()
    assert np.array_equal(tifffile.imread(out), inferred[0])


def test_an_exported_network_gives_the_same(case, inferred):
    bundle, folder = case
    file = folder / "network.ts"
    values = {name: value for name, value in given(case).items() if name != "device"}
    assert (
        main(["export", "--bundle", str(bundle), "--format", "torchscript", "--out", str(file), *options(values)]) == 0
    )
    assert np.array_equal(predict(case, file, kinds(case), device="cpu"), inferred[1])


def test_evaluating_and_its_report_make_the_same(case, inferred):
    bundle, folder = case
    values = given(case, dataset_dir=str(folder), validation=[1], output_dir=str(folder / "evaluated"))
    values |= {"partly_annotated": []} if bundle.name == "dic_hela" else {}
    run = workflow(bundle, "train", ["train", "evaluate"], run_id="evaluating", **values)
    run.run()
    evaluator = run.parser.get_parsed_content("validate::evaluator")
    (section,) = evaluator.state.output
    decoding = run.parser.get_parsed_content("decoding")
    probability = section["pred"].numpy()
    # a section is predicted in a batch of another size, for which some CPUs have kernels that add in another order
    assert np.abs(decoding.foreground(probability)[0] - inferred[0][1]).max() < 1e-5
    made = section["instances"].numpy()[0] if bundle.name == "dic_hela" else decoding.labels(probability)
    assert np.array_equal(made, inferred[1][1])
    report = run.parser.get_parsed_content("validate::handlers")[1]
    assert np.array_equal(report._objects(section, probability), decoding.instances(probability))


def test_monai_label_gives_the_same(case, inferred):
    bundle, folder = case
    values = {name: value for name, value in given(case).items() if name != "device"}
    make_app(folder / "app", [bundle], values)
    config = ConfigParser()
    config.read_config(str(folder / "app" / "model" / bundle.name / "configs" / "inference.json"))
    config.config["bundle_root"] = str(folder / "app" / "model" / bundle.name)
    parts = {name: config.get_parsed_content(name) for name in ("preprocessing", "inferer", "postprocessing")}
    network = config.get_parsed_content("network_def").eval().to(memory_format=torch.channels_last)
    network.load_state_dict(torch.load(folder / "model.pt", weights_only=True))
    sample = parts["preprocessing"]({"image": str(folder / "images" / "t000.tif")})
    with torch.no_grad():
        sample["pred"] = parts["inferer"](sample["image"][None], network)[0]
    shown = Compose([step for step in parts["postprocessing"].transforms if not isinstance(step, SaveImaged)])
    assert np.array_equal(np.asarray(shown(sample)["pred"]).T, inferred[1])
