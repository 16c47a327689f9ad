import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
from image_files import write_n5

from monai_unet.cli import main
from monai_unet.metrics import isbi2012_scores, seg_score
from monai_unet.score import seg_report
from monai_unet.transforms.instances import label_instances

REFERENCE = Path(__file__).parents[2].parent / "shared" / "reference" / "isbi_metrics"


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def cells():
    """Cells and objects (D, H, W) of three sections that differ."""
    labels = np.zeros((3, 10, 14), np.uint16)
    labels[:, 1:5, 1:6], labels[:, 1:9, 8:12], labels[1:, 6:9, 1:5] = 3, 4, 9
    objects = np.roll(labels, 1, axis=2) * 2
    objects[2, :, :7] = 0
    return labels, objects


@pytest.fixture
def maps():
    """Labels of 255 and 0, and probabilities, of three sections that differ."""
    rng = np.random.default_rng(3)
    labels = np.ones((3, 12, 17), bool)
    labels[:, 5], labels[1:, :, 8] = False, False
    return labels * np.uint8(255), np.clip(labels * 0.6 + rng.uniform(0, 0.4, labels.shape), 0, 1).astype(np.float32)


def run(capsys, *words):
    try:
        code = main(["score", *map(str, words)])
    except SystemExit as end:  # of arguments that are refused
        code = end.code
    return code, *capsys.readouterr()


def write(name, stack, **kwargs):
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(name, stack, photometric="minisblack", **kwargs)
    return name


