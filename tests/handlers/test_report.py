import base64
import csv
import io
import re
import shutil
import subprocess

import numpy as np
import pytest
import torch
from full_disk import full_disk
from ignite.engine import Engine
from monai.engines import SupervisedEvaluator
from monai.handlers import MeanDice, from_engine
from PIL import Image

from monai_unet import report
from monai_unet.handlers import SaveReport
from monai_unet.io import write_found
from monai_unet.metrics import IsbiScoreHandler, SegScoreHandler
from monai_unet.transforms import Decoding
from monai_unet.transforms.instances import label_instances

DASH = "\N{EN DASH}"


def section(name, cut=False, width=20):
    """Two cells of 8 x 8 pixels with a border of 2; `cut` by a line the first one is split."""
    label = torch.zeros(1, 12, width)
    label[:, 2:10, 1:9] = label[:, 2:10, 11:19] = 1
    inside = label.clone()
    if cut:
        inside[:, :, 5] = 0
    pred = torch.cat([1 - inside, inside]) * 0.8 + 0.1
    return {"image": torch.rand(1, 12, width), "label": label, "pred": pred, "name": name}


def run(folder, outputs, **arguments):
    """The page for outputs of an engine, a batch each."""
    engine = Engine(lambda engine, batch: [outputs[batch]])
    SaveReport(folder, **arguments).attach(engine)
    engine.run(list(range(len(outputs))))
    return (folder / "report.html").read_text(encoding="utf-8")


def rows(page, table):
    """Texts of the cells of a table, row by row."""
    (body,) = re.findall(rf'<table class="{table}"[^>]*>(.*?)</table>', page, re.DOTALL)
    texts = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in body.split("</tr>")]
    return [[re.sub(r"<[^>]+>", "", text).strip() for text in row] for row in texts if row]


def pictures(page):
    """The pictures in the page, by their alternative texts."""
    found = re.findall(r'<img src="data:image/png;base64,([^"]+)"[^>]* alt="([^"]+)"', page)
    return {alt: Image.open(io.BytesIO(base64.b64decode(data, validate=True))) for data, alt in found}


def evaluate(folder, sections, **arguments):
    """The page for MONAI's evaluator on sections whose network gives what they have under `pred`."""
    metrics = {
        "v_rand": IsbiScoreHandler("v_rand_macro", [0.3, 0.5], 1, from_engine(["pred", "label"])),
        "dice": MeanDice(output_transform=lambda items: ([i["pred"][1:] > 0.5 for i in items], _labels(items))),
        "seg": SegScoreHandler(lambda items: tuple(map(_numbered, ([i["pred"][1:] for i in items], _labels(items))))),
    }
    given = [{"image": one["pred"], "label": one["label"], "name": one["name"]} for one in sections]
    SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=torch.utils.data.DataLoader(given, batch_size=2),
        network=torch.nn.Identity(),
        key_val_metric={"v_rand": metrics["v_rand"]},
        additional_metrics={name: metrics[name] for name in ("dice", "seg")},
        val_handlers=[SaveReport(folder, metrics=metrics, **arguments)],
    ).run()
    return (folder / "report.html").read_text(encoding="utf-8")


def _labels(items):
    return [item["label"] for item in items]


def _numbered(maps):
    return [torch.from_numpy(label_instances(inside[0].numpy() > 0.5))[None] for inside in maps]


def test_the_scores_stand_beside_the_reference_with_a_dash_where_there_is_none(tmp_path):
    reference = {"u-net (paper)": {"warping_error": 0.000353, "v_rand": None}}
    page = evaluate(tmp_path, [section("a", cut=True), section("b")], reference=reference)
    head, own, thresholds, paper = rows(page, "scores")
    assert [name.split()[0] for name in head[1:]] == ["v_rand", "dice", "seg", "warping_error"]
    assert own[0] == "this evaluation"
    assert re.fullmatch(r"0\.\d{4}", own[1])
    assert own[4] == DASH
    assert thresholds[1:] == ["0.3", DASH, DASH, DASH]
    assert paper == ["u-net (paper)", DASH, DASH, DASH, "0.000353"]


