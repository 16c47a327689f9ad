"""The bundles for instances, on a made-up film in the Cell Tracking Challenge's layout."""

import json
import re

import numpy as np
import pytest
import tifffile
import torch
from bundle_runs import REPOSITORY, command, workflow
from scipy import ndimage

CELLS = ("dic_hela", "phc_u373")
SMALL = {"features": [4, 8, 16], "tile": 60, "inference_tile": 60, "device": "cpu", "validation": 1 / 3, "min_size": 20}


def frame(seed):
    """An image of bright discs on dark ground, and their numbers."""
    random = np.random.default_rng(seed)
    cells = np.zeros((70, 84), np.uint16)
    row, column = np.indices(cells.shape)
    for number, (y, x) in enumerate(((18, 16), (17, 46), (50, 26), (48, 66)), start=1):
        y, x = y + random.integers(-3, 4), x + random.integers(-3, 4)
        cells[(row - y) ** 2 + (column - x) ** 2 < random.integers(9, 13) ** 2] = 10 * number
    image = 90 + 90 * (cells > 0) + random.normal(0, 6, cells.shape)
    return ndimage.gaussian_filter(image, 0.7).astype(np.uint8), cells


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    folder = tmp_path_factory.mktemp("film")
    for index in range(6):
        image, cells = frame(index)
        for path, pixels in (("01/t{:03d}.tif", image), ("01_GT/SEG/man_seg{:03d}.tif", cells)):
            file = folder / path.format(7 * index)
            file.parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(file, pixels, compression="lzw")
    return folder


@pytest.fixture(scope="module", params=CELLS)
def trained(request, film, tmp_path_factory):
    """(bundle, folder of its weights) after a few epochs."""
    bundle, folder = REPOSITORY / "bundles" / request.param, tmp_path_factory.mktemp(request.param)
    files = {"dataset_dir": str(film), "ckpt_dir": str(folder), "output_dir": str(folder / "out")}
    grey = {"image_mean": 105, "image_std": 40}
    settings = {
        **SMALL,
        **files,
        **grey,
        "partly_annotated": [],
        "epochs": 25,
        "val_interval": 5,
        "learning_rate": 5e-3,
    }
    run = workflow(bundle, "train", ["train"], **settings)
    run.run()
    of_training = ("tile", "epochs", "val_interval", "learning_rate")
    read = {name: value for name, value in settings.items() if name not in of_training}
    evaluation = workflow(bundle, "train", ["train", "evaluate"], "evaluating", **read)
    evaluation.run()
    keep = ("features", "device", "min_size")
    infer = {name: SMALL[name] for name in keep} | {"ckpt_dir": str(folder), "output_dir": str(folder / "01_RES")}
    workflow(bundle, "infer", ["inference"], **infer, **grey, input_dir=str(film / "01")).run()
    return bundle, folder, evaluation.parser.get_parsed_content("validate::evaluator").state.metrics


def test_the_cells_of_a_simple_film_are_found(trained):
    assert trained[2]["seg"] > 0.7
    assert trained[2]["iou"] > 0.7


def test_the_best_weights_and_the_report_are_there(trained):
    assert (trained[1] / "model.pt").is_file()
    page = (trained[1] / "out" / "report.html").read_text(encoding="utf-8")
    assert {"dic_hela": "0.7756", "phc_u373": "0.9203"}[trained[0].name] in page
    assert "t035.tif" in page


def test_results_have_the_challenges_names_type_and_size(trained):
    results = sorted((trained[1] / "01_RES").glob("*.tif"))
    assert [path.name for path in results] == [f"mask{7 * index:03d}.tif" for index in range(6)]
    assert {(tifffile.imread(path).dtype.name, tifffile.imread(path).shape) for path in results} == {
        ("uint16", (70, 84))
    }


def test_results_are_objects_of_the_foreground_numbered_row_by_row(trained):
    probability = tifffile.imread(trained[1] / "01_RES" / "probability" / "t035_probability.tif")
    mask = tifffile.imread(trained[1] / "01_RES" / "mask035.tif")
    assert mask.max() >= 3
    assert np.all(np.diff(np.unique(mask[mask > 0], return_index=True)[1]) > 0)
    assert (probability[mask > 0] > 0.5).mean() > 0.95  # the rest are holes that were filled


def test_training_knows_nothing_of_the_background_of_a_partly_annotated_frame(film, tmp_path):
    run = workflow(
        REPOSITORY / "bundles" / "dic_hela",
        "train",
        ["train"],
        **SMALL,
        dataset_dir=str(film),
        ckpt_dir=str(tmp_path),
        partly_annotated=["01/t007"],
        elastic_prob=0.0,
        unknown_rim=0,
    )
    samples = {s["name"]: s for s in run.parser.get_parsed_content("train::dataset")}
    partly, whole = samples["t007.tif"], samples["t014.tif"]
    assert (partly["weight"] == 0).float().mean() > 0.3
    assert not partly["label"][partly["weight"] == 0].any()
    assert torch.all(whole["weight"] > 0)


def test_the_cell_bundles_differ_in_values_only():
    """What is wired in one is wired in the other: what differs are names on top, and what the report compares with."""
    for name in ("train", "evaluate", "inference"):
        one, other = (
            json.loads(
                (REPOSITORY / "bundles" / bundle / "configs" / f"{name}.json").read_text().replace(bundle, "NAME")
            )
            for bundle in CELLS
        )
        values = {"image_mean", "image_std", "min_size", "partly_annotated", "validation"}
        report = {"title", "reference", "reference_note"}
        assert {key for key in one if one[key] != other[key]} <= values | {"validate::handlers"}
        for first, second in zip(*(config.get("validate::handlers", []) for config in (one, other)), strict=True):
            assert {part for part in first if first[part] != second[part]} <= report


@pytest.mark.parametrize("bundle", ["isbi", *CELLS])
def test_every_name_of_the_papers_recipe_is_a_name_of_the_training(bundle):
    """`momentum` alone is new there: it belongs to the optimiser of the paper."""
    configs = REPOSITORY / "bundles" / bundle / "configs"
    training, paper = (json.loads((configs / f"{name}.json").read_text()) for name in ("train", "paper"))
    assert set(paper) - set(training) == {"momentum"}
    assert all(paper[name] != training[name] for name in set(paper) & set(training))


@pytest.mark.slow
def test_the_command_says_where_the_data_should_be(tmp_path):
    done = command("training", "--config_file", "bundles/phc_u373/train.json", "--dataset_dir", tmp_path / "none")
    assert done.returncode != 0
    assert re.search(r"none does not exist; expected a folder in the Cell Tracking Challenge's layout", done.stderr)
    assert done.stderr.strip().splitlines()[-1].startswith("monai-unet: error:")
