"""The bundle as its users run it: through `python -m monai.bundle` where it counts, else through the same workflow."""

import re
import shutil

import bundle_runs
import nibabel
import numpy as np
import pytest
import SimpleITK
import tifffile
import torch
from bundle_runs import REPOSITORY, command
from monai.bundle import ConfigWorkflow
from skimage.io import imread, imsave

from monai_unet.errors import cause_under_monai

BUNDLE = REPOSITORY / "bundles" / "isbi"
SMALL = {"features": [2, 3, 4], "tile": 60, "inference_tile": 60, "device": "cpu"}


def workflow(kind, names, **overrides):
    return bundle_runs.workflow(BUNDLE, kind, names, **overrides)


def train(sections, folder, **overrides):
    arguments = {"dataset_dir": str(sections), "ckpt_dir": str(folder), "output_dir": str(folder / "out")}
    arguments |= {**SMALL, "epochs": 2, "val_interval": 1, **overrides}
    run = workflow("train", ["train"], **arguments)
    run.run()
    return run


def infer(folder, **overrides):
    arguments = {**SMALL, "ckpt_dir": str(folder), **overrides}
    del arguments["inference_tile"]
    run = workflow("infer", ["inference"], **arguments)
    run.run()


def small_arguments():
    return [item for name, value in SMALL.items() for item in (f"--{name}", str(value))]


@pytest.fixture(scope="module")
def trained(sections, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    train(sections, folder)
    return folder


def weights(folder):
    return torch.load(folder / "checkpoint.pt", weights_only=True)["network"]


def test_training_leaves_the_last_state_the_best_weights_and_the_curves(trained):
    assert {path.name for path in trained.iterdir()} == {"checkpoint.pt", "model.pt", "model.found.json", "out"}
    assert any(path.name.startswith("events.out.tfevents") for path in (trained / "out").iterdir())


def test_tensorboard_has_the_loss_the_scores_and_the_pictures(trained):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(trained / "out")).Reload()
    assert {"train_loss", "v_rand", "v_info", "dice"} <= set(events.Tags()["scalars"])
    assert len(events.Scalars("v_rand")) == 2
    assert events.Tags()["images"]


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(sections, tmp_path, trained):
    for seed in (0, 1):
        torch.manual_seed(5 - seed)  # whatever was drawn before
        train(sections, tmp_path / str(seed), seed=seed)
    one, same, other = weights(trained), weights(tmp_path / "0"), weights(tmp_path / "1")
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_a_run_in_two_parts_ends_with_the_same_weights_as_a_run_in_one(sections, tmp_path, trained):
    train(sections, tmp_path, epochs=1, decay=False)
    train(sections, tmp_path, epochs=2, decay=False)
    one, parts = weights(trained), weights(tmp_path)
    assert all(torch.equal(one[name], parts[name]) for name in one)


@pytest.mark.parametrize(
    ("named", "change"),
    [
        ("elastic_prob", {"elastic_prob": 0.1}),
        ("optimiser's settings", {"optimizer::weight_decay": 0.1}),
        ("interpolation", {"interpolation": "bilinear"}),
    ],
)
def test_going_on_with_another_recipe_is_refused(sections, tmp_path, named, change):
    train(sections, tmp_path, epochs=1)
    with pytest.raises(RuntimeError) as caught:
        train(sections, tmp_path, epochs=2, **change)
    message = str(cause_under_monai(caught.value))
    assert "checkpoint.pt belongs to another run" in message
    assert named in message


def test_another_optimiser_is_an_override(sections, tmp_path):
    adam = {"_target_": "torch.optim.Adam", "params": "$@network.parameters()", "lr": "@learning_rate"}
    train(sections, tmp_path, epochs=1, optimizer=adam)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["optimizer"]["state"]
    assert "exp_avg_sq" in state[0]


def test_training_and_validation_share_no_section(sections, tmp_path):
    run = workflow("train", ["train"], dataset_dir=str(sections), validation=[1, 4], **SMALL, ckpt_dir=str(tmp_path))
    training, validation = (
        {section["name"] for section in run.parser.get_parsed_content(f"{part}::dataset")}
        for part in ("train", "validate")
    )
    assert validation == {"train-volume.tif section 1", "train-volume.tif section 4"}
    assert len(training) == 4
    assert not training & validation


def test_evaluation_writes_scores_a_report_and_a_picture_a_section(sections, trained, tmp_path, capfd):
    arguments = {"dataset_dir": str(sections), "ckpt_dir": str(trained), "output_dir": str(tmp_path), **SMALL}
    del arguments["tile"]  # of training
    workflow("infer", ["train", "evaluate"], **arguments).run()
    assert "v_rand" in (tmp_path / "metrics.csv").read_text()
    assert imread(tmp_path / "pictures" / "section_000.png").shape == (96, 5 * 96 + 16, 3)
    report = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "train-volume.tif section 5" in report
    assert "u-net, mean of 7 rotated versions (paper)" in report


