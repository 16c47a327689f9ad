import base64
import re

import numpy as np

from monai_unet.report.montage import MontageRow, Tile, montage, montage_page
from monai_unet.report.pictures import png

RED, BLUE = np.full((20, 30, 3), (255, 0, 0), np.uint8), np.full((10, 40, 3), (0, 0, 255), np.uint8)
ROWS = [MontageRow("image a.tif", [Tile("one", RED), Tile("two", BLUE)]), MontageRow("b <c>", [Tile("three", BLUE)])]


def test_every_pixel_of_every_picture_is_on_the_sheet():
    sheet = montage(ROWS)
    assert ((sheet == (255, 0, 0)).all(-1)).sum() == 20 * 30
    assert ((sheet == (0, 0, 255)).all(-1)).sum() == 2 * 10 * 40


def test_letters_that_a_font_lacks_are_no_error():
    assert montage([MontageRow("\u7d30\u80de \u00e9", [Tile("\N{MICRO SIGN}m \u7d30", RED)])]).ndim == 3


def test_the_page_needs_nothing_else_and_has_the_pictures():
    page = montage_page("mine", ["look"], ROWS)
    sources = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert all(source.startswith("data:") for source in sources)
    assert base64.b64encode(png(RED)).decode() in page


def test_names_of_files_are_text_and_no_html():
    page = montage_page("mine", [], ROWS)
    assert "b &lt;c&gt;" in page
    assert "b <c>" not in page


def test_the_table_of_times_is_there_when_there_is_one():
    assert "<table>" not in montage_page("mine", [], ROWS)
    assert "<td>2 h</td>" in montage_page("mine", [], ROWS, [["width", "time"], ["16", "2 h"]], "on this machine")


def test_every_picture_says_in_words_what_it_shows_and_how_large_it_is():
    images = re.findall(r"<img [^>]*>", montage_page("mine", [], ROWS))
    assert [re.search(r'alt="([^"]*)"', image)[1] for image in images] == [
        "image a.tif: one",
        "image a.tif: two",
        "b &lt;c&gt;: three",
    ]
    assert 'width="30" height="20"' in images[0]
