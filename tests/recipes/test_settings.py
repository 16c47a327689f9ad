import json
from dataclasses import replace
from pathlib import Path

import pytest

from monai_unet.recipes.settings import NOT_GIVEN, choose_settings, choose_validation, rounded, value_range
from monai_unet.recipes.survey import Survey
from monai_unet.transforms.check_image import CheckImaged

TRAIN = json.loads((Path(__file__).parents[2] / "bundles" / "dic_hela" / "configs" / "train.json").read_text())


def found(**changes):
    """Eight files of one section, each half cells."""
    number = sum(changes.get("sections_of_files", (1,) * 8))
    survey = Survey(
        folder=Path("cells"),
        names=tuple(f"a{index}" for index in range(len(changes.get("sections_of_files", (1,) * 8)))),
        sections_of_files=(1,) * 8,
        inputs="images",
        suffixes=(".tif",),
        dtypes=("uint8",),
        smallest=(500, 600),
        largest=(500, 600),
        darkest=3,
        brightest=200,
        dimmest=150,
        channels=("image",),
        pages=None,
        spreads=(((50.0, 150.0),),) * number,
        mean=(100.123,),
        std=(12.345,),
        kind="instances",
        num_values=9,
        classes=("background", "cell"),
        class_pixels=((10, 10),) * number,
        cell_sizes=((400, 300, 250),) * number,
        problems=(),
        warnings=(),
    )
    return replace(survey, **changes)


def settings(**changes):
    return {setting.name: setting.value for setting in choose_settings(found(**changes), TRAIN)}


@pytest.mark.parametrize(
    ("mean", "std", "expected"),
    [(82.7342, 8.1377, (82.73, 8.14)), (4074.6, 240.4, (4075, 240)), (0.05143, 0.1448, (0.051, 0.145))],
)
def test_mean_and_deviation_have_the_digits_that_matter(mean, std, expected):
    assert rounded(mean, std) == expected
    assert json.dumps(rounded(mean, std)[0]) == json.dumps(expected[0])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [0, 255]),
        ({"dtypes": ("uint16",), "brightest": 60000, "dimmest": 900}, [0, 65535]),
        ({"dtypes": ("uint16",), "brightest": 3000, "dimmest": 200}, [0, 16383]),  # 200 of 65535 looks scaled to 0 to 1
        ({"dtypes": ("uint16",), "brightest": 200, "dimmest": 60}, [0, 4095]),
        ({"dtypes": ("float32",), "darkest": 0.0, "brightest": 1.0}, [0, 1.25]),
        ({"dtypes": ("float32",), "darkest": -100.0, "brightest": 300.0}, [-200.0, 400.0]),
        ({"dtypes": ("int16",), "darkest": -1000, "brightest": 3071}, [-2100.0, 4100.0]),
    ],
)
def test_the_range_is_the_types_or_what_was_found_with_some_to_spare(changes, expected):
    assert settings(**changes)["value_range"] == expected


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize(("dimmest", "brightest"), [(20, 200), (255, 255), (3, 240)])
def test_inference_takes_every_image_that_was_found(dtype, dimmest, brightest):
    import torch

    low, high, _ = value_range(found(dtypes=(dtype,), darkest=0, dimmest=dimmest, brightest=brightest))
    check = CheckImaged(keys="image", value_range=(low, high))
    for value in (dimmest, brightest):
        image = torch.tensor([[[0.0, value]]])
        assert check({"image": image})["image"] is image


@pytest.mark.parametrize(
    ("largest", "tile"), [((500, 600), 388), ((388, 300), 388), ((200, 240), 244), ((64, 64), 68), ((900, 50), 388)]
)
def test_the_tile_is_the_papers_or_the_smallest_output_that_holds_a_section(largest, tile):
    assert settings(smallest=largest, largest=largest)["tile"] == tile


def test_the_smallest_object_is_a_tenth_of_the_median_cell():
    cells = ((1000, 40, 900), (800, 700))
    (setting,) = (
        each
        for each in choose_settings(
            found(sections_of_files=(1, 1), class_pixels=((1, 1),) * 2, cell_sizes=cells), TRAIN
        )
        if each.name == "min_size"
    )
    assert setting.value == 80
    assert "1 of the labelled cells are smaller" in setting.why


@pytest.mark.parametrize(
    ("sections_of_files", "expected"),
    [((1,) * 8, 2), ((1, 1), 1), ((30,), 8), ((2, 3, 4, 5), 5), ((5, 4, 3), 3), ((1,) * 5, 1), ((1,) * 6, 2)],
)
def test_a_quarter_validates_of_whole_files_where_there_are_four(sections_of_files, expected):
    assert choose_validation(found(sections_of_files=sections_of_files))[0] == expected


@pytest.mark.parametrize(
    ("sections_of_files", "said"),
    [
        ((1,) * 5, "the last section: a block"),
        ((1,) * 8, "the last 2 sections: a block"),
        ((2, 3, 4, 5), "the last 5 sections, whole files: a block"),
    ],
)
def test_one_section_is_said_to_be_one(sections_of_files, said):
    assert choose_validation(found(sections_of_files=sections_of_files))[1].startswith(said)