@pytest.fixture
def inputs(tmp_path):
    """A stack, a picture smaller than the network's margin, and an image of odd size."""
    folder = tmp_path / "in"
    folder.mkdir()
    rng = np.random.default_rng(0)
    tifffile.imwrite(folder / "stack.tif", rng.integers(0, 255, (3, 70, 41), np.uint8), photometric="minisblack")
    imsave(folder / "tiny.png", rng.integers(0, 255, (5, 9), np.uint8), check_contrast=False)
    tifffile.imwrite(folder / "odd.tiff", rng.integers(0, 255, (131, 67), np.uint8), photometric="minisblack")
    return folder


def test_inference_writes_every_image_in_its_full_size(trained, inputs, tmp_path):
    infer(trained, input_dir=str(inputs), output_dir=str(tmp_path / "out"))
    for name, shape in (("stack", (3, 70, 41)), ("tiny", (5, 9)), ("odd", (131, 67))):
        probability = tifffile.imread(tmp_path / "out" / f"{name}_probability.tif")
        label = tifffile.imread(tmp_path / "out" / f"{name}_label.tif")
        assert probability.shape == label.shape == shape, name
        assert probability.dtype == np.float32
        assert np.array_equal(label, probability > 0.5)


def test_inference_keeps_the_affine_of_nifti_and_agrees_with_the_same_sections_in_tiff(trained, inputs, tmp_path):
    stack = tifffile.imread(inputs / "stack.tif")
    affine = np.diag([4.0, 4.0, 50.0, 1.0])
    (tmp_path / "nifti").mkdir()
    nibabel.save(nibabel.Nifti1Image(stack.T, affine), tmp_path / "nifti" / "stack.nii.gz")
    infer(trained, input_dir=str(inputs), output_dir=str(tmp_path / "out"))
    infer(trained, input_dir=str(tmp_path / "nifti"), output_dir=str(tmp_path / "out"))
    result = nibabel.load(tmp_path / "out" / "stack_probability.nii.gz")
    assert np.array_equal(result.affine, affine)
    assert np.array_equal(result.get_fdata().T, tifffile.imread(tmp_path / "out" / "stack_probability.tif"))


def test_dicom_is_predicted_like_the_same_image_in_another_file(trained, tmp_path):
    picture = np.random.default_rng(0).integers(0, 255, (30, 41), np.uint8)
    for name in ("a.dcm", "b.mha"):
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(picture), str(tmp_path / name))
        infer(trained, input_dir=str(tmp_path / name), output_dir=str(tmp_path / "out"))
    dicom, other = (nibabel.load(tmp_path / "out" / f"{name}_probability.nii.gz") for name in "ab")
    assert np.array_equal(np.squeeze(dicom.get_fdata()), np.squeeze(other.get_fdata()))


@pytest.mark.parametrize("normalisation", [{}, {"image_mean": 90, "image_std": 30}])
def test_predicting_out_of_core_gives_what_inference_gives(trained, inputs, tmp_path, normalisation):
    pytest.importorskip("zarr", reason="needs zarr and dask")
    from monai_unet.io.sources import open_source

    out = tmp_path / "out.ome.tif"
    arguments = {**SMALL, "ckpt_dir": str(trained), "input": str(inputs / "stack.tif"), "output": str(out)}
    arguments |= normalisation
    del arguments["inference_tile"]
    files = [str(BUNDLE / "configs" / "inference.json")]
    run = ConfigWorkflow(
        files[0], workflow_type="infer", logging_file=False, run_id="predicting", **arguments, bundle_root=str(BUNDLE)
    )
    run.initialize()
    run.run()
    infer(trained, input=str(inputs / "stack.tif"), output_dir=str(tmp_path), **normalisation)
    expected = tifffile.imread(tmp_path / "stack_probability.tif")
    source = open_source(out)
    assert np.abs(source.read(tuple(slice(0, n) for n in source.info.shape))[0] - expected).max() < 1e-5


def test_validation_and_inference_give_the_same_probabilities(sections, trained, tmp_path):
    """Two paths to one prediction: the training's reader in array order, and MONAI's in its own."""
    run = workflow("train", ["train"], dataset_dir=str(sections), ckpt_dir=str(trained), **SMALL)
    network = run.parser.get_parsed_content("network").eval()
    network.load_state_dict(torch.load(trained / "model.pt", weights_only=True))
    section = run.parser.get_parsed_content("validate::dataset")[0]
    with torch.no_grad():
        logits = run.parser.get_parsed_content("validate::inferer")(section["image"][None], network)
    volume = tifffile.imread(sections / "train-volume.tif")
    tifffile.imwrite(tmp_path / "last.tif", volume[-1])
    infer(trained, input=str(tmp_path / "last.tif"), output_dir=str(tmp_path))
    probability = tifffile.imread(tmp_path / "last_probability.tif")
    assert np.abs(logits.softmax(1)[0, 1].numpy() - probability).max() < 1e-5


