"""The model that works right after the clone."""

import json
from pathlib import Path

import pytest
import tifffile
import torch
from bundle_runs import REPOSITORY, workflow

from monai_unet.metrics import isbi2012_scores, seg_score

BUNDLE = REPOSITORY / "bundles" / "isbi_compact"
COMPACT = {"isbi_compact": "isbi", "dic_hela_compact": "dic_hela", "phc_u373_compact": "phc_u373"}
SHARED = Path(__file__).parents[3] / "shared" / "data" / "isbi2012"


@pytest.mark.parametrize("name", COMPACT)
def test_its_weights_are_small_enough_for_the_repository(name):
    assert 1e6 < (REPOSITORY / "bundles" / name / "models" / "model.pt").stat().st_size <= 4e6


def without_note(text):
    """The report's note has one more sentence, on what the weights have seen."""
    config = json.loads(text)
    for handler in config.get("validate::handlers", []):
        if handler["_target_"].endswith("SaveReport"):
            handler.pop("reference_note")
    return config


@pytest.mark.parametrize(("compact_name", "wide_name"), COMPACT.items())
def test_it_differs_from_the_wide_bundle_in_its_width_and_its_name_only(compact_name, wide_name):
    for name in ("train", "evaluate", "inference", "paper", "multi_gpu_train"):
        compact, wide = (
            without_note((REPOSITORY / "bundles" / bundle / "configs" / f"{name}.json").read_text())
            for bundle in (compact_name, wide_name)
        )
        assert {key for key in wide if compact.get(key) != wide[key]} <= {
            "features",
            "batch_size",
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
    assert all(torch.equal(one[name].float(), other[name]) for name in one)


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


FRAMES = {"dic_hela_compact": ("dic_hela/01", "t021", 10), "phc_u373_compact": ("phc_u373/02", "t020", 5)}


@pytest.mark.skipif(not SHARED.is_dir(), reason="the films of the Cell Tracking Challenge are not here")
@pytest.mark.parametrize("name", FRAMES)
def test_it_finds_cells_right_after_the_clone(name, tmp_path):
    folder, frame, fewest = FRAMES[name]
    image = SHARED.parent / folder / f"{frame}.tif"
    run = workflow(
        REPOSITORY / "bundles" / name,
        "infer",
        ["inference"],
        input_dir=str(image),
        output_dir=str(tmp_path),
        device="cpu",
    )
    run.run()
    truth = image.parents[1] / f"{image.parent.name}_GT" / "SEG" / f"man_seg{frame[1:]}.tif"
    scores = seg_score(tifffile.imread(truth), tifffile.imread(tmp_path / f"mask{frame[1:]}.tif"))
    assert scores.num_matched >= fewest
    assert scores.seg > 0.85


@pytest.mark.parametrize("name", COMPACT)
def test_its_weights_are_finite_and_in_half_precision(name):
    weights = torch.load(REPOSITORY / "bundles" / name / "models" / "model.pt", weights_only=True)
    assert {value.dtype for value in weights.values()} == {torch.float16}
    assert all(value.isfinite().all() for value in weights.values())