def test_a_block_without_cells_does_not_validate_where_another_one_has_some():
    pixels = ((20, 0), (10, 10), (10, 10), (20, 0))
    validation, why = choose_validation(found(sections_of_files=(1,) * 4, class_pixels=pixels))
    assert validation == [2]
    assert "every class occurs" in why


def test_where_no_block_has_every_class_the_last_one_validates_and_that_is_said():
    pixels = ((10, 10), (20, 0), (20, 0), (20, 0))
    validation, why = choose_validation(found(sections_of_files=(1,) * 4, class_pixels=pixels))
    assert validation == 1
    assert "choose --validation yourself" in why


@pytest.mark.parametrize(("number", "epochs"), [(2, 3000), (8, 500), (400, 10)])
def test_a_run_has_some_3000_iterations_whatever_the_number_of_sections(number, epochs):
    chosen = settings(sections_of_files=(1,) * number)
    assert chosen["epochs"] == epochs
    assert chosen["epochs"] * (number - chosen["validation"]) == 3000


@pytest.mark.parametrize(("template", "expected"), [("$min(5, @epochs)", "$min(8, @epochs)"), (5, 8)])
def test_some_60_validations_a_run_in_the_words_of_the_template(template, expected):
    (setting,) = (
        each for each in choose_settings(found(), {**TRAIN, "val_interval": template}) if each.name == "val_interval"
    )
    assert setting.value == expected


def test_a_map_of_classes_has_no_borders_between_cells_and_no_smallest_cell():
    chosen = settings(kind="classes")
    assert (chosen["w0"], chosen["instances"]) == (0.0, False)
    assert "min_size" not in chosen


@pytest.mark.parametrize(
    ("sections_of_files", "shared"), [((24,), True), ((24, 24), True), ((1, 1, 1), False), ((6, 6, 6, 6), False)]
)
def test_validation_sections_of_a_file_that_also_trains_are_no_new_image(sections_of_files, shared):
    survey = found(sections_of_files=sections_of_files)
    (validation,) = (each for each in choose_settings(survey, TRAIN) if each.name == "validation")
    assert ("share a file with training sections" in validation.because) == shared


WIDE, NARROW, BRIGHT = (50.0, 150.0), (85.0, 115.0), (300.0, 400.0)


@pytest.mark.parametrize(
    ("sections_of_files", "spreads", "expected"),
    [
        ((1, 1), [WIDE, (60.0, 140.0)], "dataset"),
        ((1, 1), [WIDE, NARROW], "image"),
        ((1, 1), [WIDE, BRIGHT], "image"),
        ((2, 2), [WIDE, WIDE, NARROW, NARROW], "image"),
        ((2, 2), [WIDE, NARROW, WIDE, NARROW], "section"),
        ((1, 1, 1), [WIDE, WIDE, (7.0, 7.0)], "dataset"),
    ],
    ids=["alike", "contrast", "brightness", "files", "sections", "blank"],
)
def test_images_are_normalised_by_themselves_where_their_exposures_differ(sections_of_files, spreads, expected):
    changes = {"sections_of_files": sections_of_files, "spreads": tuple((ends,) for ends in spreads)}
    assert settings(**changes)["normalise"] == expected


def test_one_channel_of_another_exposure_is_enough():
    spreads = ((WIDE, WIDE), (WIDE, NARROW)) + ((WIDE, WIDE),) * 6
    changes = {"spreads": spreads, "channels": ("a", "b"), "mean": (1.0, 2.0), "std": (1.0, 2.0)}
    assert settings(**changes)["normalise"] == "image"


def test_what_was_asked_for_is_set_whatever_the_exposures():
    chosen = choose_settings(found(), TRAIN, normalise="section")
    assert {each.name: each.value for each in chosen}["normalise"] == "section"


def test_colour_images_vary_less_as_the_strength_of_a_stain_tells():
    numbers = {"mean": (1.0,) * 3, "std": (1.0,) * 3, "spreads": ((WIDE,) * 3,) * 8}
    colour = settings(channels=("red", "green", "blue"), **numbers)
    assert (colour["grey_scale"], colour["grey_shift"]) == (0.1, 0.1)
    assert "grey_scale" not in settings(channels=("dapi", "actin", "cell"), **numbers)


def test_numbers_of_the_data_set_are_set_and_not_shown_where_images_are_normalised_by_themselves():
    chosen = {each.name: each for each in choose_settings(found(), TRAIN, normalise="image")}
    assert (chosen["image_mean"].value, chosen["value_range"].value) == (100.1, [0, 255])
    assert chosen["image_mean"].finding == NOT_GIVEN


def test_a_section_without_a_cell_says_nothing_of_the_exposure():
    changes = {"spreads": ((WIDE,),) * 7 + ((NARROW,),), "class_pixels": ((10, 10),) * 7 + ((20, 0),)}
    assert settings(**changes)["normalise"] == "dataset"
