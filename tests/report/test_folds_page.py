import csv
import io
import statistics

import pytest

from monai_unet.report import Fold, folds_csv, folds_page, folds_table, sections_csv

FOLDS = [
    Fold("fold 1", "a, b", {"seg": 0.8, "iou": 0.9}, {"a": {"seg": 0.7}, "b": {"seg": 0.9}}, "fold_1/report.html"),
    Fold("fold 2", "c <d>", {"seg": 0.5, "iou": 0.7}, {"c <d>": {"seg": 0.5}}, "fold_2/report.html"),
]


def test_a_section_is_a_line_with_all_digits():
    text = sections_csv(["a, 1", "b"], {"seg": [1 / 3, 0.5], "iou": [1.0, float("nan")]})
    rows = list(csv.DictReader(io.StringIO(text)))
    assert rows == [{"section": "a, 1", "seg": repr(1 / 3), "iou": "1.0"}, {"section": "b", "seg": "0.5", "iou": "nan"}]


def test_every_section_is_there_once_with_its_fold():
    rows = list(csv.DictReader(io.StringIO(folds_csv(FOLDS))))
    assert [(row["fold"], row["section"], float(row["seg"])) for row in rows] == [
        ("fold 1", "a", 0.7),
        ("fold 1", "b", 0.9),
        ("fold 2", "c <d>", 0.5),
    ]


def test_mean_and_deviation_are_over_the_folds():
    table = folds_table(FOLDS)
    assert table[0] == ["", "seg", "iou"]
    assert [row[0] for row in table[1:]] == ["fold 1", "fold 2", "mean", "standard deviation"]
    assert float(table[3][1]) == pytest.approx(0.65)
    assert float(table[4][2]) == pytest.approx(statistics.stdev([0.9, 0.7]), abs=1e-4)


def test_the_page_links_to_each_folds_own_and_escapes_names():
    page = folds_page("2 folds", {"ensemble": "models/model.pt"}, FOLDS, ["a note"])
    assert '<a href="fold_1/report.html">fold 1</a>' in page
    assert "c &lt;d&gt;" in page
    assert "c <d>" not in page