def test_the_mean_of_the_sections_values_is_the_score_where_the_score_is_a_mean(tmp_path):
    page = evaluate(tmp_path, [section("a"), section("b", cut=True), section("c")])
    own = dict(zip(["v_rand", "dice", "seg"], rows(page, "scores")[1][1:], strict=True))
    head, *sections = rows(page, "per-section")
    for name, value in own.items():
        mean = np.mean([float(row[head.index(name)]) for row in sections])
        assert mean == pytest.approx(float(value), abs=1e-4), name
        assert mean < 0.9999


def test_the_scores_of_the_sections_are_a_table_too_in_the_order_of_the_data(tmp_path):
    page = evaluate(tmp_path, [section("good"), section("bad", cut=True), section("fine")])
    with (tmp_path / "sections.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["section"] for row in table] == ["good", "bad", "fine"]
    head, *shown = rows(page, "per-section")
    by_name = {row[0]: row for row in shown}
    for row in table:
        for name in ("v_rand", "dice", "seg"):
            assert float(by_name[row["section"]][head.index(name)]) == pytest.approx(float(row[name]), abs=1e-4)


def test_the_worst_section_comes_first_by_the_key_metric(tmp_path):
    page = evaluate(tmp_path, [section("good"), section("bad", cut=True), section("fine")])
    assert re.findall("<h3>(.*?)</h3>", page) == ["bad", "good", "fine"]
    assert [row[0] for row in rows(page, "per-section")[1:]] == ["bad", "good", "fine"]


def test_without_a_key_metric_the_section_with_most_errors_comes_first(tmp_path):
    page = run(tmp_path, [section("good"), section("bad", cut=True)])
    assert re.findall("<h3>(.*?)</h3>", page) == ["bad", "good"]


def test_split_merged_and_missed_cells_are_counted(tmp_path):
    split, merged, missed = (section(name) for name in ("a", "b", "c"))
    split["pred"][1, :, 5] = 0
    merged["pred"][1, 5, :] = 1
    missed["pred"][1, :, :10] = 0
    head, *found = rows(run(tmp_path, [split, merged, missed]), "per-section")
    assert head[1:] == ["cells", "hit", "split", "merged", "missed", "extra"]
    assert sorted(found) == [
        ["a", "2", "1", "1", "0", "0", "0"],
        ["b", "2", "0", "0", "2", "0", "0"],
        ["c", "2", "1", "0", "0", "1", "0"],
    ]


def test_a_split_cell_has_the_splits_colour_in_the_page_and_in_the_file(tmp_path):
    page = run(tmp_path, [section("a", cut=True)])
    errors = np.asarray(pictures(page)["errors of a"])
    assert errors.shape == (12, 20, 3)
    assert errors[4, 2].tolist() == list(report.SPLIT_COLOUR)
    assert errors[4, 12].tolist() == list(report.HIT_COLOUR)
    picture = np.asarray(Image.open(tmp_path / "pictures" / "section_000.png"))
    assert picture.shape == (12, 5 * 20 + 4 * 4, 3)
    assert np.array_equal(picture[:, -20:], errors)


def test_cells_given_count_and_not_the_parts_of_the_label(tmp_path):
    one = section("touching")
    one["label"][:, 2:10, 1:19] = 1
    one["cells"] = torch.zeros(1, 12, 20, dtype=torch.int32)
    one["cells"][:, 2:10, 1:10], one["cells"][:, 2:10, 10:19] = 4, 9
    assert rows(run(tmp_path, [one]), "per-section")[1] == ["touching", "2", "2", "0", "0", "0", "0"]


def test_instances_given_count_and_not_the_parts_of_the_prediction(tmp_path):
    one = section("a")
    one["instances"] = torch.ones(1, 12, 20, dtype=torch.int32)
    assert rows(run(tmp_path, [one]), "per-section")[1] == ["a", "2", "0", "0", "2", "0", "0"]


def test_what_is_unknown_is_no_error_and_hatched(tmp_path):
    one = section("a", cut=True)
    one["ignore"] = torch.zeros(1, 12, 20)
    one["ignore"][..., :10] = 1
    page = run(tmp_path, [one])
    assert rows(page, "per-section")[1] == ["a", "1", "1", "0", "0", "0", "0"]
    assert np.ptp(np.asarray(pictures(page)["errors of a"])[:, :10], axis=-1).max() == 0
    assert "no truth there" in page


def test_several_classes_show_wrong_pixels(tmp_path):
    label = torch.tensor([[[0.0, 1.0, 2.0, 2.0]]])
    pred = torch.nn.functional.one_hot(torch.tensor([[0, 1, 2, 1]]), 3).permute(2, 0, 1).float()
    page = run(tmp_path, [{"image": torch.rand(1, 1, 4), "label": label, "pred": pred, "name": "a"}])
    assert rows(page, "per-section") == [["section", "pixels", "wrong pixels"], ["a", "4", "1"]]
    shown = {alt: np.asarray(picture) for alt, picture in pictures(page).items()}
    assert shown["errors of a"][0, 3].tolist() == list(report.MISSED_COLOUR)
    assert np.array_equal(shown["truth of a"][0, :3], shown["prediction of a"][0, :3])
    assert not np.array_equal(shown["truth of a"][0, 3], shown["prediction of a"][0, 3])


def classes(name, truth, found):
    pred = torch.nn.functional.one_hot(torch.tensor([found]), 3).permute(2, 0, 1).float()
    label = torch.tensor([[truth]]).float()
    return {"image": torch.rand(label.shape), "label": label, "pred": pred, "name": name}


TISSUE = Decoding(("background", "body", "tumour"))


def test_classes_have_scores_a_confusion_matrix_and_sections_that_lack_one(tmp_path):
    sections = [classes("a", [0, 1, 2, 2], [0, 1, 2, 1]), classes("b", [0, 0, 1, 1], [0, 0, 1, 1])]
    page = run(tmp_path, sections, decoding=TISSUE)
    assert rows(page, "classes")[1:] == [
        ["background", "2", "1.000", "1.000", "1.000", "1.000"],
        ["body", "2", "0.8333", "0.7500", "0.8571", "0.7500"],
        ["tumour", "1", "0.6667", "0.5000", "0.6667", "0.5000"],
    ]
    assert [row[1:] for row in rows(page, "confusion")[1:]] == [["3", "0", "0"], ["0", "3", "0"], ["0", "1", "1"]]
    assert "tumour occurs in 1 of 2 sections. A section that lacks" in page
    assert (tmp_path / "confusion_matrix.csv").read_text().splitlines()[3] == "tumour,0,1,1"
    assert (tmp_path / "classes.csv").read_text().splitlines()[3].startswith("tumour,1,2,0.666667,0.5,")


def test_unknown_pixels_are_in_no_confusion_matrix(tmp_path):
    one = classes("a", [0, 1, 2, 2], [0, 1, 2, 1])
    one["ignore"] = torch.tensor([[[0, 0, 0, 1]]])
    assert rows(run(tmp_path, [one], decoding=TISSUE), "confusion")[3] == ["tumour", "0", "0", "1"]


def test_classes_have_the_colours_of_the_labels_in_pictures_and_legend(tmp_path):
    colours = "tumour=0,0,255 body=255,0,0 background=0,0,0"
    page = run(tmp_path, [classes("a", [0, 1, 2], [0, 1, 2])], decoding=TISSUE, colours=colours)
    assert np.asarray(pictures(page)["truth of a"])[0].tolist() == [[0, 0, 0], [255, 0, 0], [0, 0, 255]]
    assert 'background: #0000ff"></span><b>tumour</b>' in page


def test_the_page_needs_no_network_and_no_script(tmp_path):
    page = run(tmp_path, [section("a")], facts={"weights": "models/model.pt"})
    text = re.sub(r"data:image/png;base64,[^\"]*", "", page)  # in which two slashes mean nothing
    assert not re.search(r"https?://|//[a-z]|<script|@import|url\(", text.replace("</", ""))
    assert all(source.startswith("data:image/png;base64,") for source in re.findall(r'src="([^"]*)', page))
    links = [link for link in re.findall(r'href="([^"]*)', page) if not link.startswith(("#", "data:"))]
    assert links
    assert all((tmp_path / link).is_file() for link in links)


def test_every_picture_is_a_png_with_the_size_it_says_and_a_text_instead(tmp_path):
    page = run(tmp_path, [section("a")])
    sizes = re.findall(r'<img src="[^"]+" width="(\d+)" height="(\d+)" alt="[^"]+"', page)
    assert len(sizes) == page.count("<img") == 5
    assert {picture.size for picture in pictures(page).values()} == {(20, 12)}
    assert set(sizes) == {("20", "12")}


def test_a_large_section_is_shrunk_in_the_page_and_full_in_the_file(tmp_path):
    label = (torch.arange(2000).view(1, 1, -1) % 50 > 5).float() * (torch.arange(900).view(1, -1, 1) % 50 > 5).float()
    large = {"image": label + 0.3 * torch.rand(label.shape), "label": label, "pred": torch.cat([1 - label, label])}
    page = run(tmp_path, [large])
    assert {picture.size for picture in pictures(page).values()} == {(768, 346)}
    assert Image.open(tmp_path / "pictures" / "section_000.png").size == (5 * 2000 + 4 * 4, 900)
    assert len(page) < 1.5e6


def test_a_name_cannot_write_html(tmp_path):
    page = run(tmp_path, [section("<b>a&b</b>")], title="1 < 2", facts={"<i>": "<u>"})
    assert "<b>a" not in page
    assert "<h1>1 &lt; 2</h1>" in page
    assert "&lt;i&gt;" in page


def test_the_facts_stand_in_the_page(tmp_path):
    page = run(tmp_path, [section("a"), section("b")], facts={"weights": "models/model.pt"})
    assert "<dt>weights</dt><dd>models/model.pt</dd>" in page
    assert "<dt>number of sections</dt><dd>2</dd>" in page


def test_the_trainings_curves_are_in_the_page(tmp_path):
    with torch.utils.tensorboard.SummaryWriter(str(tmp_path / "training")) as writer:
        for step in range(1, 4):
            writer.add_scalar("train_loss", 1 / step, step)
            writer.add_scalar("v_rand", step / 4, step)
    page = run(tmp_path, [section("a")], training_dir=tmp_path / "training")
    assert "curve of v_rand, last value 0.7500" in pictures(page)
    assert re.findall("<figure><figcaption>(.*?)</", page) == ["train_loss", "v_rand"]
    assert Image.open(tmp_path / "curves" / "v_rand.png").size == (840, 560)


@pytest.mark.parametrize(
    ("folder", "message"), [(None, "No folder of a training"), ("none", "no TensorBoard events in")]
)
def test_the_page_says_that_there_are_no_curves(tmp_path, folder, message):
    page = run(tmp_path, [section("a")], training_dir=folder and tmp_path / folder)
    assert message in page


def test_on_a_full_disk_the_folder_is_named(tmp_path):
    with full_disk(100), pytest.raises(OSError, match=r"out cannot be written: File too large$"):
        run(tmp_path / "out", [section("a")])
    assert [path.name for path in (tmp_path / "out").rglob("*")] == ["pictures"]


def test_a_second_run_starts_at_section_zero_and_leaves_nothing_half_written(tmp_path):
    engine = Engine(lambda engine, batch: [section("a")])
    SaveReport(tmp_path).attach(engine)
    for _ in range(2):
        engine.run([0, 1])
    assert sorted(path.name for path in tmp_path.rglob("*")) == [
        "pictures",
        "report.html",
        "section_000.png",
        "section_001.png",
        "sections.csv",
    ]


def test_a_reference_value_in_words_is_refused(tmp_path):
    with pytest.raises(TypeError, match="reference 'paper' has rand_error = '3 %', expected a number"):
        SaveReport(tmp_path, reference={"paper": {"rand_error": "3 %"}})


BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ASK = """<script>addEventListener("load", () => {
  const root = document.documentElement, images = [...document.images];
  root.dataset.loaded = images.filter((image) => image.complete && image.naturalWidth > 0).length;
  root.dataset.tooWide = root.scrollWidth - root.clientWidth;
  root.dataset.fetched = performance.getEntriesByType("resource").filter((e) => !e.name.startsWith("data:")).length;
});</script>"""


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium or Chrome")
class TestInABrowser:
    def browse(self, folder, page, *arguments, size="500,900"):
        file = folder / "asked.html"
        file.write_text(page, encoding="utf-8")
        flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
        command = [BROWSER, *flags, f"--window-size={size}", *arguments, file.as_uri()]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, cwd=folder).stdout

    @pytest.fixture
    def page(self, tmp_path):
        reference = {"a row with a name that is rather long (paper)": {"warping_error": 0.000353}}
        return evaluate(tmp_path, [section("a" * 80, cut=True), section("b")], reference=reference)

    def test_every_picture_loads_and_nothing_else_is_fetched(self, tmp_path, page):
        found = self.browse(tmp_path, page.replace("</body>", ASK + "</body>"), "--dump-dom")
        assert f'data-loaded="{page.count("<img")}"' in found
        assert 'data-fetched="0"' in found

    def test_a_narrow_screen_scrolls_down_only(self, tmp_path, page):
        found = self.browse(tmp_path, page.replace("</body>", ASK + "</body>"), "--dump-dom")
        assert 'data-too-wide="0"' in found

    def test_there_is_something_to_see(self, tmp_path, page):
        self.browse(tmp_path, page, f"--screenshot={tmp_path / 'page.png'}", size="1200,1600")
        picture = np.asarray(Image.open(tmp_path / "page.png").convert("RGB")).reshape(-1, 3)
        assert (picture == 255).all(axis=1).mean() > 0.3  # dark on white
        for colour in (report.SPLIT_COLOUR, report.HIT_COLOUR):
            assert (picture == colour).all(axis=1).sum() > 100, colour


