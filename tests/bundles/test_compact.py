"""The model that works right after the clone."""

import json
from pathlib import Path

import pytest
import tifffile
import torch
from bundle_runs import REPOSITORY, workflow

from monai_unet.metrics import isbi2012_scores

BUNDLE = REPOSITORY / "bundles" / "isbi_compact"
SHARED = Path(__file__).parents[3] / "shared" / "data" / "isbi2012"


def test_its_weights_are_small_enough_for_the_repository():
    assert 1e6 < (BUNDLE / "models" / "model.pt").stat().st_size <= 8e6


def without_note(text):
    """The report's note has one more sentence, on what the weights have seen."""
    config = json.loads(text)
    for handler in config.get("validate::handlers", []):
        if handler["_target_"].endswith("SaveReport"):
            handler.pop("reference_note")
    return config


def test_it_differs_from_the_wide_bundle_in_its_width_and_its_name_only():
    for name in ("train", "evaluate", "inference", "paper", "multi_gpu_train"):
        compact, wide = (
            without_note((REPOSITORY / bundle / "configs" / f"{name}.json").read_text().replace(bundle, "NAME"))
            for bundle in ("bundles/isbi_compact", "bundles/isbi")
        )
        assert {key for key in wide if compact.get(key) != wide[key]} <= {
            "features",
            "ckpt_dir",
            "ckpt_path",
        }
        assert compact.keys() == wide.keys()


def test_training_it_does_not_replace_the_weights_that_came_with_it(sections, tmp_path):
    files = {"dataset_dir": str(sections), "output_dir": str(tmp_path), "device": "cpu", "tile": 60}
    before = (BUNDLE / "models" / "model.pt").read_bytes()
    run = workflow(BUNDLE, "train", ["train"], **files, epochs=1, val_interval=1)
    run.run()
    assert (tmp_path / "models" / "model.pt").is_file()
    assert (BUNDLE / "models" / "model.pt").read_bytes() == before


def test_a_training_can_start_from_its_weights(sections, tmp_path):
    files = {"dataset_dir": str(sections), "output_dir": str(tmp_path), "device": "cpu", "tile": 60}
    shipped = str(BUNDLE / "models" / "model.pt")
    run = workflow(
        BUNDLE, "train", ["train"], **files, epochs=1, val_interval=1, learning_rate=0.0, initial_weights=shipped
    )
    run.run()
    one, other = (torch.load(path, weights_only=True) for path in (shipped, tmp_path / "models" / "model.pt"))
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the ISBI 2012 sections are not here")
def test_it_segments_a_section_right_after_the_clone(tmp_path):
    image, label = (tifffile.imread(SHARED / f"train-{part}.tif")[23] for part in ("volume", "labels"))
    tifffile.imwrite(tmp_path / "section.tif", image[:400, :333])
    run = workflow(
        BUNDLE, "infer", ["inference"], input_dir=str(tmp_path / "section.tif"), output_dir=str(tmp_path), device="cpu"
    )
    run.run()
    probability = tifffile.imread(tmp_path / "section_probability.tif")
    scores = isbi2012_scores(label[:400, :333], probability, warping=False)
    assert scores.v_rand_macro > 0.9
    assert scores.pixel_error < 0.08


def test_its_weights_are_finite():
    weights = torch.load(BUNDLE / "models" / "model.pt", weights_only=True)
    assert all(value.isfinite().all() for value in weights.values())