@pytest.mark.slow
def test_the_missions_command_trains_evaluates_and_predicts_from_the_repository_root(sections, tmp_path):
    common = ["--dataset_dir", sections, "--ckpt_dir", tmp_path, "--device", "cpu", "--features", "[2,3,4]"]
    for run, files, more in (
        ("training", "bundles/isbi/train.json", ["--tile", 60, "--epochs", 1, "--val_interval", 1]),
        ("evaluating", "['bundles/isbi/train.json','bundles/isbi/evaluate.json']", ["--inference_tile", 60]),
        ("inference", "bundles/isbi/inference.json", ["--tile", 60]),
    ):
        done = command(run, "--config_file", files, *common, *more, "--output_dir", tmp_path / run[0])
        assert done.returncode == 0, done.stderr[-3000:]
    assert tifffile.imread(tmp_path / "i" / "test-volume_label.tif").shape == (2, 96, 96)


@pytest.mark.slow
def test_it_runs_inside_the_bundle_with_the_run_of_monai_label(sections, tmp_path):
    arguments = ["run", "--config_file", "configs/train.json", "--dataset_dir", sections, "--ckpt_dir", tmp_path]
    done = command(*arguments, "--output_dir", tmp_path, *small_arguments(), "--epochs", 1, cwd=BUNDLE)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "checkpoint.pt").is_file()


@pytest.mark.slow
def test_a_copied_bundle_runs_elsewhere_and_makes_its_own_data(tmp_path, monkeypatch):
    """No data set named, none there: the synthetic one is made beside the bundle. Too slow to train on, so evaluate."""
    copy = tmp_path / "copy"
    shutil.copytree(BUNDLE, copy, symlinks=True, ignore=shutil.ignore_patterns("*.pt", "output", "datasets"))
    arguments = ["--config_file", copy / "train.json", "--bundle_root", copy, *small_arguments()]
    done = command("training", *arguments, "--epochs", 1, "--training_sections", "[0]", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "data: synthetic sections in" in done.stdout
    assert (copy / "datasets" / "synthetic" / "data" / "train-volume.tif").is_file()
    assert (copy / "models" / "checkpoint.pt").is_file()


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda folder: shutil.rmtree(folder), "does not exist; expected a folder in .* train-volume.tif"),
        (lambda folder: (folder / "train-labels.tif").unlink(), "train-labels.tif not found"),
        (lambda folder: tifffile.imwrite(folder / "train-labels.tif", np.zeros((6, 96, 90), np.uint8)), "6 pages of"),
        (
            lambda folder: tifffile.imwrite(
                folder / "train-labels.tif", np.arange(6 * 96 * 96, dtype=np.uint8).reshape(6, 96, 96)
            ),
            "expected 0 .membrane. and 255",
        ),
    ],
)
def test_a_bad_data_set_is_refused_before_anything_is_made(sections, tmp_path, break_it, message):
    folder = tmp_path / "data"
    shutil.copytree(sections, folder)
    break_it(folder)
    with pytest.raises(RuntimeError) as raised:
        train(folder, tmp_path / "out")
    cause = str(cause_under_monai(raised.value))
    assert str(folder) in cause
    assert re.search(message, cause), cause
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_failing_command_ends_with_the_reason(tmp_path):
    done = command("training", "--config_file", "bundles/isbi/train.json", "--dataset_dir", tmp_path / "nowhere")
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("monai-unet: error:")
    assert "nowhere" in last


def test_nan_in_an_image_stops_inference_by_name_and_leaves_no_output(trained, tmp_path):
    image = np.zeros((20, 20), np.float32)
    image[3, 4] = np.nan
    tifffile.imwrite(tmp_path / "bad.tif", image)
    with pytest.raises(RuntimeError) as raised:
        infer(trained, input_dir=str(tmp_path), output_dir=str(tmp_path / "out"))
    assert "bad.tif holds 1 values that are not finite" in str(cause_under_monai(raised.value))
    assert not list((tmp_path / "out").glob("*.tif"))


@pytest.mark.parametrize(("kind", "name"), [("train", "train"), ("infer", "inference")])
def test_monai_finds_every_property_that_it_wants(sections, trained, tmp_path, kind, name):
    arguments = {"dataset_dir": str(sections), "ckpt_dir": str(trained), "output_dir": str(tmp_path), **SMALL}
    if kind == "infer":
        del arguments["inference_tile"]
    assert workflow(kind, [name], **arguments).check_properties() == []


def test_the_papers_recipe_trains_with_sgd_and_its_momentum(sections, tmp_path):
    arguments = {"dataset_dir": str(sections), "ckpt_dir": str(tmp_path), "output_dir": str(tmp_path / "out")}
    run = workflow("train", ["train", "paper"], **arguments, **SMALL, epochs=1)
    run.run()
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert state["optimizer"]["param_groups"][0]["momentum"] == 0.99
    assert not [name for name in state["network"] if name.endswith("gain")]
