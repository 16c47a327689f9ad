"""What MONAI Label does to a bundle's configs, done here without it: its names, its overrides, its own handler."""

import itertools

import numpy as np
import pytest
import tifffile
import torch
from monai.bundle import ConfigParser, ConfigWorkflow
from monai.transforms import Compose, SaveImaged

from monai_unet.data import synthetic_sections
from monai_unet.label.app_folder import make_app

BUNDLES = ("isbi", "isbi_compact", "dic_hela", "dic_hela_compact", "phc_u373")


@pytest.fixture(params=BUNDLES)
def bundle(request, tmp_path, pytestconfig):
    """The copy of a bundle in an app, narrow and untrained; beside it three images and labels, and no data set."""
    overrides = {"features": [2, 3, 4], "tile": 60, "ckpt_dir": "none"}
    make_app(tmp_path / "app", [pytestconfig.rootpath / "bundles" / request.param], overrides)
    for number, (image, label) in enumerate(zip(*synthetic_sections(3, 70, seed=0), strict=True)):
        tifffile.imwrite(tmp_path / f"{number}.tif", image)
        tifffile.imwrite(tmp_path / f"{number}_label.tif", label)
    return tmp_path / "app" / "model" / request.param


def train(bundle, training, validation, epochs):
    """As `BundleTrainTask` does it."""
    files = [
        {"image": str(bundle.parents[2] / f"{number}.tif"), "label": str(bundle.parents[2] / f"{number}_label.tif")}
        for number in range(3)
    ]
    config = ConfigParser()
    config.read_config(str(bundle / "configs" / "train.json"))
    start = {"_target_": "CheckpointLoader", "load_path": str(bundle / "models" / "model.pt"), "strict": False}
    overrides = {
        "bundle_root": str(bundle),
        "train#trainer#max_epochs": epochs,
        "train#dataset#data": files[:training],
        "device": "cpu",
        "train#handlers": [{**start, "load_dict": {"model": "$@network"}}, *config.get("train#handlers")],
        "validate#dataset#data": files[3 - validation :] if validation else [],
    }
    path = str(bundle / "configs" / "train.json")
    run = ConfigWorkflow(path, workflow_type="train", run_id="run", logging_file=False, **overrides)
    run.initialize()
    run.run()


def weights(bundle):
    return torch.load(bundle / "models" / "model.pt", weights_only=True)


def test_training_needs_no_data_set_and_changes_the_weights_again_and_again(bundle):
    states = [weights(bundle)]
    for training, validation, epochs in ((1, 0, 1), (1, 0, 1), (2, 1, 2)):
        train(bundle, training, validation, epochs)
        states.append(weights(bundle))
    for before, after in itertools.pairwise(states):
        assert not all(torch.equal(before[name], after[name]) for name in before)


def test_without_its_files_a_prediction_has_no_channel_and_whole_numbers(bundle):
    config = ConfigParser()
    config.read_config(str(bundle / "configs" / "inference.json"))
    config.config["bundle_root"] = str(bundle)
    parts = {name: config.get_parsed_content(name) for name in ("preprocessing", "inferer", "postprocessing")}
    network = config.get_parsed_content("network_def").eval()
    sample = parts["preprocessing"]({"image": str(bundle.parents[2] / "0.tif")})
    with torch.no_grad():
        sample["pred"] = parts["inferer"](sample["image"][None], network)[0]
    shown = Compose([step for step in parts["postprocessing"].transforms if not isinstance(step, SaveImaged)])
    labels = shown(sample)["pred"]
    assert labels.shape == (70, 70)
    assert labels.array.dtype == (np.uint8 if bundle.name.startswith("isbi") else np.uint16)
    assert not (bundle / "datasets").exists(), "nothing is made for a default that is not used"