CELLS = Decoding(("background", "cell"), objects=True)


def with_cells(name, objects):
    """Two cells of 8 x 8 pixels, 1 and 2, and the objects that were predicted."""
    one = section(name)
    cells = torch.zeros(1, 12, 20, dtype=torch.int32)
    cells[:, 2:10, 1:9], cells[:, 2:10, 11:19] = 1, 2
    return {**one, "cells": cells, "instances": torch.as_tensor(objects)[None]}


def merged_and_extra():
    objects = np.zeros((12, 20), np.int32)
    objects[2:10, 1:19], objects[11, 3:7] = 1, 2
    return objects


def test_errors_are_counted_and_named_by_the_numbers_of_cells_and_objects(tmp_path):
    page = run(tmp_path, [with_cells("one", merged_and_extra())], decoding=CELLS)
    assert "2 cells, 0 hit, 0 split, 2 merged, 0 missed, 1 extra." in page
    assert "Merged: cells 1, 2. Extra: object 2." in page


def test_an_object_that_is_mostly_unknown_is_not_extra(tmp_path):
    one = with_cells("one", merged_and_extra())
    one["ignore"] = torch.zeros(1, 12, 20)
    one["ignore"][:, 11, 4:] = 1
    assert "0 extra." in run(tmp_path, [one], decoding=CELLS)


