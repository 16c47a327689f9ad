import jinja2
import pytest

from monai_unet.report.montage import montage_page
from monai_unet.report.template import fill


def test_a_name_that_is_missing_is_an_error_and_no_gap():
    with pytest.raises(jinja2.UndefinedError, match="hints"):
        fill("montage.html", {"title": "mine", "rows": [], "times": [], "facts": {}})


def test_a_page_has_one_title_and_begins_with_what_all_pages_share():
    page = montage_page("a & b", [], [])
    assert page.count("<title>a &amp; b</title>") == 1
    assert page.index('name="viewport"') < page.index("<style>") < page.index("</head>")
