import re
from pathlib import Path

import imagecodecs
import nibabel
import numpy as np
import pytest
import tifffile

from monai_unet.data.sections import read_labelled_sections
from monai_unet.recipes.survey import survey_folder

CELLS = np.array([[1, 1, 0, 0, 0], [1, 0, 0, 7, 7], [0, 0, 3, 0, 7], [0, 0, 3, 0, 0]], np.uint8)
GREY = np.arange(20, dtype=np.uint8).reshape(4, 5) * 10


def write(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.name.endswith(".png"):
        path.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(array)))
    elif ".nii" in path.name:
        nibabel.save(nibabel.Nifti1Image(array.T, np.eye(4)), path)
    else:
        tifffile.imwrite(path, array, photometric="rgb" if array.shape[-1] == 3 else "minisblack")


@pytest.fixture
def pair(tmp_path):
    """Write an image and its label, both good unless told otherwise."""

    def add(name, image=GREY, label=CELLS, suffix=".tif"):
        for part, array in (("images", image), ("labels", label)):
            if array is not None:
                write(tmp_path / part / f"{name}{suffix}", array)

    return add


@pytest.fixture
def two(pair):
    pair("a")
    pair("b")


def only(problems):
    (problem,) = problems
    return problem


@pytest.mark.usefixtures("two")
def test_a_good_folder_has_no_problems_and_no_warnings(tmp_path):
    found = survey_folder(tmp_path)
    assert (found.problems, found.warnings) == ((), ())
    assert (found.num_sections, found.smallest, found.largest) == (2, (4, 5), (4, 5))


