from pathlib import Path

import pytest

from monai_unet.data import write_synthetic

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def sections(tmp_path_factory):
    """Six synthetic sections of 96 pixels, two more without labels."""
    folder = tmp_path_factory.mktemp("sections")
    write_synthetic(folder, num_sections=6, size=96, seed=0, num_test_sections=2)
    return folder
