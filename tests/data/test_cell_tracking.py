import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile

from monai_unet.cli import main
from monai_unet.data.cell_tracking import prepare_cell_tracking

SHARED = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture
def film(tmp_path):
    folder = tmp_path / "source" / "DIC-C2DH-HeLa"
    cells = np.zeros((8, 9), np.uint16)
    cells[1:3, 1:4], cells[5:, 5:] = 4, 9
    for path in ("01/t000.tif", "01/t001.tif", "01_GT/SEG/man_seg001.tif"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(folder / path, cells if "man_seg" in path else cells.astype(np.uint8), compression="lzw")
    return folder


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_frames_and_labels_are_copied_and_counted(film, tmp_path):
    found = prepare_cell_tracking(film, tmp_path / "out")
    assert found == "2 frames in 1 sequences (01), 1 of them labelled, 2 cells"
    assert files(tmp_path / "out") == ["01/t000.tif", "01/t001.tif", "01_GT/SEG/man_seg001.tif"]


def test_silver_truth_comes_along_where_the_source_has_it(film, tmp_path):
    shutil.copytree(film / "01_GT", film / "01_ST")
    shutil.move(film / "01_ST" / "SEG" / "man_seg001.tif", film / "01_ST" / "SEG" / "man_seg000.tif")
    found = prepare_cell_tracking(film, tmp_path / "out")
    assert found == "2 frames in 1 sequences (01), 1 of them labelled, 1 by silver truth, 2 cells"
    assert files(tmp_path / "out") == files(film)


def test_an_archive_is_unpacked_and_found_inside(film, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "set"), "zip", film.parent)
    prepare_cell_tracking(archive, tmp_path / "out")
    assert files(tmp_path / "out") == files(film)


def test_labels_of_another_size_are_refused_before_anything_is_written(film, tmp_path):
    tifffile.imwrite(film / "01_GT" / "SEG" / "man_seg001.tif", np.zeros((8, 8), np.uint16))
    with pytest.raises(ValueError, match=r"man_seg001.tif has the shape .*t001.tif, which"):
        prepare_cell_tracking(film, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_files_in_place_stay(film, tmp_path):
    prepare_cell_tracking(film, tmp_path / "out")
    tifffile.imwrite(film / "01" / "t000.tif", np.ones((8, 9), np.uint8))
    with pytest.raises(FileExistsError, match=r"01/t000.tif would change"):
        prepare_cell_tracking(film, tmp_path / "out")


def test_an_archive_without_the_layout_is_refused(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.txt").write_text("x")
    archive = shutil.make_archive(str(tmp_path / "set"), "zip", tmp_path / "a")
    with pytest.raises(FileNotFoundError, match="expected one folder in the Cell Tracking Challenge's layout"):
        prepare_cell_tracking(archive, tmp_path / "out")


def test_the_command_says_what_it_found_and_what_comes_next(film, tmp_path, capsys):
    assert main(["data", "dic_hela", "--source", str(film), "--out", str(tmp_path / "o")]) == 0
    said = capsys.readouterr().out
    assert "1 of them labelled, 2 cells" in said
    assert f"bundles/dic_hela --dataset_dir {tmp_path / 'o'}" in said


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real frames are not here")
@pytest.mark.parametrize(("name", "cells"), [("dic_hela", 98), ("phc_u373", 74)])
def test_the_real_frames_pass(name, cells, tmp_path):
    assert prepare_cell_tracking(SHARED / name, tmp_path).endswith(f"{cells} cells")
