"""Archives that are larger than they look, or damaged; where their files may land is in test_fetch.py."""

import bz2
import gzip
import io
import lzma
import shutil
import stat
import tarfile
import zipfile
from collections import namedtuple

import pytest

from monai_unet.data import safe_extract


def make_zip(path, sizes):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for index, size in enumerate(sizes):
            archive.writestr(f"{index}.bin", bytes(size))
    return path


def make_tar(path, sizes, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for index, size in enumerate(sizes):
            info = tarfile.TarInfo(f"{index}.bin")
            info.size = size
            archive.addfile(info, io.BytesIO(bytes(size)))
    return path


@pytest.mark.parametrize(("name", "make"), [("a.zip", make_zip), ("a.tar.gz", make_tar)])
def test_files_above_the_bound_are_not_unpacked(tmp_path, name, make):
    archive = make(tmp_path / name, [3000, 3000, 3000])
    with pytest.raises(ValueError, match=r"its first 2 files have 6000 bytes, and no more than .* 5000 bytes \(max_by"):
        safe_extract(archive, tmp_path / "out", max_bytes=5000)
    assert not (tmp_path / "out").exists()
    assert len(safe_extract(archive, tmp_path / "out", max_bytes=9000)) == 3


@pytest.mark.parametrize(("name", "make"), [("a.zip", make_zip), ("a.tar.gz", make_tar)])
def test_more_files_than_the_bound_are_not_unpacked(tmp_path, monkeypatch, name, make):
    monkeypatch.setattr("monai_unet.data.unpack._MOST_MEMBERS", 2)
    with pytest.raises(ValueError, match=r"its first 3 files .*no more than 2 files"):
        safe_extract(make(tmp_path / name, [1, 1, 1]), tmp_path / "out")


@pytest.mark.parametrize(("name", "make"), [("a.zip", make_zip), ("a.tar.gz", make_tar)])
def test_room_for_the_files_is_looked_for_first(tmp_path, monkeypatch, name, make):
    disk = namedtuple("disk", "total used free")(10**9, 9 * 10**8, 10**8 + 5000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: disk)
    with pytest.raises(OSError, match=r"first 2 files have 6000 bytes, and .* has 100005000 free; make room"):
        safe_extract(make(tmp_path / name, [3000, 3000]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_zip_that_names_too_small_a_size_writes_no_more_than_that(tmp_path):
    archive = make_zip(tmp_path / "a.zip", [5_000_000])
    content = archive.read_bytes()
    assert content.count((5_000_000).to_bytes(4, "little")) == 2
    archive.write_bytes(content.replace((5_000_000).to_bytes(4, "little"), (5000).to_bytes(4, "little")))
    with pytest.raises(ValueError, match="is damaged"):
        safe_extract(archive, tmp_path / "out", max_bytes=6000)
    assert sum(path.stat().st_size for path in (tmp_path / "out").rglob("*")) <= 5000


def test_a_tar_that_names_too_large_a_size_is_refused_by_it(tmp_path):
    info = tarfile.TarInfo("a.bin")
    info.size = 8 * 10**15
    (tmp_path / "a.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    with pytest.raises(ValueError, match="its first 1 files have 8000000000000000 bytes"):
        safe_extract(tmp_path / "a.tar", tmp_path / "out")


@pytest.mark.parametrize("kind", [tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_pipes_and_devices_in_a_tar_are_refused(tmp_path, kind):
    info = tarfile.TarInfo("pipe")
    info.type = kind
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(info)
    with pytest.raises(ValueError, match="its member pipe is a link, a device or a pipe"):
        safe_extract(tmp_path / "a.tar", tmp_path / "out")


def test_pipes_in_a_zip_are_refused(tmp_path):
    info = zipfile.ZipInfo("pipe")
    info.external_attr = (stat.S_IFIFO | 0o600) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "")
    with pytest.raises(ValueError, match="its member pipe is a link, a device or a pipe"):
        safe_extract(tmp_path / "a.zip", tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "pack"), [("a.tar.gz", gzip.compress), ("a.tar.bz2", bz2.compress), ("a.tar.xz", lzma.compress)]
)
@pytest.mark.parametrize("part", [0.5, 0.9])
def test_damage_in_any_compression_is_a_value_error(tmp_path, name, pack, part):
    make_tar(tmp_path / "b.tar", [40_000], "w")
    content = bytearray(pack((tmp_path / "b.tar").read_bytes().replace(bytes(40_000), bytes(range(250)) * 160)))
    content[int(len(content) * part)] ^= 0xFF
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match="is damaged"):
        safe_extract(tmp_path / name, tmp_path / "out")