@pytest.mark.parametrize("suffix", [".tif", ".png", ".nii.gz"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_format_gives_the_same(tmp_path, pair, suffix, dtype):
    for name in "ab":
        pair(name, GREY.astype(dtype), CELLS.astype(dtype), suffix)
    found = survey_folder(tmp_path)
    assert not found.problems
    assert (found.mean, found.darkest, found.brightest) == ((95,), 0, 190)
    assert found.cell_sizes == ((3, 2, 3), (3, 2, 3))
    assert found.suffixes == (suffix,)


def test_files_without_a_partner_are_named_on_both_sides_and_all_of_them(tmp_path, pair):
    pair("a")
    pair("b", label=None)
    pair("c", image=None)
    pair("d", label=None)
    first, second, third = survey_folder(tmp_path).problems
    assert first.startswith(str(tmp_path / "images" / "b.tif"))
    assert second.startswith(str(tmp_path / "images" / "d.tif"))
    assert third.startswith(str(tmp_path / "labels" / "c.tif"))


@pytest.mark.usefixtures("two")
def test_two_files_of_one_name_are_named(tmp_path):
    write(tmp_path / "images" / "a.png", GREY)
    assert "several files of one name" in only(survey_folder(tmp_path).problems)


@pytest.mark.usefixtures("two")
def test_problems_of_several_files_are_all_reported(tmp_path, pair):
    (tmp_path / "images" / "a.tif").write_bytes(b"II*\0 no tiff")
    pair("c", image=np.stack([GREY] * 3, -1))
    pair("d", label=CELLS[:3])
    holed = GREY.astype(np.float32)
    holed[1, 2] = np.nan
    pair("e", image=holed)
    broken = survey_folder(tmp_path).problems
    said = {Path(problem.split(" ")[0]).name: problem for problem in broken}
    assert set(said) >= {"a.tif", "c.tif", "d.tif", "e.tif"}
    assert "cannot be read as an image" in said["a.tif"]
    assert "has 3 channels (red, green, blue) and 1 section of 4 x 5 pixels; expected 1 channel" in said["c.tif"]
    assert any("the images differ in their number of channels: 3 of 1" in problem for problem in broken)
    assert "has the shape (1, 3, 5) and" in said["d.tif"]
    assert "(1, 4, 5); expected one pixel for each" in said["d.tif"]
    assert "1 values that are not finite" in said["e.tif"]


@pytest.mark.usefixtures("two")
def test_a_label_in_colours_is_told_otherwise_than_an_image(tmp_path, pair):
    pair("c", label=np.stack([CELLS] * 3, -1))
    assert (
        "labels in colour, 0,0,0 (12 pixels), 1,1,1 (3 pixels), 7,7,7 (3 pixels), 3,3,3 (2 pixels): say which class "
        'each of them is, by names of your own, --colours "background=0,0,0 class1=1,1,1 class2=7,7,7 class3=3,3,3"'
    ) in only(survey_folder(tmp_path).problems)


TABLE = "background=10,20,30 body=255,0,0 nucleus=0,0,255"


def in_colour(numbers):
    return np.array([[10, 20, 30], [255, 0, 0], [0, 0, 255]], np.uint8)[numbers]


def test_labels_in_colour_are_found_as_the_same_numbers(tmp_path, pair):
    numbers = np.minimum(CELLS, 2)
    for name in "ab":
        pair(name, label=in_colour(numbers))
    coloured = survey_folder(tmp_path, colours=TABLE)
    for name in "ab":
        pair(name, label=numbers)
    assert coloured == survey_folder(tmp_path, ["background", "body", "nucleus"])


def test_colours_and_classes_that_differ_are_refused(tmp_path, pair):
    pair("a", label=in_colour(np.minimum(CELLS, 2)))
    with pytest.raises(ValueError, match="are of background, body, nucleus, and the classes are background, cell: "):
        survey_folder(tmp_path, ["background", "cell"], colours=TABLE)


def test_soft_edges_are_told_from_classes(tmp_path, pair):
    pair("a", label=np.random.default_rng(0).integers(0, 255, (4, 5, 3), np.uint8))
    assert "and 12 more colours: so many are left by soft edges or by JPEG" in only(survey_folder(tmp_path).problems)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (CELLS + np.float32(0.5) * (CELLS == 7), r"b.tif holds values that are not whole \(7.5\)"),
        (CELLS.astype(np.int16) - 1, r"b.tif holds negative values \(-1\).*--ignore_label -1"),
        (CELLS.astype(np.int64) * 2**31, r"b.tif holds values up to"),
    ],
)
def test_labels_that_no_training_could_use_are_problems(tmp_path, pair, label, message):
    pair("a")
    pair("b", label=label)
    assert re.search(message, only(survey_folder(tmp_path).problems))


def test_more_values_than_classes_are_a_problem_that_shows_them(tmp_path, pair):
    pair("a", label=np.minimum(CELLS, 2))
    pair("b")
    problem = only(survey_folder(tmp_path, ["background", "body", "nucleus"]).problems)
    assert "b.tif holds 3, 7; with 3 classes (background, body, nucleus) expected 0 to 2" in problem


def test_the_ignore_label_is_no_class_and_no_pixel(tmp_path, pair):
    pair("a", label=np.where(CELLS == 7, 255, np.minimum(CELLS, 2)))
    pair("b", label=np.minimum(CELLS, 2))
    found = survey_folder(tmp_path, ["background", "body", "nucleus"], ignore_label=255)
    assert not found.problems
    assert found.class_pixels == ((12, 3, 2), (12, 3, 5))


def test_mixed_types_are_a_problem_that_names_the_files(tmp_path, pair):
    pair("a")
    pair("b", GREY.astype(np.uint16))
    pair("c")
    problem = only(survey_folder(tmp_path).problems)
    assert "1 of uint16 (b); 2 of uint8 (a, c)" in problem
    assert "export them anew in one type" in problem


def test_mixed_types_are_no_problem_where_each_image_is_normalised_by_itself(tmp_path, pair):
    pair("a")
    pair("b", GREY.astype(np.uint16) * 200)
    found = survey_folder(tmp_path, one_type=False)
    assert not found.problems
    assert found.dtypes == ("uint16", "uint8")


def test_the_spread_of_a_section_is_by_percentiles_of_each_channel(tmp_path, pair):
    image = np.random.default_rng(0).integers(0, 1000, (50, 60), np.uint16)
    for name in "ab":
        pair(name, image, np.ones((50, 60), np.uint8))
    ((ends,), _) = survey_folder(tmp_path).spreads
    assert ends == tuple(np.percentile(image, [1, 99.8]))


def test_an_image_of_one_value_is_a_warning_and_nothing_but_such_images_a_problem(tmp_path, pair):
    pair("a")
    pair("b", np.full_like(GREY, 9))
    found = survey_folder(tmp_path)
    assert not found.problems
    assert only(found.warnings).endswith("b.tif has a single grey value, 9")
    pair("a", np.full_like(GREY, 8))
    assert "every image has a single grey value" in only(survey_folder(tmp_path).problems)


def test_sections_without_a_label_are_named(tmp_path, pair):
    pair("a", np.stack([GREY] * 3), np.stack([CELLS, 0 * CELLS, CELLS]))
    warning = only(survey_folder(tmp_path).warnings)
    assert warning.startswith(f"{tmp_path / 'images' / 'a.tif'}, section 1: no cell labelled")


def test_a_class_that_never_occurs_is_a_problem(tmp_path, pair):
    for name in "ab":
        pair(name, label=np.where(CELLS > 0, 2, 0).astype(np.uint8))
    problem = only(survey_folder(tmp_path, ["background", "body", "nucleus"]).problems)
    assert problem.startswith("body occurs in no label")


def test_a_rare_class_is_a_warning(tmp_path, pair):
    label = np.zeros((50, 50), np.uint8)
    label[3, 4] = 1
    for name in "ab":
        pair(name, np.arange(2500, dtype=np.uint16).reshape(50, 50), label)
    assert only(survey_folder(tmp_path).warnings).startswith("cell covers 0.04 % of the pixels")


def test_a_single_section_is_too_few_and_a_stack_of_two_is_enough(tmp_path, pair):
    pair("a")
    assert "at least two are needed" in only(survey_folder(tmp_path).problems)
    pair("a", np.stack([GREY] * 2), np.stack([CELLS] * 2))
    assert not survey_folder(tmp_path).problems


@pytest.mark.parametrize(
    ("label", "classes", "override", "kind"),
    [
        (CELLS, None, None, "instances"),
        (CELLS, ["background", "cell"], None, "instances"),
        (np.minimum(CELLS, 1) * 255, None, None, "masks"),
        (np.minimum(CELLS, 1), None, "instances", "instances"),
        (np.minimum(CELLS, 1), ["background", "cell"], "classes", "classes"),
        (np.minimum(CELLS, 2), ["background", "body", "nucleus"], None, "classes"),
    ],
)
def test_what_labels_are_follows_from_values_and_classes_unless_it_is_said(
    tmp_path, pair, label, classes, override, kind
):
    for name in "ab":
        pair(name, label=label)
    assert survey_folder(tmp_path, classes, override).kind == kind


def test_a_map_of_classes_without_names_is_pointed_out(tmp_path, pair):
    label = np.zeros((9, 9), np.uint8)
    label[::2, 0] = 1
    label[::2, 4] = 2
    for name in "ab":
        pair(name, np.arange(81, dtype=np.uint8).reshape(9, 9), label)
    assert "a number in the labels has 5.0 separate parts" in only(survey_folder(tmp_path).warnings)


@pytest.mark.parametrize(("classes", "labels"), [(["a", "b", "c"], "instances"), (None, "classes"), (["a"], None)])
def test_classes_and_labels_that_do_not_go_together_are_refused(tmp_path, classes, labels):
    with pytest.raises(ValueError, match="class"):
        survey_folder(tmp_path, classes, labels)


def test_hot_pixels_do_not_move_mean_and_deviation(tmp_path, pair):
    image = np.random.default_rng(0).normal(500, 20, (100, 100)).astype(np.uint16)
    label = np.ones((100, 100), np.uint8)
    label[:50] = 0
    pair("a", image, label)
    hot = image.copy()
    hot[5, 3], hot[70, 9] = 65535, 65000
    pair("b", hot, label)
    found = survey_folder(tmp_path)
    assert found.brightest == 65535
    assert found.mean[0] == pytest.approx(500, abs=1)
    assert found.std[0] == pytest.approx(20, abs=0.5)
    assert np.std([image, hot]) > 500  # as it would be with them


def test_the_background_of_a_partly_annotated_image_is_not_counted(tmp_path, pair):
    pair("a")
    pair("b")
    found = survey_folder(tmp_path, partly_annotated=["b"])
    assert found.class_pixels == ((12, 8), (0, 8))
    assert "no such image" in only(survey_folder(tmp_path, partly_annotated=["c"]).problems)


@pytest.mark.parametrize(
    ("label", "classes", "ignore"),
    [
        (CELLS, None, None),
        (CELLS, None, 7),
        (np.stack([CELLS * (CELLS == 7), CELLS]), None, None),
        (np.stack([(CELLS > 0) * np.uint8(3), CELLS]), None, None),
        (np.minimum(CELLS, 1) * 255, None, None),
        (np.minimum(CELLS, 1) + 1, None, None),
        (np.where(CELLS == 7, 3, CELLS > 0).astype(np.uint8), None, 3),
        (np.minimum(CELLS, 2), ["background", "body", "nucleus"], None),
        (np.minimum(CELLS, 2).astype(np.float32), ["background", "body", "nucleus"], 0),
    ],
)
def test_classes_are_counted_as_training_reads_them(tmp_path, pair, label, classes, ignore):
    for name in "ab":
        pair(name, np.broadcast_to(GREY, label.shape), label)
    found = survey_folder(tmp_path, classes, ignore_label=ignore)
    section, *_ = read_labelled_sections(
        tmp_path / "images" / "a.tif",
        tmp_path / "labels" / "a.tif",
        instances=found.kind == "instances",
        num_classes=len(found.classes),
        ignore_label=ignore,
    )
    known = section["label"][section["ignore"] == 0]
    expected = np.bincount(known.numpy().astype(int), minlength=len(found.classes))
    assert found.class_pixels[0] == tuple(expected)
    if found.kind != "classes":
        sizes = np.bincount(section["cells"].numpy().ravel())[1:]
        assert sorted(found.cell_sizes[0]) == sorted(sizes[sizes > 0])


def test_the_challenges_layout_is_taken_too(tmp_path):
    for frame in ("000", "004"):
        write(tmp_path / "01" / f"t{frame}.tif", GREY)
        write(tmp_path / "01_GT" / "SEG" / f"man_seg{frame}.tif", CELLS)
    found = survey_folder(tmp_path)
    assert (found.problems, found.inputs, found.names) == ((), "01", ("01/t000", "01/t004"))


def many_cells(number):
    """A label image of some cells of 4 pixels."""
    labels = np.zeros((20, 20), np.uint8)
    for cell in range(number):
        labels[3 * (cell // 6) : 3 * (cell // 6) + 2, 3 * (cell % 6) : 3 * (cell % 6) + 2] = cell + 1
    return labels


def test_an_image_with_far_fewer_cells_than_the_others_is_to_be_looked_at(tmp_path, pair):
    for name, number in (("a", 12), ("b", 13), ("c", 3), ("d", 11)):
        pair(name, np.resize(GREY, (20, 20)), many_cells(number))
    assert re.match(r".*/c.tif \(3\): far fewer cells than in the others, 11.5", only(survey_folder(tmp_path).warnings))


def test_an_image_that_is_named_as_partly_annotated_is_not(tmp_path, pair):
    for name, number in (("a", 12), ("b", 13), ("c", 3), ("d", 11)):
        pair(name, np.resize(GREY, (20, 20)), many_cells(number))
    assert not survey_folder(tmp_path, partly_annotated=["c"]).warnings


def test_a_film_with_fewer_cells_than_another_one_is_good(tmp_path):
    for film, number in (("01", 4), ("02", 20)):
        for frame in range(3):
            write(tmp_path / film / f"t00{frame}.tif", np.resize(GREY, (20, 20)))
            write(tmp_path / f"{film}_GT" / "SEG" / f"man_seg00{frame}.tif", many_cells(number))
    assert not survey_folder(tmp_path).warnings


def test_the_background_of_masks_is_that_of_the_folder(tmp_path, pair):
    pair("a", label=(CELLS > 0) + np.uint8(1))
    pair("b", label=np.ones_like(CELLS))
    assert survey_folder(tmp_path).class_pixels == ((12, 8), (20, 0))


def test_labels_that_lie_elsewhere_than_their_image_are_a_problem(tmp_path, pair):
    pair("a", suffix=".nii")
    pair("b", suffix=".nii")
    moved = np.eye(4)
    moved[0, 3] = 20
    nibabel.save(nibabel.Nifti1Image(CELLS.T, moved), tmp_path / "labels" / "b.nii")
    assert "b.nii does not lie where" in only(survey_folder(tmp_path).problems)


def test_channels_and_their_names_are_those_of_the_files(tmp_path, pair):
    pixels = np.stack([GREY, GREY // 2, 200 - GREY])
    for name in "ab":
        pair(name, image=pixels.transpose(1, 2, 0))
    found = survey_folder(tmp_path)
    assert not found.problems
    assert found.channels == ("red", "green", "blue")
    assert found.mean == tuple(pytest.approx(float(channel.mean())) for channel in pixels)
    assert survey_folder(tmp_path, channels="blue").mean == (pytest.approx(float(pixels[2].mean())),)


@pytest.mark.parametrize(("depth", "pages"), [(1, "channels"), (3, "sections")])
def test_the_labels_tell_what_pages_are_that_do_not_say_so(tmp_path, pair, depth, pages):
    stack = np.stack([GREY, GREY // 2, 200 - GREY])
    for name in "ab":
        pair(name, image=None, label=CELLS if depth == 1 else np.stack([CELLS] * 3))
        (tmp_path / "images").mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / "images" / f"{name}.tif", stack, photometric="minisblack", metadata=None)
    found = survey_folder(tmp_path)
    assert not found.problems
    assert (found.pages, len(found.channels)) == (pages, 3 if pages == "channels" else 1)


def test_labels_that_do_not_tell_what_pages_are_end_in_a_question(tmp_path, pair):
    for name in "ab":
        pair(name, image=None, label=np.stack([CELLS] * 2))
        (tmp_path / "images").mkdir(exist_ok=True)
        tifffile.imwrite(
            tmp_path / "images" / f"{name}.tif", np.stack([GREY] * 3), photometric="minisblack", metadata=None
        )
    assert any("give --pages sections or --pages channels" in problem for problem in survey_folder(tmp_path).problems)


def test_a_file_for_each_channel_makes_one_image(tmp_path, pair):
    for name in "ab":
        pair(name, image=None)
        for number in (1, 2):
            write(tmp_path / "images" / f"{name}_w{number}.tif", GREY * number // 2)
    found = survey_folder(tmp_path, channels="dapi=*_w1.tif,actin=*_w2.tif")
    assert not found.problems
    assert (found.names, len(found.mean)) == (("a", "b"), 2)
    (tmp_path / "images" / "b_w2.tif").unlink()
    (problem, *_) = survey_folder(tmp_path, channels="dapi=*_w1.tif,actin=*_w2.tif").problems
    assert "b_w1.tif lacks a channel" in problem
