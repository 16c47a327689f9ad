"""What the CI of MONAI's model zoo verifies on a bundle, and what its maintainers ask of a model card.

After `ci/verify_bundle.py` of Project-MONAI/model-zoo. Its schema, meta_schema_20240725.json, is fetched from the
network there; here the keys that a bundle of the zoo has are written out.
"""

import json
import re
import shutil

import bundle_runs
import pytest
import tifffile
import torch
from bundle_runs import REPOSITORY
from monai.bundle import ConfigParser, ckpt_export, load, verify_net_in_out
from test_cells import frame

from monai_unet import __version__
from monai_unet.errors import cause_under_monai
from monai_unet.networks import OriginalUNet

BUNDLES = ("isbi", "isbi_compact", "dic_hela", "dic_hela_compact", "phc_u373", "phc_u373_compact", "denoise")
REQUIRED = {
    "schema": str,
    "version": str,
    "changelog": dict,
    "monai_version": str,
    "pytorch_version": str,
    "numpy_version": str,
    "required_packages_version": dict,
    "name": str,
    "task": str,
    "description": str,
    "authors": str,
    "copyright": str,
    "network_data_format": dict,
}
OF_A_TENSOR = {
    "type",
    "format",
    "num_channels",
    "spatial_shape",
    "dtype",
    "value_range",
    "is_patch_data",
    "channel_def",
}
DATA = {
    f"{name}{suffix}": folder
    for name, folder in (("isbi", "isbi2012"), ("dic_hela", "dic_hela"), ("phc_u373", "phc_u373"))
    for suffix in ("", "_compact")
}
SECTIONS = ("Data", "Performance", "Commands", "Limits and intended use", "Licence")
LARGEST = 25_000_000  # bytes: larger files have to be named in large_files.yml


@pytest.fixture(params=BUNDLES)
def bundle(request):
    return REPOSITORY / "bundles" / request.param


@pytest.fixture
def narrow(bundle):
    """A network of the depth that the metadata's sizes are for."""
    depth = len(ConfigParser.load_config_file(str(bundle / "configs" / "inference.json"))["features"])
    return {"features": [2, 3, 4, 5, 6][:depth]}


@pytest.fixture
def metadata(bundle):
    return json.loads((bundle / "configs" / "metadata.json").read_text(encoding="utf-8"))


def arguments(bundle):
    configs = bundle / "configs"
    return {
        "net_id": "network_def",
        "meta_file": str(configs / "metadata.json"),
        "config_file": str(configs / "inference.json"),
        "bundle_root": str(bundle),
    }


@pytest.mark.parametrize(
    "name", ["configs/metadata.json", "configs/inference.json", "configs/train.json", "configs/logging.conf", "LICENSE"]
)
def test_the_required_files_are_there(bundle, name):
    assert (bundle / name).is_file()


def test_the_metadata_has_the_required_keys(metadata):
    assert {key: type(metadata.get(key)) for key in REQUIRED} == REQUIRED
    assert metadata["schema"].endswith("/meta_schema_20240725.json")
    tensors = metadata["network_data_format"]
    for tensor in (tensors["inputs"]["image"], tensors["outputs"]["pred"]):
        assert set(tensor) >= OF_A_TENSOR
        assert len(tensor["channel_def"]) == tensor["num_channels"]


def test_the_package_itself_is_among_the_required_ones(metadata):
    assert metadata["required_packages_version"]["monai-unet"] == __version__


def test_scores_are_those_of_a_page_of_the_benchmarks(bundle, metadata):
    if not (bundle / "models" / "model.pt").is_file():
        assert "eval_metrics" not in metadata
        return
    (page,) = re.findall(r"benchmarks/results/\S+\.md", metadata["eval_data"])
    measured = re.findall(r"\d+\.\d+", (REPOSITORY / page).read_text(encoding="utf-8"))
    assert set(metadata["eval_metrics"].values()) <= set(map(float, measured))


def test_the_terms_of_data_and_weights_are_said(bundle, metadata):
    terms = bundle / "docs" / "data_license.txt"
    if bundle.name == "denoise":  # its data is made by the project
        assert not terms.exists()
        return
    (data,) = re.findall(
        r"\| Terms \| (.+) \|", (REPOSITORY / "datasets" / DATA[bundle.name] / "README.md").read_text()
    )
    assert data in " ".join(terms.read_text(encoding="utf-8").split())
    assert ("license" in metadata) == (bundle / "models" / "model.pt").is_file()


def test_the_version_is_in_the_changelog(metadata):
    assert metadata["version"] in metadata["changelog"]


