import locale

import pytest
import torch


def pytest_collection_modifyitems(items):
    """Tests marked `gpu` run where there is one."""
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture(autouse=True)
def same_locale():
    """ITK leaves the locale at "C" when it writes DICOM, so that a later test could not decode what a command says."""
    before = locale.setlocale(locale.LC_ALL)
    yield
    locale.setlocale(locale.LC_ALL, before)
