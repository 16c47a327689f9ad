import pytest
import torch
from full_disk import full_disk

from monai_unet.networks import naming, save_whole


def test_what_is_saved_can_be_loaded(tmp_path):
    save_whole({"a": torch.arange(3)}, tmp_path / "deep" / "a.pt")
    assert torch.load(tmp_path / "deep" / "a.pt")["a"].tolist() == [0, 1, 2]


def test_on_a_full_disk_file_and_reason_are_named_and_what_stood_there_stays(tmp_path):
    save_whole({"a": torch.zeros(3)}, tmp_path / "a.pt")
    before = (tmp_path / "a.pt").read_bytes()
    with full_disk(), pytest.raises(OSError, match=r"a\.pt cannot be written: File too large$"):
        save_whole({"a": torch.zeros(10_000)}, tmp_path / "a.pt")
    assert [file.name for file in tmp_path.iterdir()] == ["a.pt"]
    assert (tmp_path / "a.pt").read_bytes() == before


def test_another_error_keeps_its_words():
    with pytest.raises(FileNotFoundError, match="No such file"), naming("a.pt"):
        open("/not/there")  # noqa: PTH123, SIM115