@pytest.fixture
def data(bundle, sections, tmp_path):
    """Made-up data in the layout that the bundle reads: its folder, and what inference reads of it."""
    if bundle.name.startswith("isbi"):
        return sections, sections / "test-volume.tif"
    if bundle.name == "denoise":
        stack = tifffile.imread(sections / "train-volume.tif")
        for part in ("images", "targets"):
            (tmp_path / part).mkdir()
            tifffile.imwrite(tmp_path / part / "a.tif", stack, photometric="minisblack")
        return tmp_path, tmp_path / "images"
    for index in range(6):
        for path, pixels in zip(
            (f"01/t{index:03d}.tif", f"01_GT/SEG/man_seg{index:03d}.tif"), frame(index), strict=True
        ):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(tmp_path / path, pixels)
    return tmp_path, tmp_path / "01"


@pytest.mark.parametrize(("kind", "name"), [("train", "train"), ("infer", "inference")])
def test_the_properties_of_a_workflow_are_there(bundle, kind, name, data, narrow, monkeypatch):
    monkeypatch.setattr("monai_unet.data.noisy_dataset", lambda root: data[0])  # it would lie beside the bundle
    values = {"device": "cpu", **narrow}
    values |= {"dataset_dir": str(data[0])} if kind == "train" else {"input_dir": str(data[1])}
    if kind == "train" and bundle.name.startswith(("dic_hela", "phc_u373")):
        values |= {"partly_annotated": []}
    run = bundle_runs.workflow(bundle, kind, [name], **values)
    assert run.check_properties() == []


RUNS = {
    "train": ("train", ["train"]),
    "evaluating": ("train", ["train", "evaluate"]),
    "inference": ("infer", ["inference"]),
}


@pytest.mark.parametrize("command", RUNS)
def test_without_data_the_properties_are_there_and_nothing_runs(bundle, command, narrow, tmp_path):
    kind, names = RUNS[command]
    absent = {"input_dir" if kind == "infer" else "dataset_dir": str(tmp_path / "absent")}
    places = {"output_dir": str(tmp_path / "output")} | ({"ckpt_dir": str(tmp_path)} if command == "train" else {})
    run = bundle_runs.workflow(bundle, kind, names, device="cpu", **narrow, **absent, **places)
    assert run.check_properties() == []
    assert isinstance(run.network_def, OriginalUNet)
    with pytest.raises(RuntimeError) as raised:
        run.run()
    assert "absent does not exist" in str(cause_under_monai(raised.value))


@pytest.mark.parametrize("name", ["isbi_compact", "dic_hela_compact", "phc_u373_compact"])
def test_monai_loads_a_bundle_with_weights_without_its_data(name, tmp_path, monkeypatch, sections):
    monkeypatch.setattr(
        "monai_unet.data.default_dataset", lambda root: sections
    )  # it would make some beside the bundle
    shutil.copytree(REPOSITORY / "bundles" / name, tmp_path / name, ignore=shutil.ignore_patterns("output"))
    network = load(name, bundle_dir=tmp_path, source="github", device="cpu")
    weights = torch.load(tmp_path / name / "models" / "model.pt", weights_only=True)
    assert all(torch.equal(value, weights[key].float()) for key, value in network.state_dict().items())
    assert not (tmp_path / name / "output").exists()


def test_the_network_takes_and_gives_what_the_metadata_says(bundle, narrow):
    verify_net_in_out(**arguments(bundle), **narrow, device="cpu", n=3)


def test_the_weights_are_exported_by_scripting_and_load(bundle, tmp_path, narrow):
    parser = ConfigParser.load_config_file(str(bundle / "configs" / "inference.json"))
    parser = ConfigParser({**parser, **narrow})
    network = parser.get_parsed_content("network_def")
    torch.save(network.state_dict(), tmp_path / "model.pt")
    ckpt_export(
        **arguments(bundle), **narrow, ckpt_file=str(tmp_path / "model.pt"), filepath=str(tmp_path / "verify.ts")
    )
    size = [network.geometry.output_size(each) for each in (188, 204)]
    channels = parser.get_parsed_content("network_def::out_channels")
    assert torch.jit.load(tmp_path / "verify.ts")(torch.zeros(1, 1, 188, 204)).shape == (1, channels, *size)


def test_no_file_is_larger_than_the_zoo_takes(bundle):
    files = [path for path in bundle.rglob("*") if path.is_file() and not {"models", "output"} & {*path.parts}]
    assert all(path.stat().st_size < LARGEST for path in files)


def test_the_card_has_the_sections_of_the_zoo(bundle):
    card = (bundle / "docs" / "README.md").read_text(encoding="utf-8")
    found = [line.removeprefix("## ") for line in card.splitlines() if line.startswith("## ")]
    assert [section for section in SECTIONS if not any(name.startswith(section) for name in found)] == []
