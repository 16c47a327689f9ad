"""`new_restoration`: images of several channels, and what is found in a folder."""

import json

import numpy as np
import pytest
import tifffile
from bundle_runs import workflow

from monai_unet.recipes.create_restoration import new_restoration
from monai_unet.recipes.survey_restoration import survey_restoration

SMALL = {"features": [2, 3], "device": "cpu"}
NAMES = {"axes": "CYX", "Channel": {"Name": ["dapi", "actin"]}}


def write(folder, images, targets=()):
    for part, arrays in (("images", images), ("targets", targets)):
        for number, array in enumerate(arrays):
            (folder / part).mkdir(parents=True, exist_ok=True)
            named = {"metadata": NAMES} if len(array) == 2 else {}
            tifffile.imwrite(folder / part / f"f{number}.ome.tif", array, photometric="minisblack", **named)
    return folder


@pytest.fixture
def two(tmp_path):
    """Four images of two channels: noisy, of 100 and of 1000 grey values, and without noise."""
    rng = np.random.default_rng(0)
    clean = [
        np.kron(rng.random((2, 8, 9)), np.ones((8, 8))) * np.array([50, 500])[:, None, None] + 100 for _ in range(4)
    ]
    noisy = [each + rng.normal(0, [[[10]], [[100]]], each.shape) for each in clean]
    return write(tmp_path / "two", *([each.astype(np.float32) for each in part] for part in (noisy, clean)))


def values_of(folder):
    return json.loads((folder / "configs" / "train.json").read_text(encoding="utf-8"))


def test_each_channel_has_its_own_mean_and_deviation(two):
    found = survey_restoration(two, "pairs")
    assert (found.channels, found.target_channels) == (("dapi", "actin"), 2)
    for part, grey in (("images", found.images), ("targets", found.targets)):
        pixels = np.stack([tifffile.imread(path) for path in sorted((two / part).iterdir())], axis=1).reshape(2, -1)
        assert grey.mean == pytest.approx(pixels.mean(1), rel=1e-4)
        assert grey.std == pytest.approx(pixels.std(1), rel=1e-4)


def test_the_bundle_of_two_channels_has_an_output_for_each(two, tmp_path):
    values = values_of(new_restoration("mine", two, out=tmp_path / "mine").folder)
    assert values["channels"] == ["dapi", "actin"]
    assert values["target_channels"] == 2
    for name in ("image_mean", "image_std", "target_mean", "target_std"):
        assert len(values[name]) == 2
        assert values[name][1] > values[name][0]


@pytest.mark.parametrize("targets", ["pairs", "noise2void"])
def test_a_bundle_of_two_channels_trains_evaluates_and_predicts(two, tmp_path, targets):
    folder = new_restoration("mine", two, targets, out=tmp_path / "mine").folder
    run = workflow(folder, "train", ["train"], "training", epochs=2, **SMALL)
    run.run()
    assert np.isfinite(run.parser.get_parsed_content("validate::evaluator").state.best_metric)
    workflow(folder, "train", ["train", "evaluate"], "evaluating", **SMALL).run()
    assert (folder / "output" / "report.html").is_file()
    out = tmp_path / "out"
    workflow(folder, "infer", ["inference"], "inference", output_dir=str(out), **SMALL).run()
    restored = tifffile.imread(out / "f0_restored.tif")
    assert restored.shape == (2, 64, 72)
    means = tifffile.imread(two / "targets" / "f0.ome.tif").mean((1, 2))
    # 2 epochs teach little, but each channel lies in its own range of grey values
    assert restored.mean((1, 2)) == pytest.approx(means, rel=0.4)


def test_two_channels_are_predicted_out_of_core_as_in_memory(two, tmp_path):
    pytest.importorskip("zarr", reason="needs zarr and dask")
    pytest.importorskip("distributed", reason="needs zarr and dask")
    from monai_unet.prediction.out_of_core import predict

    folder = new_restoration("mine", two, out=tmp_path / "mine").folder
    workflow(folder, "train", ["train"], "training", epochs=1, **SMALL).run()
    workflow(folder, "infer", ["inference"], "inference", output_dir=str(tmp_path / "out"), **SMALL).run()
    image = two / "images" / "f0.ome.tif"
    store = tmp_path / "f0.ome.tif"
    predict(image, store, folder, {"features": SMALL["features"], "tile": 40}, device="cpu", progress=False)
    in_memory, tiled = tifffile.imread(tmp_path / "out" / "f0_restored.tif"), tifffile.imread(store)
    assert np.abs(in_memory - tiled.reshape(in_memory.shape)).max() < 1e-2  # grey values


