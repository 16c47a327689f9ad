import pytest

from monai_unet.io import written_aside


def test_the_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "a.nii.gz"
    with written_aside(path) as temporary:
        temporary.write_text("x")
        assert not path.exists()
        assert temporary.name.endswith(".nii.gz")
    assert path.read_text() == "x"
    assert list(path.parent.iterdir()) == [path]


def test_what_was_there_stays_when_writing_fails(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail():
        with written_aside(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_result_is_an_ordinary_file_that_others_may_read(tmp_path):
    (tmp_path / "b").touch()
    with written_aside(tmp_path / "a") as temporary:
        temporary.touch()
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode
