import numpy as np
import pytest
import tifffile

from monai_unet.viewer.painted import Painted, painted_blocks, write_painted


def image_of(*shape):
    return np.random.default_rng(0).integers(0, 255, shape, np.uint8)


def test_classes_are_written_from_0_on_and_unpainted_pixels_are_unknown(tmp_path):
    labels = np.array([[0, 1, 2], [3, 0, 1]])
    image = image_of(2, 3)
    folder = write_painted(tmp_path / "painted", [Painted("a b", image, labels)], "classes")
    assert tifffile.imread(tmp_path / "painted" / "labels" / "a_b.tif").tolist() == [[255, 0, 1], [2, 255, 0]]
    assert np.array_equal(tifffile.imread(tmp_path / "painted" / "images" / "a_b.tif"), image)
    assert (folder.ignore_label, folder.files, folder.numbers) == (255, 1, (1, 2, 3))


def test_cells_keep_a_number_each_and_may_leave_some_out(tmp_path):
    labels = np.array([[0, 1, 2], [900, 0, 1]])
    folder = write_painted(tmp_path / "painted", [Painted("a", image_of(2, 3), labels)], "cells")
    unknown = folder.ignore_label
    assert tifffile.imread(tmp_path / "painted" / "labels" / "a.tif").tolist() == [[unknown, 0, 1], [899, unknown, 0]]


def test_only_sections_with_paint_are_written_and_images_of_one_name_are_kept_apart(tmp_path):
    labels = np.zeros((4, 5, 6), int)
    labels[2, :2] = [[1] * 6, [2] * 6]
    painted = [Painted("film", image_of(4, 5, 6), labels), Painted("film", image_of(5, 6, 3), labels[2])]
    write_painted(tmp_path / "painted", painted, "classes")
    assert sorted(path.name for path in (tmp_path / "painted" / "images").iterdir()) == ["film-2.tif", "film_z0002.tif"]
    assert tifffile.imread(tmp_path / "painted" / "images" / "film-2.tif").shape == (5, 6, 3)


def test_of_a_large_section_only_the_blocks_with_paint_are_written_with_image_around():
    labels = np.zeros((1300, 1100), int)
    labels[700:705, 600:620] = 2
    image = image_of(1300, 1100)
    ((where, part, drawn),) = painted_blocks(Painted("large", image, labels))
    assert where == "_y000512_x000512"
    assert np.array_equal(part, image[512 - 184 : 1024 + 184, 512 - 184 : 1024 + 76])
    assert np.array_equal(np.argwhere(drawn)[0], [700 - 328, 600 - 328])
    assert (drawn > 0).sum() == 100


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([[0, 0], [0, 0]], "nothing is painted yet"),
        ([[0, 2], [2, 0]], "no background is painted"),
        ([[1, 0], [0, 0]], "only background is painted"),
        ([[1, 4], [0, 0]], "2, 3 is painted nowhere"),
        ([[1, 300], [0, 0]], "numbers from 1 to 255 can be painted; found 300"),
        ([[1, 2, 0], [0, 0, 0]], r"labels of shape \(2, 3\) do not fit an image of shape \(2, 2\)"),
    ],
)
def test_what_cannot_be_learned_from_is_refused_and_nothing_is_written(tmp_path, labels, message):
    with pytest.raises(ValueError, match=message):
        write_painted(tmp_path / "painted", [Painted("a", image_of(2, 2), np.array(labels))], "classes")
    assert list(tmp_path.iterdir()) == []
