import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tifffile

from monai_unet.data import check_isbi2012, default_dataset, prepare_isbi2012, write_synthetic

VOLUME, LABELS, TEST = "train-volume.tif", "train-labels.tif", "test-volume.tif"


@pytest.fixture
def labels():
    labels = np.full((3, 20, 24), 255, np.uint8)
    labels[:, 8:11] = 0
    labels[:, :, 5] = 0  # 89 of 480 pixels a section are membrane
    return labels


@pytest.fixture
def source(tmp_path, labels):
    folder = tmp_path / "source"
    folder.mkdir()
    volume = np.where(labels == 0, 60, 150).astype(np.uint8) + np.arange(3, dtype=np.uint8)[:, None, None]
    save(folder / VOLUME, volume)
    save(folder / LABELS, labels)
    save(folder / TEST, volume[:2])
    return folder


def save(path, stack, **options):
    tifffile.imwrite(path, stack, **{"photometric": "minisblack", **options})


def names(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def refused(source, out, message, error=ValueError):
    """The data is refused with this message, and nothing landed."""
    with pytest.raises(error, match=message):
        prepare_isbi2012(source, out)
    return names(out) == []


def test_the_summary_says_what_was_found(source):
    summary = check_isbi2012(source)
    assert str(summary) == "3 labelled sections of 20 x 24 px (19% membrane), 2 test sections"


def test_files_are_copied_byte_for_byte(source, tmp_path):
    prepare_isbi2012(source, tmp_path / "out")
    assert [(tmp_path / "out" / n).read_bytes() == (source / n).read_bytes() for n in (VOLUME, LABELS, TEST)] == [
        True
    ] * 3
    assert names(tmp_path / "out") == sorted([VOLUME, LABELS, TEST])


def test_the_test_volume_is_optional(source, tmp_path):
    (source / TEST).unlink()
    assert prepare_isbi2012(source, tmp_path / "out").num_test_sections == 0
    assert names(tmp_path / "out") == sorted([VOLUME, LABELS])


def test_a_zip_with_a_folder_inside_is_a_source(source, tmp_path):
    archive = tmp_path / "challenge.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for name in (VOLUME, LABELS):
            opened.write(source / name, f"ISBI/data/{name}")
    assert prepare_isbi2012(archive, tmp_path / "out").num_sections == 3


def test_a_zip_with_two_volumes_is_refused(source, tmp_path):
    archive = tmp_path / "twice.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for folder in ("a", "b"):
            opened.write(source / VOLUME, f"{folder}/{VOLUME}")
            opened.write(source / LABELS, f"{folder}/{LABELS}")
    assert refused(archive, tmp_path / "out", r"more than one train-volume\.tif")


def test_a_zip_that_leaves_its_folder_is_refused(source, tmp_path):
    archive = tmp_path / "bad.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.write(source / VOLUME, VOLUME)
        opened.write(source / LABELS, f"../{LABELS}")
    assert refused(archive, tmp_path / "out", "could land outside")


def test_a_file_url_is_a_source(source, tmp_path):
    assert prepare_isbi2012(source.as_uri(), tmp_path / "out").shape == (20, 24)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/isbi", "file://elsewhere/isbi"])
def test_other_urls_are_refused(url, tmp_path):
    assert refused(url, tmp_path / "out", "expected")


def test_a_missing_file_is_named_with_what_is_there(source, tmp_path):
    (source / LABELS).rename(source / "labels.tif")
    assert refused(source, tmp_path / "out", r"train-labels\.tif not found.*found labels\.tif", FileNotFoundError)


def test_a_source_that_does_not_exist_is_refused(tmp_path):
    assert refused(tmp_path / "nowhere", tmp_path / "out", "does not exist", FileNotFoundError)


def test_text_is_no_tiff(source, tmp_path):
    (source / VOLUME).write_text("<html>moved</html>")
    assert refused(source, tmp_path / "out", r"train-volume\.tif cannot be read")


@pytest.mark.parametrize("kept", [0.05, 0.5, 0.99])
def test_a_volume_that_was_cut_off_is_refused(source, tmp_path, kept):
    whole = (source / VOLUME).read_bytes()
    (source / VOLUME).write_bytes(whole[: int(kept * len(whole))])
    assert refused(source, tmp_path / "out", r"train-volume\.tif")


def test_16_bit_is_refused(source, tmp_path, labels):
    save(source / VOLUME, labels.astype(np.uint16))
    assert refused(source, tmp_path / "out", "uint16.*8-bit grey")


def test_colour_is_refused(source, tmp_path, labels):
    save(source / VOLUME, np.stack([labels] * 3, -1), photometric="rgb")
    assert refused(source, tmp_path / "out", "RGB.*8-bit grey")


def test_grey_that_counts_from_white_is_refused(source, tmp_path, labels):
    save(source / VOLUME, labels, photometric="miniswhite")
    assert refused(source, tmp_path / "out", "MINISWHITE")


def test_pages_of_different_sizes_are_refused(source, tmp_path):
    with tifffile.TiffWriter(source / VOLUME) as file:
        for size in (20, 20, 21):
            file.write(np.zeros((size, 24), np.uint8), photometric="minisblack")
    assert refused(source, tmp_path / "out", "pages of different kinds")


def test_labels_of_fewer_pages_are_refused(source, tmp_path, labels):
    save(source / LABELS, labels[:2])
    assert refused(source, tmp_path / "out", r"has 2 pages of 20 x 24 px, train-volume\.tif has 3 pages")


def test_labels_with_height_and_width_swapped_are_refused(source, tmp_path, labels):
    save(source / LABELS, labels.transpose(0, 2, 1).copy())
    assert refused(source, tmp_path / "out", "24 x 20 px")


def test_test_sections_of_another_size_are_refused(source, tmp_path):
    save(source / TEST, np.zeros((2, 20, 20), np.uint8))
    assert refused(source, tmp_path / "out", "expected the same size")


@pytest.mark.parametrize("value", [128, 254])
def test_a_third_label_value_is_refused(source, tmp_path, labels, value):
    labels[0, 0, 0] = value
    save(source / LABELS, labels)
    assert refused(source, tmp_path / "out", f"values 0, {value}, 255")


def test_labels_without_membranes_are_refused(source, tmp_path):
    save(source / LABELS, np.full((3, 20, 24), 255, np.uint8))
    assert refused(source, tmp_path / "out", "has the values 255: expected 0")


def test_inverted_labels_are_refused(source, tmp_path, labels):
    save(source / LABELS, 255 - labels)
    assert refused(source, tmp_path / "out", "inverted")


def test_labels_of_0_and_1_are_written_as_0_and_255(source, tmp_path, labels):
    save(source / LABELS, labels // 255)
    summary = prepare_isbi2012(source, tmp_path / "out")
    assert summary.notes == ("Labels have the values 0 and 1, taken as membrane and inside.",)
    assert np.array_equal(tifffile.imread(tmp_path / "out" / LABELS), labels)


def test_labels_of_0_and_1_in_place_are_refused_with_the_command_that_converts(source, labels):
    save(source / LABELS, labels // 255)
    with pytest.raises(ValueError, match="monai-unet data isbi2012 --source"):
        check_isbi2012(source)


def test_preparing_twice_is_fine(source, tmp_path):
    prepare_isbi2012(source, tmp_path / "out")
    assert prepare_isbi2012(source, tmp_path / "out") == check_isbi2012(source)


def test_a_test_volume_of_other_data_does_not_stay_beside_new_data(source, tmp_path):
    prepare_isbi2012(source, tmp_path / "out")
    (source / TEST).unlink()
    with pytest.raises(FileExistsError, match=r"test-volume\.tif would change"):
        prepare_isbi2012(source, tmp_path / "out")
    prepare_isbi2012(source, tmp_path / "out", force=True)
    assert names(tmp_path / "out") == sorted([VOLUME, LABELS])


def test_isbi_2012_is_the_default_where_it_is(source, tmp_path):
    prepare_isbi2012(source, tmp_path / "isbi2012" / "data")
    assert default_dataset(tmp_path) == tmp_path / "isbi2012" / "data"


def test_an_invalid_isbi_2012_is_not_used_and_the_reason_is_told(source, tmp_path, labels, caplog):
    write_synthetic(tmp_path / "synthetic" / "data", num_sections=1, size=64)
    (tmp_path / "isbi2012").mkdir()
    source.rename(tmp_path / "isbi2012" / "data")
    save(tmp_path / "isbi2012" / "data" / LABELS, labels[:1])
    with caplog.at_level("INFO"):
        assert default_dataset(tmp_path) == tmp_path / "synthetic" / "data"
    assert "as ISBI 2012 cannot be used" in caplog.text


def test_two_processes_that_make_the_default_data_at_once_end_with_one_valid_set(tmp_path):
    # smaller than the real default, or it would take long; the files are put in place in the same way
    code = (
        "import functools, sys; from monai_unet.data import isbi2012\n"
        "isbi2012.write_synthetic = functools.partial(isbi2012.write_synthetic, num_sections=2, size=128)\n"
        "print(isbi2012.default_dataset(sys.argv[1]))"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environment
        )
        for _ in range(2)
    ]
    answers = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert answers == [str(Path(tmp_path, "synthetic", "data"))] * 2
    assert names(tmp_path / "synthetic" / "data") == sorted([VOLUME, LABELS, TEST])