@pytest.mark.parametrize(("kind", "file"), [("torchscript", "a.ts"), ("bioimageio", "a.zip")])
def test_two_channels_are_exported(two, tmp_path, kind, file):
    if kind == "bioimageio":
        pytest.importorskip("bioimageio.core", reason="needs the extra `export`")
    from monai_unet.export.export import export

    folder = new_restoration("mine", two, out=tmp_path / "mine").folder
    workflow(folder, "train", ["train"], "training", epochs=1, **SMALL).run()
    overrides = {"features": SMALL["features"]}
    image = two / "images" / "f0.ome.tif"
    export(str(folder), kind, tmp_path / file, image=image, overrides=overrides)  # which compares
    assert (tmp_path / file).is_file()


def test_targets_of_fewer_channels_are_learned_without_the_image_as_a_start(two, tmp_path):
    images = [tifffile.imread(path) for path in sorted((two / "images").iterdir())]
    folder = write(tmp_path / "one", images, [each[:1] for each in images])
    made = new_restoration("mine", folder, out=tmp_path / "mine").folder
    values = values_of(made)
    assert values["residual"] is False
    assert isinstance(values["target_mean"], float)
    assert values.get("target_channels", 1) == 1
    workflow(made, "train", ["train"], "training", epochs=1, **SMALL).run()
    assert (made / "models" / "model.pt").is_file()


def test_pages_that_say_nothing_are_channels_where_the_targets_have_one_section(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "pages"
    for part, pages in (("images", 3), ("targets", 1)):
        (folder / part).mkdir(parents=True)
        for number in range(3):
            array = rng.integers(0, 200, (pages, 60, 64)).astype(np.uint8)
            tifffile.imwrite(folder / part / f"{number}.tif", array, photometric="minisblack", metadata=None)
    made = new_restoration("mine", folder, out=tmp_path / "mine")
    assert (made.survey.pages, len(made.survey.channels)) == ("channels", 3)
    assert sum(made.survey.sections_of_files) == 3
    workflow(made.folder, "train", ["train"], "training", epochs=1, **SMALL).run()


def test_targets_that_differ_in_channels_are_a_problem_with_its_file(two, tmp_path):
    path = two / "targets" / "f2.ome.tif"
    tifffile.imwrite(path, tifffile.imread(path)[0])
    with pytest.raises(ValueError, match=r"f2\.ome\.tif has 1 channels, and the targets before it 2"):
        new_restoration("mine", two, out=tmp_path / "mine")


def test_a_channel_of_a_single_grey_value_is_named(two, tmp_path):
    for path in (two / "images").iterdir():
        array = tifffile.imread(path)
        array[1] = 7
        tifffile.imwrite(path, array, photometric="minisblack", metadata=NAMES)
    with pytest.raises(ValueError, match="single grey value in channel 1, 7"):
        new_restoration("mine", two, out=tmp_path / "mine")


def test_channels_in_files_of_their_own_are_refused(two, tmp_path):
    with pytest.raises(ValueError, match="all channels lie in one file"):
        new_restoration("mine", two, out=tmp_path / "mine", channels="a=*_w1.tif,b=*_w2.tif")


def test_known_noise_is_set_where_noisy_images_are_split(two, tmp_path):
    folder = new_restoration(
        "mine", two, "recorrupted", tmp_path / "mine", noise_model="poisson", noise_level=4.0
    ).folder
    values = values_of(folder)
    assert (values["targets"], values["noise_model"], values["noise_level"]) == ("recorrupted", "poisson", 4.0)
    workflow(folder, "train", ["train"], "training", epochs=1, **SMALL).run()
    assert (folder / "models" / "model.pt").is_file()


@pytest.mark.parametrize(
    ("targets", "noise", "reason"),
    [
        ("recorrupted", {}, "need to know the noise"),
        ("recorrupted", {"noise_level": 25.0}, "need to know the noise"),
        ("noise2void", {"noise_level": 25.0}, "do nothing for noise2void"),
    ],
)
def test_noise_that_is_not_said_or_said_in_vain_is_refused(two, tmp_path, targets, noise, reason):
    with pytest.raises(ValueError, match=reason):
        new_restoration("mine", two, targets, tmp_path / "mine", **noise)
    assert not (tmp_path / "mine").exists()
