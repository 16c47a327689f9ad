"""What a BioImage.IO package says: pixel size, people, licence; by bioimageio.spec alone, without a package."""

import json

import pytest

from monai_unet.export.bioimageio.options import PackageOptions, parse_pixel_size
from monai_unet.export.export import export

WEIGHTS = ("weights.pt", "weights.ts", "weights.onnx", "architecture.py")
FILES = (*WEIGHTS, "test_input.npy", "test_output.npy", "LICENSE", "README.md", "cover.png")


@pytest.mark.parametrize(
    ("text", "dims", "expected"),
    [
        ("4 x 4 nm", 2, ((4.0, 4.0), "nanometer")),
        ("0.19 um", 2, ((0.19, 0.19), "micrometer")),
        ("50x4x4nm", 3, ((50.0, 4.0, 4.0), "nanometer")),
        ("1.5 µm", 3, ((1.5, 1.5, 1.5), "micrometer")),
    ],
)
def test_a_pixel_size_is_read_as_people_write_it(text, dims, expected):
    assert parse_pixel_size(text, dims) == expected


@pytest.mark.parametrize("text", ["", "4 x 4", "4 parsnips", "0 nm", "4 x 4 x 4 nm", "1.2.3 nm", "-1 nm", "4, 4 nm"])
def test_what_is_no_pixel_size_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match=r'write "0.5 um", or "0.5 x 0.5 um" for 2 axes'):
        parse_pixel_size(text, 2)


def test_what_a_package_says_is_refused_for_other_formats(bundle, tmp_path):
    with pytest.raises(ValueError, match=r"are of a BioImage\.IO package, not of torchscript"):
        export(bundle, "torchscript", tmp_path / "a.ts", overrides={}, package=PackageOptions(blocks=True))


@pytest.fixture
def said(bundle, model, tmp_path):
    """The description that a package would have, by what is in the metadata; its files are empty."""
    pytest.importorskip("bioimageio.spec", reason="needs the extra `export`")
    from bioimageio.spec import ValidationContext
    from bioimageio.spec.model import v0_5

    from monai_unet.export.bioimageio import description
    from monai_unet.export.blockwise import BlockwiseUNet

    def describe(options=PackageOptions(), **metadata):  # noqa: B008 - it cannot be changed
        for file in FILES:
            (tmp_path / file).touch()
        (tmp_path / "configs").mkdir()
        (tmp_path / "configs" / "inference.json").write_bytes((bundle / "configs" / "inference.json").read_bytes())
        own = json.loads((bundle / "configs" / "metadata.json").read_text(encoding="utf-8"))
        own = {name: value for name, value in {**own, **metadata}.items() if value is not None}
        (tmp_path / "configs" / "metadata.json").write_text(json.dumps(own), encoding="utf-8")
        monkey = pytest.MonkeyPatch()
        monkey.setattr(v0_5, "ModelDescr", dict)  # as it was put together, before the files are looked at
        try:
            with ValidationContext(perform_io_checks=False):
                wrapped = BlockwiseUNet(model.network)
                return description.describe(model, wrapped, str(tmp_path), '{"features": [2, 3, 4]}', tmp_path, options)
        finally:
            monkey.undo()

    return describe


def axes(description):
    return [(axis.scale, axis.unit) for axis in description["inputs"][0].axes[2:]]


def test_the_pixel_size_is_the_metadatas(said):
    assert axes(said()) == [(4.0, "nanometer")] * 2


def test_a_pixel_size_that_is_given_goes_first(said):
    assert axes(said(PackageOptions(pixel_size="2 x 3 um"))) == [(2.0, "micrometer"), (3.0, "micrometer")]


def test_without_a_pixel_size_none_is_said(said):
    assert axes(said(pixel_size=None)) == [(1.0, None)] * 2


@pytest.mark.parametrize(
    ("authors", "names"),
    [("A. One, B. Two and C. Three", ["A. One", "B. Two", "C. Three"]), ("yours to fill in", [])],
)
def test_authors_are_the_metadatas_and_nobody_is_made_up(said, authors, names):
    description = said(authors=authors)
    assert [author.name for author in description["authors"]] == names
    assert description["maintainers"] == []


def test_a_maintainer_is_a_user_of_github(said):
    (maintainer,) = said(PackageOptions(maintainers=("octocat",)))["maintainers"]
    assert maintainer.github_user == "octocat"


def test_a_licence_with_an_spdx_name_is_said_by_it(said):
    assert str(said(license="CC-BY-4.0")["license"]) == "CC-BY-4.0"


def test_terms_without_an_spdx_name_are_those_of_the_file(said):
    assert said(license="for research only")["license"].source.name == "LICENSE"
