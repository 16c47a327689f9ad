"""Scores of maps of classes from files, in numbers, colours or probabilities, and those of a bundle's evaluation."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
from bundle_runs import workflow
from PIL import Image

from monai_unet.cli import main
from monai_unet.metrics.classes import confusion_matrix, scores_of_classes
from monai_unet.prediction.out_of_core import predict
from monai_unet.recipes.create import new_bundle

CLASSES = ("background", "body", "nucleus")
TABLE = np.array([(0, 0, 0), (255, 0, 0), (0, 90, 255), (255, 255, 255)], np.uint8)
COLOURS = "background=0,0,0 body=255,0,0 nucleus=0,90,255 ignore=255,255,255"


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def maps():
    """True and predicted classes (D, H, W); the second section lacks a class in both."""
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 3, (2, 9, 13)).astype(np.uint8)
    truth[1] %= 2
    predicted = np.where(rng.random(truth.shape) < 0.3, 1, truth).astype(np.uint8)
    return truth, predicted


def write(name, array, **kwargs):
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(name, array, photometric="rgb" if array.shape[-1] == 3 else "minisblack", **kwargs)
    return name


def score(capsys, *words):
    """What the command writes for --metric classes, and what it prints."""
    code = main(["score", *map(str, words), "--metric", "classes", "--out", "scores.json"])
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    return json.loads(Path("scores.json").read_text()), out


def fails(capsys, *words):
    try:
        code = main(["score", *map(str, words)])
    except SystemExit as end:
        code = end.code
    out, err = capsys.readouterr()
    assert (code, out, err.count("\n")) == (2, "", 1)
    return err


def in_numbers(capsys, maps):
    files = write("truth.tif", maps[0]), write("predicted.tif", maps[1])
    return score(capsys, *files, "--classes", ",".join(CLASSES))[0]


def scores_only(report):
    return {key: value for key, value in report.items() if key not in ("labels", "proposal")}


def test_the_scores_are_those_of_the_metric(capsys, maps):
    report = in_numbers(capsys, maps)
    matrices = np.stack([confusion_matrix(*section, 3) for section in zip(*maps, strict=True)])
    dice = scores_of_classes(matrices)
    assert report["scores"]["mean_dice"] == pytest.approx(np.nanmean(np.nanmean(dice[:, 1:], axis=1)))
    assert report["confusion_matrix"] == matrices.sum(0).tolist()
    assert report["of_classes"][2]["dice_of_all_pixels"] == scores_of_classes(matrices.sum(0))[2]
    assert [section["dice"]["body"] for section in report["sections"]] == dice[:, 1].tolist()
    assert report["sections"][1]["iou"]["nucleus"] is None
    assert [of["sections"] for of in report["of_classes"]] == [2, 2, 1]


def test_the_tables_show_them(capsys, maps):
    files = write("truth.tif", maps[0]), write("predicted.tif", maps[1])
    report, out = score(capsys, *files, "--classes", ",".join(CLASSES))
    lines = [line.split() for line in out.splitlines()]
    assert ["body", *map(str, report["confusion_matrix"][1])] in lines
    assert lines[0][:3] == ["mean", "dice", f"{report['scores']['mean_dice']:.6f},"]
    (second,) = [line for line in lines if line[:3] == ["truth.tif", "section", "1"]]
    assert second[-1] == "-"


def test_labels_and_proposals_in_colour_have_the_scores_of_their_numbers(capsys, maps):
    expected = scores_only(in_numbers(capsys, maps))
    truth, predicted = (write(f"{index}.tif", TABLE[each]) for index, each in enumerate(maps))
    assert scores_only(score(capsys, truth, predicted, "--colours", COLOURS)[0]) == {
        **expected,
        "sections": [
            {**section, "section": f"0.tif section {index}"} for index, section in enumerate(expected["sections"])
        ],
    }
    report, _ = score(capsys, truth, "predicted.tif", "--colours", COLOURS)
    assert report["scores"] == expected["scores"]
    report, _ = score(capsys, truth, predicted, "--colours", COLOURS, "--classes", "background,nucleus,body")
    assert np.array_equal(report["confusion_matrix"], np.array(expected["confusion_matrix"])[[0, 2, 1]][:, [0, 2, 1]])


def test_pixels_of_the_colour_ignore_do_not_count(capsys, maps):
    truth, predicted = maps
    known = np.random.default_rng(0).random(truth.shape) < 0.7
    files = write("truth.tif", TABLE[np.where(known, truth, 3)]), write("predicted.tif", predicted)
    matrix = score(capsys, *files, "--colours", COLOURS)[0]["confusion_matrix"]
    assert matrix == confusion_matrix(truth, predicted, 3, known).tolist()
    files = write("truth.tif", np.where(known, truth, 9).astype(np.uint8)), "predicted.tif"
    assert score(capsys, *files, "--classes", ",".join(CLASSES), "--ignore-label", 9)[0]["confusion_matrix"] == matrix


def test_the_highest_of_the_probabilities_counts(capsys, maps):
    expected = in_numbers(capsys, maps)["confusion_matrix"]
    probability = np.eye(3, dtype=np.float32)[maps[1]] * 0.4 + 0.2
    written = {"ome": True, "metadata": {"axes": "ZCYX"}}
    tifffile.imwrite("p.ome.tif", np.moveaxis(probability, -1, 1), photometric="minisblack", **written)
    assert score(capsys, "truth.tif", "p.ome.tif", "--classes", ",".join(CLASSES))[0]["confusion_matrix"] == expected
    nibabel.save(nibabel.Nifti1Image(probability.transpose(2, 1, 0, 3), np.eye(4)), "p.nii")
    assert score(capsys, "truth.tif", "p.nii", "--classes", ",".join(CLASSES))[0]["confusion_matrix"] == expected


def test_of_two_classes_the_probability_of_the_second_is_enough(capsys):
    inside = np.array([[0.2, 0.5, 0.7, 0.9]], np.float32)
    files = write("truth.tif", np.array([[0, 255, 255, 0]], np.uint8)), write("p.tif", inside)
    assert score(capsys, *files, "--classes", "out,in")[0]["confusion_matrix"] == [[1, 1], [1, 1]]


@pytest.mark.parametrize("values", [(0, 1), (0, 255), (1, 2)])
def test_two_classes_may_be_any_two_values_of_labels_and_proposal_alike(capsys, maps, values):
    inside = maps[0] > 0
    truth, predicted = (write(name, np.where(inside, *values[::-1]).astype(np.uint8)) for name in ("a.tif", "b.tif"))
    report, _ = score(capsys, truth, predicted, "--classes", "background,cell")
    assert report["scores"]["mean_dice"] == 1
    assert report["confusion_matrix"][1][1] == inside.sum()


def test_unknown_pixels_of_two_classes_bring_no_other_value(capsys, maps):
    masks = np.where(maps[0] > 0, 2, 1).astype(np.uint8)
    unknown = masks.copy()
    unknown[:, 0] = 9
    files = write("a.tif", unknown), write("b.tif", masks)
    report, _ = score(capsys, *files, "--classes", "background,cell", "--ignore-label", 9)
    assert report["scores"]["mean_dice"] == 1


def test_folders_are_paired_by_the_names_of_the_labels(capsys, maps):
    for name, truth, predicted in zip("ab", *maps, strict=True):
        Path("labels").mkdir(exist_ok=True)
        Image.fromarray(TABLE[truth]).save(f"labels/{name}.png")
        write(f"results/{name}_label.tif", predicted)
        write(f"results/{name}_probability_body.tif", predicted.astype(np.float32))
    report, _ = score(capsys, "labels", "results", "--colours", COLOURS)
    assert report["confusion_matrix"] == in_numbers(capsys, maps)["confusion_matrix"]
    assert [section["section"] for section in report["sections"]] == ["a.png", "b.png"]
    Path("results/b_label.tif").rename("results/c_label.tif")
    words = ("labels", "results", "--metric", "classes", "--colours", COLOURS)
    assert f"results holds no proposal for {Path('labels/b.png')}" in fails(capsys, *words)
    write("results/a.tif", maps[1][0])
    write("results/b.tif", maps[1][1])
    assert "are all proposals for" in fails(capsys, *words)


def test_what_cannot_be_compared_is_refused(capsys, maps):
    truth, predicted = write("truth.tif", maps[0]), write("predicted.tif", maps[1])
    of = ("--metric", "classes")
    assert "name the classes, --classes" in fails(capsys, truth, predicted, *of)
    assert "truth.tif holds 3 different values" in fails(capsys, truth, predicted, *of, "--classes", "a,b")
    assert "expected two different names" in fails(capsys, truth, predicted, *of, "--classes", "a,a")
    colour = write("colour.tif", TABLE[maps[0]])
    assert "colour.tif holds 0,90,255" in fails(
        capsys, colour, predicted, *of, "--colours", "background=0,0,0 body=255,0,0"
    )
    assert "colour.tif has 3 channels of type uint8; expected probabilities" in fails(
        capsys, truth, colour, *of, "--classes", "a,b,c"
    )
    assert "--classes is for --metric classes" in fails(capsys, truth, predicted, "--metric", "seg", "--classes", "a,b")
    assert "expected two files, or two folders" in fails(capsys, truth, ".", *of, "--classes", "a,b,c")


# the challenges' scores of labels in colour


def test_seg_of_labels_in_colour_is_of_the_parts_of_each_class(capsys):
    classes = np.zeros((12, 20), np.uint8)
    classes[1:6, 1:6], classes[1:6, 6:12], classes[8:11, 2:9] = 1, 2, 1
    cells = np.zeros((12, 20), np.uint16)
    cells[1:6, 1:6], cells[1:6, 6:12], cells[8:11, 2:9] = 1, 2, 3
    objects = np.roll(cells, 1, axis=1)
    words = (write("cells.tif", cells), write("objects.tif", objects), "--metric", "seg", "--out", "expected.json")
    assert main(["score", *words]) == 0
    words = (write("colour.tif", TABLE[classes]), "objects.tif", "--metric", "seg", "--out", "scores.json")
    assert main(["score", *words, "--colours", COLOURS]) == 0
    moved = (write("moved.tif", TABLE[np.roll(classes, 1, axis=1)]), "--metric", "seg", "--out", "moved.json")
    assert main(["score", "colour.tif", *moved, "--colours", COLOURS]) == 0
    expected, found, both = (json.loads(Path(f"{name}.json").read_text()) for name in ("expected", "scores", "moved"))
    assert 0.5 < expected["seg"] < 1
    assert expected["seg"] == found["seg"] == both["seg"]
    assert found["num_cells"] == 3


def test_isbi_takes_labels_in_colour_but_no_unknown_pixels(capsys):
    labels = np.zeros((1, 8, 10), np.uint8)
    labels[0, 1:4, 1:8] = labels[0, 5:7, 2:9] = 1
    probability = write("p.tif", np.where(np.roll(labels, 1, axis=2), 0.8, 0.1).astype(np.float32))
    words = ("--metric", "isbi", "--no-warping", "--out", "scores.json")
    found = []
    for file, more in (
        (write("n.tif", labels), []),
        (write("c.tif", TABLE[labels[0]]), ["--colours", "background=0,0,0 body=255,0,0"]),
    ):
        assert main(["score", file, probability, *words, *more]) == 0
        found.append(json.loads(Path("scores.json").read_text())["scores"])
    assert found[0] == found[1]
    capsys.readouterr()
    assert "counts every pixel, so none can be ignore" in fails(
        capsys, "c.tif", probability, *words[:3], "--colours", COLOURS
    )


# the evaluation of a bundle


def labelled_in_colour(folder, num_images=4, table=TABLE):
    """RGB images of discs in discs, and their classes in colour."""
    row, column = np.indices((70, 84))
    for number in range(num_images):
        rng = np.random.default_rng(number)
        classes = np.zeros((70, 84), np.uint8)
        for y, x in ((18, 16), (17, 46), (50, 26), (48, 66)):
            distance = np.hypot(row - y - rng.integers(-3, 4), column - x - rng.integers(-3, 4))
            classes[distance < 11] = 1
            classes[distance < 5] = 2
        light = np.array([(60, 90, 70), (160, 90, 100), (80, 90, 190)])[classes]
        image = np.clip(light + rng.normal(0, 12, light.shape), 0, 255).astype(np.uint8)
        classes[:3] = 3
        for part, pixels in (("images", image), ("labels", table[classes])):
            (folder / part).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / part / f"f{number}.png")
    return folder


@pytest.mark.slow
def test_the_evaluation_of_a_bundle_has_the_same_scores(capsys, tmp_path):
    pytest.importorskip("zarr", reason="needs zarr and dask")
    folder = labelled_in_colour(tmp_path / "drawn")
    bundle = new_bundle("drawn", folder, out=tmp_path / "bundle", colours=COLOURS).folder
    small = {"features": [4, 8], "device": "cpu", "validation": [2, 3]}
    run = workflow(bundle, "train", ["train"], epochs=40, val_interval=40, learning_rate=0.02, **small)
    run.run()
    evaluation = workflow(bundle, "train", ["train", "evaluate"], "evaluating", **small)
    evaluation.run()
    evaluated = evaluation.parser.get_parsed_content("validate::evaluator").state.metrics
    for part in ("images", "labels"):
        (tmp_path / "scored" / part).mkdir(parents=True)
        for number in (2, 3):
            (folder / part / f"f{number}.png").rename(tmp_path / "scored" / part / f"f{number}.png")
    inference = workflow(
        bundle, "infer", ["inference"], features=[4, 8], device="cpu", input_dir=str(tmp_path / "scored" / "images")
    )
    inference.run()
    capsys.readouterr()
    report, _ = score(capsys, tmp_path / "scored" / "labels", bundle / "output" / "prediction", "--colours", COLOURS)
    of = {each["class"]: each for each in report["of_classes"]}
    named = {f"{score}_{name}": of[name][score] for score in ("dice", "iou") for name in CLASSES[1:]}
    assert {**report["scores"], **named} == pytest.approx(evaluated)
    assert 0.3 < evaluated["mean_dice"] < 1
    table = (bundle / "output" / "confusion_matrix.csv").read_text().splitlines()[1:]
    assert [list(map(int, line.split(",")[1:])) for line in table] == report["confusion_matrix"]
    for kind in ("probability", "label"):
        image, out = tmp_path / "scored" / "images" / "f3.png", tmp_path / kind / "f3.ome.tif"
        out.parent.mkdir()
        predict(image, out, bundle, {"features": [4, 8]}, output=kind, device="cpu", progress=False)
        (section,) = score(capsys, tmp_path / "scored" / "labels" / "f3.png", out, "--colours", COLOURS)[0]["sections"]
        assert section["dice"] == report["sections"][1]["dice"]


@pytest.mark.slow
def test_the_evaluation_of_a_bundle_for_cells_has_the_same_seg(tmp_path):
    table = TABLE[[0, 1, 1, 3]]  # two classes, whose parts are cells, and unknown pixels
    folder = labelled_in_colour(tmp_path / "drawn", table=table)
    colours = "background=0,0,0 cell=255,0,0 ignore=255,255,255"
    bundle = new_bundle("drawn", folder, out=tmp_path / "bundle", colours=colours).folder
    small = {"features": [4, 8], "device": "cpu", "validation": [3], "separation": "gap", "min_size": 5}
    workflow(bundle, "train", ["train"], epochs=40, val_interval=40, learning_rate=0.02, **small).run()
    evaluation = workflow(bundle, "train", ["train", "evaluate"], "evaluating", **small)
    evaluation.run()
    evaluated = evaluation.parser.get_parsed_content("validate::evaluator").state.metrics["seg"]
    decoding = {name: small[name] for name in ("features", "device", "separation", "min_size")}
    image = str(folder / "images" / "f3.png")
    workflow(bundle, "infer", ["inference"], input_dir=image, output_dir=str(tmp_path / "out"), **decoding).run()
    words = (folder / "labels" / "f3.png", tmp_path / "out" / "f3_instances.tif", "--metric", "seg")
    assert main(["score", *map(str, words), "--colours", colours, "--out", "scores.json"]) == 0
    assert json.loads(Path("scores.json").read_text())["seg"] == pytest.approx(evaluated)
    assert 0.1 < evaluated < 1
