import pytest

from monai_unet.label.request_values import check_name, check_params


@pytest.mark.parametrize("name", ["a", "plate 1 (A).b", "zelle-ä_1", "a=b+c,d", "x" * 200])
def test_names_of_images_are_names(name):
    assert check_name("image", name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".a", "a..b", "a/b", "a\\b", "/a", "C:a", "$a", "a@b", "%a", "a\0", "a\n", "x" * 201]
)
def test_what_could_be_another_file_or_code_is_no_name(name):
    with pytest.raises(ValueError, match=r"image .*: expected a name without separators"):
        check_name("image", name)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("max_epochs", [1, 50], ["50", 0, -1, 1.5, True, None, 10**9, [1], {"a": 1}]),
        ("val_split", [-1, 0, 0.2], [1, "0.2", float("nan"), float("inf"), -2]),
        ("pretrained", [True, False], ["true", 1, None]),
        ("gpus", ["all", "0,1"], ["0;1", "all; x", "$1", 0]),
        ("device", ["cpu", "cuda:1", "NVIDIA H100 (80GB):0", ["cpu", "cuda"]], ["$x", "@x", "a/b", 1, [1], []]),
        ("model_filename", ["model.pt", ["model.pt"]], ["../model.pt", "model.py", "$a.pt", ".pt", ["$a.pt"]]),
        ("run_id", ["run"], ["", "initialize", "$1", "@x"]),
        ("tracking", ["None", "", ["None", "mlflow"]], ["mlflow", ["mlflow"], "$x"]),
        ("result_extension", [".nii.gz", ".tif"], [".py", "/x.tif", "tif"]),
        ("label_tag", ["final", "original"], ["../x", "", 1]),
        ("location", [[0, 0], []], [[-1, 0], ["0", 0], "0", [0] * 4]),
        ("min_poly_area", [0, 80], [-1, "80"]),
        ("client_id", ["me", ""], ["$x", "x" * 501, 5]),
    ],
)
def test_each_parameter_has_a_type_and_a_range(name, good, bad):
    for value in good:
        check_params({name: value})
    for value in bad:
        with pytest.raises(ValueError, match=f"parameter {name} "):
            check_params({name: value})


def test_an_unknown_parameter_is_named_with_those_that_are_known():
    with pytest.raises(ValueError, match="'bundle_path' is not known; expected max_epochs, "):
        check_params({"bundle_path": "x"})


def test_what_is_no_object_is_refused():
    with pytest.raises(ValueError, match="expected an object of names and values"):
        check_params(["max_epochs"])
