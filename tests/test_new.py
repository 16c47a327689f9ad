"""`monai-unet new`: the bundle that it writes, and what it refuses to write."""

import io
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
import torch
from bundle_runs import workflow
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from monai_unet.cli import main
from monai_unet.recipes import create
from monai_unet.recipes.compose import names, shipped
from monai_unet.recipes.create import new_bundle

REPOSITORY = Path(__file__).parents[1]
TEMPLATE = REPOSITORY / "bundles" / "dic_hela"
SMALL = {"features": [2, 3, 4], "device": "cpu"}
SHORT = {**SMALL, "epochs": 1, "val_interval": 1}


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)


def discs(seed, size=(60, 70)):
    """Three discs of one number each; their middles are of another class."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    labels, classes = np.zeros(size, np.uint8), np.zeros(size, np.uint8)
    for number in (1, 2, 3):
        row, column = rng.integers(10, size[0] - 10), rng.integers(10, size[1] - 10)
        distance = np.hypot(y - row, x - column)
        labels[distance < 9] = number
        classes[distance < 9] = 1
        classes[distance < 4] = 2
    image = (classes * 60 + rng.normal(50, 5, size)).astype(np.uint8)
    return image, labels, classes


@pytest.fixture
def cells(tmp_path):
    """Four pictures with numbered cells."""
    for number in range(4):
        image, labels, _ = discs(number)
        for part, array in (("images", image), ("labels", labels)):
            (tmp_path / "cells" / part).mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(tmp_path / "cells" / part / f"f{number}.tif", array)
    return tmp_path / "cells"


@pytest.fixture
def tissue(tmp_path):
    """Two volumes of three sections with three classes, real numbers."""
    for number in range(2):
        sections = [discs(3 * number + index) for index in range(3)]
        for part, index in (("images", 0), ("labels", 2)):
            (tmp_path / "tissue" / part).mkdir(parents=True, exist_ok=True)
            volume = np.stack([section[index] for section in sections]).astype(np.float32)
            nibabel.save(nibabel.Nifti1Image(volume.T, np.eye(4)), tmp_path / "tissue" / part / f"v{number}.nii.gz")
    return tmp_path / "tissue"


@pytest.fixture
def membranes(cells):
    for path in (cells / "labels").iterdir():
        tifffile.imwrite(path, (tifffile.imread(path) == 0).astype(np.uint8) * np.uint8(255))
    return cells


CLASSES = ("background", "body", "nucleus")


def config(bundle, name):
    return json.loads((bundle / "configs" / f"{name}.json").read_text())


def train_evaluate_and_predict(bundle):
    """Return the names of the scores."""
    workflow(bundle, "train", ["train"], **SHORT).run()
    workflow(bundle, "infer", ["train", "evaluate"], **SMALL).run()
    workflow(bundle, "infer", ["inference"], **SMALL).run()
    return [line.split(",")[0] for line in (bundle / "output" / "metrics.csv").read_text().splitlines()]


def test_only_values_on_top_differ_from_the_shipped_bundle_and_they_keep_their_order(cells):
    bundle = new_bundle("mine", cells).folder
    for name in ("train", "inference"):
        old, new = config(TEMPLATE, name), config(bundle, name)
        assert list(new) == list(old)
        nested = [key for key, value in old.items() if isinstance(value, dict)]
        assert nested
        assert all(new[key] == old[key] for key in nested)


def test_what_was_found_and_set_is_in_the_configs(cells):
    made = new_bundle("mine", cells)
    train, inference = config(made.folder, "train"), config(made.folder, "inference")
    values = {setting.name: setting.value for setting in made.settings}
    for name, value in values.items():
        assert (inference if name == "value_range" else train)[name] == value
    for name in ("image_mean", "image_std", "classes"):
        assert inference[name] == train[name]
    assert inference["min_size"] == f"$io.found_value(@ckpt_path, 'min_size', {train['min_size']})"
    assert train["dataset_dir"] == inference["dataset_dir"] == str(cells)
    assert train["partly_annotated"] == []


def test_a_bundle_has_copies_of_its_configs_a_card_a_licence_and_metadata_of_its_own(cells):
    bundle = new_bundle("mine", cells).folder
    for name in ("train.json", "evaluate.json", "inference.json", "metadata.json", "logging.conf"):
        assert not (bundle / name).is_symlink()
        assert (bundle / name).read_bytes() == (bundle / "configs" / name).read_bytes()
    metadata = config(bundle, "metadata")
    assert metadata["name"] == "U-Net for mine"
    assert metadata["network_data_format"]["outputs"]["pred"]["channel_def"] == {
        "0": "background",
        "1": "cell",
        "2": "border",
    }
    assert "HeLa" not in "".join(path.read_text() for path in (bundle / "configs").iterdir())
    assert "| `min_size` = `" in (bundle / "docs" / "README.md").read_text()
    assert "yours to choose" in (bundle / "LICENSE").read_text()


def test_it_goes_into_the_bundles_folder_where_there_is_one_unless_told_otherwise(cells):
    assert new_bundle("mine", cells).folder == Path("mine")
    Path("bundles").mkdir()
    assert new_bundle("mine", cells).folder == Path("bundles/mine")
    assert new_bundle("mine", cells, out="else/where").folder == Path("else/where")


def test_what_exists_is_never_overwritten(cells):
    Path("mine").mkdir()
    with pytest.raises(FileExistsError, match=r"mine already exists and was left as it is; .*: mine_2 is free"):
        new_bundle("mine", cells)
    assert not list(Path("mine").iterdir())


def test_a_run_that_fails_leaves_nothing(cells, monkeypatch):
    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(create.card, "model_card", fail)
    with pytest.raises(OSError, match="disk full"):
        new_bundle("mine", cells)
    assert not list(Path().iterdir())


def test_all_problems_are_told_and_nothing_is_written(cells, capsys):
    (cells / "labels" / "f1.tif").unlink()
    (cells / "images" / "f2.tif").write_bytes(b"nonsense")
    assert main(["new", "mine", "--dataset_dir", str(cells)]) == 2
    out, err = capsys.readouterr()
    assert out == f"looking through {cells}\n"
    assert "2 problems; nothing was written" in err
    assert "f1.tif has no partner" in err
    assert "f2.tif cannot be read as an image" in err
    assert not list(Path().iterdir())


@pytest.mark.parametrize("name", ["", "../mine", "my cells", ".hidden", "a'b"])
def test_a_name_that_would_break_a_config_or_a_path_is_refused(cells, name):
    with pytest.raises(ValueError, match="as my_cells"):
        new_bundle(name, cells)


def test_a_bundle_that_was_made_can_be_started_from_too(cells):
    alpha = new_bundle("alpha", cells).folder
    text = (alpha / "configs" / "train.json").read_text()
    (alpha / "configs" / "train.json").write_text(text.replace('"learning_rate": 0.001', '"learning_rate": 0.5'))
    omega = new_bundle("omega", cells, like="alpha").folder
    assert config(omega, "train")["learning_rate"] == 0.5
    expected = (alpha / "configs" / "train.json").read_text().replace("alpha", "omega")
    assert (omega / "configs" / "train.json").read_text() == expected


def test_an_unknown_bundle_to_start_from_names_those_that_there_are(cells):
    with pytest.raises(
        FileNotFoundError, match=r"expected denoise, dic_hela, dic_hela_compact, isbi, .* or the folder of a bundle"
    ):
        new_bundle("mine", cells, like="nowhere")


@pytest.mark.parametrize("like", [name for name in names() if shipped(name).kind != "restoration"])
def test_every_shipped_bundle_can_be_started_from(membranes, like):
    bundle = new_bundle("mine", membranes, like=like).folder
    assert config(bundle, "train")["features"] == config(TEMPLATE.parent / like, "train")["features"]
    assert "models'" in config(bundle, "train")["ckpt_dir"]


def test_a_bundle_whose_wiring_was_changed_is_not_started_from(cells):
    alpha = new_bundle("alpha", cells).folder
    text = (alpha / "configs" / "train.json").read_text()
    (alpha / "configs" / "train.json").write_text(text.replace("torch.optim.Adam", "torch.optim.AdamW"))
    with pytest.raises(ValueError, match="changed below the values on top, in optimizer"):
        new_bundle("omega", cells, like="alpha")


@pytest.mark.parametrize(("kind", "name"), [("train", "train"), ("infer", "inference")])
@pytest.mark.parametrize("data", ["cells", "tissue"])
def test_monai_finds_every_property_that_it_wants(request, data, kind, name):
    classes = CLASSES if data == "tissue" else None
    bundle = new_bundle("mine", request.getfixturevalue(data), classes=classes).folder
    network = workflow(bundle, "train", ["train"], **SMALL).parser.get_parsed_content("network")
    torch.save(network.state_dict(), bundle / "models" / "model.pt")
    assert workflow(bundle, kind, [name], **SMALL).check_properties() == []


def test_a_bundle_of_cells_trains_evaluates_and_predicts_instances(cells):
    bundle = new_bundle("mine", cells).folder
    assert train_evaluate_and_predict(bundle) == ["seg", "iou"]
    assert tifffile.imread(bundle / "output" / "prediction" / "f3_instances.tif").shape == (60, 70)


def test_a_bundle_of_classes_is_scored_by_dice_and_predicts_a_map_and_probabilities(tissue):
    bundle = new_bundle("mine", tissue, classes=CLASSES).folder
    assert train_evaluate_and_predict(bundle) == [
        "mean_dice",
        "mean_iou",
        "dice_body",
        "dice_nucleus",
        "iou_body",
        "iou_nucleus",
    ]
    out = bundle / "output" / "prediction"
    assert {path.name for path in out.iterdir()} == {
        f"v{number}_{what}.nii.gz" for number in (0, 1) for what in ("label", "probability_body", "probability_nucleus")
    }
    label = nibabel.load(out / "v1_label.nii.gz")
    assert label.get_data_dtype() == np.uint8
    body, nucleus = (nibabel.load(out / f"v1_probability_{name}.nii.gz").get_fdata() for name in CLASSES[1:])
    expected = np.stack([1 - body - nucleus, body, nucleus]).argmax(0)
    assert np.mean(label.get_fdata() == expected) > 0.999  # but for rounding of 1 - a - b


def test_a_bundle_for_labels_in_colour_trains_on_the_classes_and_reports_in_their_colours(tmp_path):
    table = np.array([[0, 0, 0], [255, 0, 0], [0, 0, 255]], np.uint8)
    for number in range(4):
        image, _, classes = discs(number)
        for part, array in (("images", image), ("labels", table[classes])):
            (tmp_path / "drawn" / part).mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(
                tmp_path / "drawn" / part / f"f{number}.tif", array, photometric="rgb" if array.ndim == 3 else None
            )
    bundle = new_bundle("mine", tmp_path / "drawn", colours="background=0,0,0 body=255,0,0 nucleus=0,0,255").folder
    assert tuple(config(bundle, "train")["classes"]) == CLASSES
    assert train_evaluate_and_predict(bundle)[0] == "mean_dice"
    page = (bundle / "output" / "report.html").read_text(encoding="utf-8")
    assert 'background: #0000ff"></span><b>nucleus</b>' in page
    events = EventAccumulator(str(bundle / "output")).Reload()
    assert events.Tags()["images"] == ["validation"]
    picture = np.asarray(Image.open(io.BytesIO(events.Images("validation")[0].encoded_image_string)))
    assert set(map(tuple, picture[:, 74 : 74 + 70].reshape(-1, 3).tolist())) == set(map(tuple, table.tolist()))


def test_a_map_of_two_classes_is_written_with_the_numbers_of_the_classes(cells):
    bundle = new_bundle("mine", cells, classes=("out", "in"), labels="instances").folder
    assert config(bundle, "train")["instances"]
    for path in (cells / "labels").iterdir():
        tifffile.imwrite(path, (tifffile.imread(path) > 0).astype(np.uint8))
    bundle = new_bundle("maps", cells, classes=("out", "in"), labels="classes").folder
    assert train_evaluate_and_predict(bundle) == ["mean_dice", "mean_iou", "dice_in", "iou_in"]
    probability = tifffile.imread(bundle / "output" / "prediction" / "f0_probability_in.tif")
    label = tifffile.imread(bundle / "output" / "prediction" / "f0_label.tif")
    assert label.dtype == np.uint8
    assert np.array_equal(label, probability > 0.5)


def test_dice_is_of_the_known_pixels_of_the_foreground(tissue):
    bundle = new_bundle("mine", tissue, classes=CLASSES, ignore_label=255).folder
    parser = workflow(bundle, "train", ["train"], **SMALL).parser
    rng = np.random.default_rng(0)
    logits, label = rng.normal(size=(3, 8, 9)), rng.integers(0, 3, (1, 8, 9))
    ignore = rng.random((1, 8, 9)) < 0.3
    sample = {"pred": torch.tensor(logits), "label": torch.tensor(label * 1.0), "ignore": torch.tensor(ignore)}
    output = [parser.get_parsed_content("validate::postprocessing")(sample)]
    found, known = logits.argmax(0), ~ignore[0]
    dice = [
        2
        * ((found == c) & (label[0] == c) & known).sum()
        / (((found == c) & known).sum() + ((label[0] == c) & known).sum())
        for c in (1, 2)
    ]
    key, others = (parser.get_parsed_content(f"validate::{name}") for name in ("key_metric", "additional_metrics"))
    for handler, expected in (
        (key["mean_dice"], np.mean(dice)),
        (others["dice_body"], dice[0]),
        (others["dice_nucleus"], dice[1]),
    ):
        handler.update(handler._output_transform(output))
        assert handler.metric_fn.aggregate().item() == pytest.approx(expected, abs=1e-6)


def test_a_map_of_classes_keeps_classes_that_touch(tissue):
    bundle = new_bundle("mine", tissue, classes=CLASSES).folder
    assert "SeparateCellsd" not in (bundle / "configs" / "train.json").read_text()
    section = workflow(bundle, "train", ["train"], **SMALL).parser.get_parsed_content("validate::dataset")[0]
    truth = nibabel.load(tissue / "labels" / "v1.nii.gz").get_fdata().T
    assert any(np.array_equal(section["label"][0].numpy(), each) for each in truth)


def test_black_and_white_labels_can_be_scored_by_the_metrics_of_isbi_2012(membranes):
    pytest.importorskip("numba", reason="the warping error")
    bundle = new_bundle("mine", membranes, like="isbi", classes=("membrane", "inside")).folder
    assert train_evaluate_and_predict(bundle)[0] == "v_rand"
    label = tifffile.imread(bundle / "output" / "prediction" / "f2_label.tif")
    assert set(np.unique(label)) <= {0, 1}


def test_isbi_is_refused_for_labels_that_its_metrics_do_not_know(cells, tissue):
    with pytest.raises(ValueError, match="one integer per cell: use --like dic_hela"):
        new_bundle("mine", cells, like="isbi")
    with pytest.raises(ValueError, match="one integer per class: use --like dic_hela"):
        new_bundle("mine", tissue, like="isbi", classes=CLASSES)


def test_unknown_pixels_are_refused_for_isbi(membranes):
    with pytest.raises(ValueError, match="unknown pixels: use --like dic_hela"):
        new_bundle("mine", membranes, like="isbi", ignore_label=7)


def test_a_bundle_for_classes_is_no_template_for_cells(cells, tissue):
    new_bundle("maps", tissue, classes=CLASSES)
    with pytest.raises(ValueError, match=r"maps is for maps of classes, and the labels .* are cells"):
        new_bundle("mine", cells, like="maps")


def test_the_command_says_what_was_found_what_is_set_and_why(cells, capsys):
    assert (
        main(
            [
                "new",
                "mine",
                "--dataset_dir",
                str(cells),
                "--partly_annotated",
                "f1,f2",
                "--ignore_label",
                "9",
                "--no-trial",
            ]
        )
        == 0
    )
    out, _ = capsys.readouterr()
    assert "4 sections of 60 x 70 pixels in 4 files (.tif; uint8)" in out
    assert "-> instances = true" in out
    assert '-> partly_annotated = ["f1", "f2"]' in out
    assert "-> ignore_label = 9" in out


@pytest.mark.slow
def test_the_printed_commands_work_as_they_are_from_elsewhere_and_with_spaces_in_the_path(cells, tmp_path, capsys):
    place = tmp_path / "my bundles"
    assert main(["new", "mine", "--dataset_dir", str(cells), "--out", str(place / "mine"), "--no-trial"]) == 0
    lines = capsys.readouterr().out.splitlines()
    commands = [line for line in lines if line.startswith(("monai-unet", "python -m"))]
    assert [shlex.split(command)[1] for command in commands] == ["train", "evaluate", "predict", "-m"]
    commands[2] = commands[2].replace("IMAGE.tif", shlex.quote(str(cells / "images" / "f0.tif")))
    commands[3] = commands[3].replace("FOLDER", shlex.quote(str(cells / "images")))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for index, command in enumerate(commands):
        small = " --features '[2,3,4]' --device cpu" + (" --epochs 1" if index == 0 else "")
        done = subprocess.run(
            command + small,
            shell=True,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"},
        )
        assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "RESULT.ome.tif").is_file()
    assert (place / "mine" / "output" / "prediction" / "f0_instances.tif").is_file()


def test_a_bundle_of_two_channels_trains_evaluates_and_predicts(cells):
    for path in (cells / "images").iterdir():
        image = tifffile.imread(path)
        described = {"axes": "CYX", "Channel": {"Name": ["DAPI", "actin"]}}
        tifffile.imwrite(path, np.stack([image, 255 - image]), ome=True, photometric="minisblack", metadata=described)
    bundle = new_bundle("two", cells).folder
    assert config(bundle, "metadata")["network_data_format"]["inputs"]["image"]["channel_def"] == {
        "0": "DAPI",
        "1": "actin",
    }
    assert "seg" in train_evaluate_and_predict(bundle)
    assert len(list((bundle / "output" / "prediction").glob("*_instances.tif"))) == 4