def fails(capsys, *words):
    """The one line on stderr of a command that ends with exit code 2 and says nothing else."""
    code, out, err = run(capsys, *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    return err


def words_of_line(text, first):
    return next(line.split() for line in text.splitlines() if line.startswith(first))


# isbi


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the organisers' values are not in ../shared/reference/isbi_metrics")
@pytest.mark.parametrize("pair", ["clean", "merge", "split"])
def test_the_organisers_files_have_their_values(capsys, pair):
    pytest.importorskip("numba")
    files = (REFERENCE / f"{pair}_{kind}.tif" for kind in ("labels", "proposal"))
    code, _, _ = run(capsys, *files, "--metric", "isbi", "--out", "scores.json")
    assert code == 0
    scores = json.loads(Path("scores.json").read_text())["scores"]
    for name, value in json.loads((REFERENCE / "expected.json").read_text())[pair].items():
        assert scores[name.replace(".", "_")]["value"] == pytest.approx(value, abs=5e-11), name


def test_isbi_prints_the_scores_and_those_of_each_section(capsys, maps):
    files = write("labels.tif", maps[0]), write("proposal.tif", maps[1])
    code, out, _ = run(capsys, *files, "--metric", "isbi", "--no-warping", "--thresholds", "0.2", "0.55")
    expected = isbi2012_scores(*maps, (0.2, 0.55), warping=False)
    best = f"{expected.best_threshold['rand_error']:g}"
    assert code == 0
    assert words_of_line(out, "rand_error") == ["rand_error", f"{expected.rand_error:.6f}", best, "pooled", "0"]
    assert words_of_line(out, "v_info")[1::2] == [f"{expected.v_info:.6f}", "mean"]
    sections = [line.split() for line in out.splitlines()[-3:]]
    assert [line[0] for line in sections] == ["0", "1", "2"]
    assert [line[3] for line in sections] == [f"{value:.6f}" for value in expected.per_section["v_rand_macro"]]
    assert "warping" not in out


def test_isbi_writes_everything_as_json(capsys, maps):
    files = write("labels.tif", maps[0]), write("proposal.tif", maps[1])
    run(capsys, *files, "--metric", "isbi", "--no-warping", "--thresholds", "0.5", "--out", "new/scores.json")
    report = json.loads(Path("new/scores.json").read_text())
    expected = isbi2012_scores(*maps, (0.5,), warping=False)
    assert [report[name] for name in ("metric", "labels", "proposal", "thresholds")] == ["isbi", *files, [0.5]]
    assert report["scores"]["pixel_error"] == {
        "value": expected.pixel_error,
        "best_threshold": 0.5,
        "over_sections": "pooled",
        "best": 0,
        "per_section": list(expected.per_section["pixel_error"]),
    }
    assert [path.name for path in Path("new").iterdir()] == ["scores.json"]


def test_isbi_refuses_what_it_cannot_compare(capsys, maps):
    labels, proposal = write("labels.tif", maps[0]), write("proposal.tif", maps[1])
    grey = write("grey.tif", (maps[1] * 255).astype(np.uint8))
    small = write("small.tif", maps[1][:2])
    assert "labels.tif and grey.tif: a proposal of type uint8" in (
        err := fails(capsys, labels, grey, "--metric", "isbi")
    )
    assert "255 for uint8; `monai-unet predict --dtype float32`" in err
    assert "(3, 12, 17) and a proposal of shape (2, 12, 17)" in fails(capsys, labels, small, "--metric", "isbi")
    assert "nowhere.tif" in fails(capsys, labels, "nowhere.tif", "--metric", "isbi")
    Path("text.tif").write_text("no image")
    assert "text.tif cannot be read" in fails(capsys, "text.tif", proposal, "--metric", "isbi")
    Path("folder").mkdir()
    assert "folder is a folder; the metric isbi takes two stacks" in fails(
        capsys, "folder", proposal, "--metric", "isbi"
    )


def test_an_option_of_the_other_metric_is_refused(capsys):
    for metric, option in (("isbi", ["--min-size", "0"]), ("isbi", ["--threshold", "0"]), ("seg", ["--no-warping"])):
        assert f"{option[0]} is for --metric" in fails(capsys, "a.tif", "b.tif", "--metric", metric, *option)
    assert "--thresholds is for --metric isbi" in fails(
        capsys, "a.tif", "b.tif", "--metric", "seg", "--thresholds", "1"
    )


# seg


def test_seg_prints_the_score_and_that_of_each_section(capsys, cells):
    code, out, _ = run(capsys, write("labels.tif", cells[0]), write("objects.tif", cells[1]), "--metric", "seg")
    scores = seg_score(*cells)
    assert code == 0
    assert words_of_line(out, "SEG") == ["SEG", f"{scores.seg:.6f}"]
    rows = [line.split() for line in out.splitlines()[-4:]]
    assert [row[1] for row in rows] == [f"{value:.6f}" for value in (*scores.per_section, scores.seg)]
    assert [row[0] for row in rows] == ["0", "1", "2", "all"]
    assert [row[2:] for row in rows] == [["2", "2", "2"], ["3", "3", "3"], ["3", "1", "1"], ["8", "6", "6"]]


def test_seg_writes_everything_as_json(capsys, cells):
    files = write("labels.tif", cells[0]), write("objects.tif", cells[1])
    run(capsys, *files, "--metric", "seg", "--out", "scores.json")
    report = json.loads(Path("scores.json").read_text())
    scores = seg_score(*cells)
    of = report.pop("sections")
    assert report == {
        "metric": "seg",
        "labels": files[0],
        "proposal": files[1],
        "threshold": None,
        "min_size": None,
        "seg": scores.seg,
        "num_cells": 8,
        "num_matched": 6,
    }
    assert [section["jaccard"] for section in of] == [{str(id_): j for id_, j in js.items()} for js in scores.jaccard]
    assert [section["section"] for section in of] == ["0", "1", "2"]


def test_probabilities_are_made_objects_first(capsys, cells):
    probability = np.where(cells[1] > 0, 0.7, 0.2).astype(np.float32)
    probability[:, 9, 0] = 0.9
    probability[:, 9, 3] = 0.5  # is not above the threshold
    files = write("labels.tif", cells[0]), write("proposal.tif", probability)
    words = (*files, "--metric", "seg", "--out", "scores.json")
    expected = [label_instances(section > 0.5) for section in probability]

    _, out, _ = run(capsys, *words)
    assert "objects: parts above 0.5, of 0 pixels or more" in out
    assert json.loads(Path("scores.json").read_text())["seg"] == seg_score(cells[0], np.stack(expected)).seg
    assert words_of_line(out, "all")[-1] == "9"  # with the lone pixels

    _, out, _ = run(capsys, *words, "--threshold", "0.1", "--min-size", "2")
    assert words_of_line(out, "all")[-1] == "3"  # each section is one object
    _, out, _ = run(capsys, *words, "--min-size", "2")
    assert words_of_line(out, "all")[-1] == "6"


def write_challenge(cells):
    for frame, number in zip(cells[0], ("007", "021", "100"), strict=True):
        write(f"01_GT/SEG/man_seg{number}.tif", frame, compression="lzw")
    for frame, number in zip(cells[1], ("007", "021", "100"), strict=True):
        write(f"01_RES/mask{number}.tif", frame, compression="lzw")
    write("01_RES/mask008.tif", cells[1][0])


def test_folders_of_the_challenge_are_paired(capsys, cells):
    write_challenge(cells)
    code, out, _ = run(capsys, "01_GT/SEG", "01_RES", "--metric", "seg")
    assert code == 0
    assert words_of_line(out, "SEG")[1] == f"{seg_score(*cells).seg:.6f}"
    assert words_of_line(out, "021")[1] == f"{seg_score(cells[0][1], cells[1][1]).seg:.6f}"
    assert "008" not in out


def test_a_missing_mask_is_named(capsys, cells):
    write_challenge(cells)
    Path("01_RES/mask021.tif").unlink()
    assert "01_RES/mask021.tif does not exist" in fails(capsys, "01_GT/SEG", "01_RES", "--metric", "seg")


def test_a_section_without_cells_has_no_value_in_the_table(capsys, cells):
    cells[0][1] = 0
    _, out, _ = run(capsys, write("labels.tif", cells[0]), write("objects.tif", cells[1]), "--metric", "seg")
    assert words_of_line(out, "1 ") == ["1", "-", "0", "0", "3"]


def test_one_picture_is_one_section(capsys, cells):
    _, out, _ = run(capsys, write("labels.tif", cells[0][1]), write("objects.tif", cells[1][1:2]), "--metric", "seg")
    assert words_of_line(out, "SEG")[1] == f"{seg_score(cells[0][1], cells[1][1]).seg:.6f}"


@pytest.mark.parametrize("value", [1, 255])
def test_a_mask_is_not_taken_for_one_object(capsys, cells, value):
    labels, objects = write("labels.tif", cells[0]), write("objects.tif", cells[1])
    mask = write("mask.tif", (cells[1] > 0) * np.uint8(value))
    refused = fails(capsys, labels, mask, "--metric", "seg")
    assert f"proposal mask.tif have one value besides 0, {value}, in 3 separate parts" in refused
    assert "labels mask.tif have one value" in fails(capsys, mask, objects, "--metric", "seg")


def test_grey_values_are_not_taken_for_objects(capsys):
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 256, (80, 100), dtype=np.uint8)
    labels, grey = write("labels.tif", np.kron([[1, 2], [3, 0]], np.ones((40, 50), np.uint8))), write("grey.tif", noise)
    refused = fails(capsys, labels, grey, "--metric", "seg")
    assert "proposal grey.tif have 255 values up to 255" in refused
    assert "divide probabilities by 255" in refused
    many = write("many.tif", (np.arange(8000) // 10).reshape(80, 100).astype(np.uint8))  # objects in a few pieces each
    assert run(capsys, labels, many, "--metric", "seg")[0] == 0


def test_seg_refuses_what_it_cannot_compare(capsys, cells):
    labels, objects = write("labels.tif", cells[0]), write("objects.tif", cells[1])
    floats = write("floats.tif", cells[1].astype(np.float32))
    small = write("small.tif", cells[1][:, :5])
    assert "floats.tif, section 0: the proposal's values go from 0.0 to 8.0" in fails(
        capsys, labels, floats, "--metric", "seg"
    )
    assert "labels floats.tif, section 0: values of type float32" in fails(capsys, floats, objects, "--metric", "seg")
    assert "objects.tif is uint16" in fails(capsys, labels, objects, "--metric", "seg", "--threshold", "0.5")
    assert "labels.tif and small.tif: labels of shape (3, 10, 14)" in fails(capsys, labels, small, "--metric", "seg")
    probability = write("probability.tif", (cells[1] > 0).astype(np.float32))
    assert "--threshold: 5: expected a number" in fails(
        capsys, labels, probability, "--metric", "seg", "--threshold", "5"
    )
    assert "--min-size: -1: expected a whole number" in fails(
        capsys, labels, probability, "--metric", "seg", "--min-size", "-1"
    )
    Path("folder").mkdir()
    assert "folder, are a folder" in fails(capsys, labels, "folder", "--metric", "seg")


# files are read as by every other command


def test_labels_in_colour_are_refused(capsys, cells):
    tifffile.imwrite("labels.tif", np.stack([cells[0][0].astype(np.uint8)] * 3, -1), photometric="rgb")
    error = fails(capsys, "labels.tif", write("objects.tif", cells[1][0]), "--metric", "seg")
    assert "labels.tif has 3 channels, sections of (1, 10, 14); expected one number per pixel" in error


def test_an_n5_is_an_image_and_no_folder_of_frames(capsys, cells, tmp_path):
    write_n5(tmp_path / "labels.n5", cells[0])
    code, out, _ = run(capsys, "labels.n5", write("objects.tif", cells[1]), "--metric", "seg")
    assert (code, words_of_line(out, "SEG")[1]) == (0, f"{seg_score(*cells).seg:.6f}")


def test_white_as_zero_is_refused(capsys, maps):
    tifffile.imwrite("labels.tif", 255 - maps[0], photometric="miniswhite")
    error = fails(capsys, "labels.tif", write("map.tif", maps[1]), "--metric", "isbi", "--no-warping")
    assert "labels.tif cannot be read as an image: it is stored with white as 0" in error


def test_sections_that_imagej_calls_channels_are_sections(capsys, cells):
    tifffile.imwrite("labels.tif", cells[0], imagej=True, metadata={"axes": "CYX"})
    assert tifffile.TiffFile("labels.tif").series[0].axes == "CYX"
    code, out, _ = run(capsys, "labels.tif", write("objects.tif", cells[1]), "--metric", "seg")
    assert (code, words_of_line(out, "SEG")[1]) == (0, f"{seg_score(*cells).seg:.6f}")


def test_three_planes_of_a_page_may_be_colours_and_are_asked_about(capsys, cells):
    tifffile.imwrite("labels.tif", cells[0].astype(np.uint8), photometric="rgb", planarconfig="separate")
    error = fails(capsys, "labels.tif", write("objects.tif", cells[1]), "--metric", "seg")
    assert "if its 3 channels are sections, set Image > Properties > Slices to 3" in error


def test_a_proposal_of_mirrored_axes_is_put_onto_the_labels(capsys, cells):
    nibabel.save(nibabel.Nifti1Image(cells[0].T, np.eye(4)), "labels.nii")
    mirrored = np.array([[-1, 0, 0, 13], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    nibabel.save(nibabel.Nifti1Image(cells[1].T[::-1], mirrored), "objects.nii")
    code, out, _ = run(capsys, "labels.nii", "objects.nii", "--metric", "seg")
    assert (code, words_of_line(out, "SEG")[1]) == (0, f"{seg_score(*cells).seg:.6f}")


@pytest.mark.parametrize("metric", ["isbi", "seg"])
def test_a_proposal_that_lies_elsewhere_is_refused(capsys, cells, metric):
    nibabel.save(nibabel.Nifti1Image(cells[0].T, np.eye(4)), "labels.nii")
    nibabel.save(nibabel.Nifti1Image(cells[1].T, np.diag([2.0, 2, 2, 1])), "objects.nii")
    error = fails(capsys, "labels.nii", "objects.nii", "--metric", metric)
    assert "objects.nii does not lie where labels.nii does" in error


@pytest.mark.parametrize("negative", [0, 1])
def test_negative_numbers_are_no_cells(capsys, cells, negative):
    stacks = [-part.astype(np.int32) if part is cells[negative] else part for part in cells]
    files = [write(name, stack) for name, stack in zip(("labels.tif", "objects.tif"), stacks, strict=True)]
    assert "section 0: values down to -" in fails(capsys, *files, "--metric", "seg")


def test_folders_in_colour_have_the_cells_of_their_files():
    table = np.array([(0, 0, 0), (255, 0, 0), (0, 255, 0)], np.uint8)
    two = np.zeros((12, 14), int)
    two[1:4, 1:4], two[6:9, 1:4], two[1:4, 8:12], two[6:9, 8:12] = 1, 1, 2, 2
    for name in ("labels/man_seg000.tif", "proposal/mask000.tif"):
        Path(name).parent.mkdir()
        tifffile.imwrite(name, table[two], photometric="rgb")
    report = seg_report("labels", "proposal", colours="background=0,0,0 a=255,0,0 b=0,255,0")
    assert (report["seg"], report["num_cells"], report["sections"][0]["num_objects"]) == (1, 4, 4)


def test_a_store_of_probabilities_with_instances_is_not_scored_for_them(cells, capsys):
    zarr_store = pytest.importorskip("monai_unet.io.zarr_store")
    pytest.importorskip("zarr", reason="needs the package zarr")
    labels, objects = cells

    def store(path, pixels, **options):
        made = zarr_store.create_or_open(path, pixels.shape, pixels.shape, pixels.dtype, "zyx", None, {}, **options)
        made.write((0, 0, 0), pixels)
        made.finish()
        return made

    image = store("out.ome.zarr", (objects > 0).astype(np.float32))
    image.add_labels("instances", store("labels.zarr", objects.astype(np.int32), labels=True))
    write("truth.tif", labels)
    code, _, said = run(capsys, "truth.tif", "out.ome.zarr", "--metric", "seg")
    assert code == 2
    assert "out.ome.zarr/labels/instances, or give a --threshold" in said
    assert run(capsys, "truth.tif", "out.ome.zarr", "--metric", "seg", "--threshold", "0.5")[0] == 0
    assert seg_report("truth.tif", "out.ome.zarr/labels/instances")["seg"] == pytest.approx(
        seg_score(labels, objects).seg
    )


def test_a_folder_with_a_folder_of_labels_in_it_is_no_store(cells):
    labels, objects = cells
    for number in range(3):
        write(f"truth/man_seg00{number}.tif", labels[number])
        write(f"proposal/mask00{number}.tif", objects[number])
    (Path("proposal") / "labels").mkdir()
    assert seg_report("truth", "proposal")["seg"] == pytest.approx(seg_score(labels, objects).seg)