def test_seg_is_shown_by_the_size_of_cells_and_the_worst_cells_as_pictures(tmp_path):
    found = np.zeros((12, 20), np.int32)
    found[2:10, 1:9] = 1
    page = run(tmp_path, [with_cells("one", found), with_cells("two", merged_and_extra())], decoding=CELLS)
    assert [row[2:] for row in rows(page, "sizes")[1:]] == [
        ["2", "1", "0.5000"],
        ["1", "1", "0.4444"],
        ["1", "1", "0.4444"],
    ]
    worst = [alt for alt in pictures(page) if "Jaccard" in alt]
    assert worst[0] == "one, cell 2: missed, 64 pixels, Jaccard 0.00"
    assert len(worst) == 3


def test_a_report_of_masks_says_nothing_of_single_cells(tmp_path):
    assert 'id="objects"' not in run(tmp_path, [section("one")])


def test_what_was_tried_for_the_weights_is_shown_as_curves(tmp_path):
    weights = tmp_path / "model.pt"
    weights.write_bytes(b"weights")
    tried = {"threshold": {"0.3": 0.7, "0.5": 0.9}}
    write_found(weights, {"values": {"threshold": 0.5}, "score": "SEG", "sections": "a", "tried": tried})
    page = run(tmp_path, [section("one")], weights=weights)
    assert "curve of SEG by threshold, on validation sections" in pictures(page)
