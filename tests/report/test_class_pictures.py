import io

import numpy as np
from PIL import Image

from monai_unet import report
from monai_unet.report.pictures import BACKGROUND_COLOUR


def test_the_labels_own_colours_are_taken_where_they_can_be_told_apart():
    assert report.palette(2, [(0, 0, 0), (255, 0, 0)]).tolist() == [[0, 0, 0], [255, 0, 0]]
    assert report.palette(2, [(0, 0, 0), (65535, 0, 0)]).tolist() == [[0, 0, 0], [255, 0, 0]]
    assert report.palette(2, [(0, 0, 0), (1, 1, 1)]).tolist() == [list(BACKGROUND_COLOUR), [230, 159, 0]]


def test_every_class_has_a_colour_of_its_own():
    assert len(np.unique(report.palette(20), axis=0)) == 20


def test_the_confusion_matrix_is_a_picture_also_with_a_class_that_does_not_occur():
    png = report.draw_confusion(["a", "b"], np.array([[3, 1], [0, 0]]))
    assert min(Image.open(io.BytesIO(png)).size) > 300


def test_the_tables_have_the_numbers():
    assert report.confusion_csv(["a", "b"], np.array([[3, 1], [0, 2]])) == "true,a,b\na,3,1\nb,0,2\n"
    rows = [report.ClassRow("a", 2, {"Dice": 0.5}), report.ClassRow("b", 0, {"Dice": float("nan")})]
    assert report.scores_csv(rows, 2) == "class,sections with it,sections,Dice\na,2,2,0.5\nb,0,2,\n"
