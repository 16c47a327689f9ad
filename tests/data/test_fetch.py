import hashlib
import http.server
import io
import json
import os
import tarfile
import threading
import zipfile
from contextlib import contextmanager

import pytest

from monai_unet.data import download, install_files, prepare_isbi2012, safe_extract, write_synthetic

CONTENT = bytes(range(251)) * 1200  # 301,200 bytes: several reads; 251 is prime, so that a shift shows


class Files:
    """What the test server serves, how it behaves, and what it was asked."""

    def __init__(self):
        self.content = {"/file.bin": CONTENT}
        self.etag = '"one"'
        self.last_modified = None
        self.ranges = True
        self.break_after = None  # bytes of an answer's body, then the connection is closed
        self.asked = []


@contextmanager
def serve(files):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked = self.headers.get("Range")
            files.asked.append(asked)
            path = self.path.partition("?")[0]
            if path not in files.content:
                self.send_error(404)
                return
            body, start = files.content[path], 0
            current = self.headers.get("If-Range") in (None, files.etag, files.last_modified)
            if asked and files.ranges and current:
                start = int(asked.removeprefix("bytes=").removesuffix("-"))
                if start >= len(body):
                    self.send_error(416)
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            else:
                self.send_response(200)
            if files.etag:
                self.send_header("ETag", files.etag)
            if files.last_modified:
                self.send_header("Last-Modified", files.last_modified)
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            self.wfile.write(body[start:][: files.break_after])

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


@pytest.fixture
def files():
    return Files()


@pytest.fixture
def url(files, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serve(files) as base:
        yield f"{base}/file.bin"


def break_off(files, url, path, after=100_000, **options):
    files.break_after = after
    with pytest.raises(OSError, match=f"broke off after {after} bytes"):
        download(url, path, timeout=5, **options)
    files.break_after = None


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_download_leaves_the_file_and_nothing_else(url, tmp_path):
    assert download(url, tmp_path / "new" / "file.bin").read_bytes() == CONTENT
    assert names(tmp_path / "new") == ["file.bin"]


def test_a_broken_transfer_goes_on_where_it_stopped(files, url, tmp_path):
    break_off(files, url, tmp_path / "file.bin")
    assert names(tmp_path) == ["file.bin.part", "file.bin.part.json"]
    assert download(url, tmp_path / "file.bin").read_bytes() == CONTENT
    assert files.asked == [None, "bytes=100000-"]
    assert names(tmp_path) == ["file.bin"]


def test_a_transfer_may_break_more_than_once(files, url, tmp_path):
    break_off(files, url, tmp_path / "file.bin")
    files.break_after = 50_000
    with pytest.raises(OSError, match="broke off after 150000 bytes"):
        download(url, tmp_path / "file.bin")
    files.break_after = None
    assert download(url, tmp_path / "file.bin").read_bytes() == CONTENT


def test_last_modified_serves_where_there_is_no_etag(files, url, tmp_path):
    files.etag, files.last_modified = None, "Mon, 01 Jan 2024 00:00:00 GMT"
    break_off(files, url, tmp_path / "file.bin")
    assert download(url, tmp_path / "file.bin").read_bytes() == CONTENT
    assert files.asked[-1] == "bytes=100000-"


@pytest.mark.parametrize("honest", [True, False], ids=["If-Range is kept", "If-Range is ignored"])
def test_parts_of_different_files_are_never_joined(files, url, tmp_path, honest):
    break_off(files, url, tmp_path / "file.bin")
    files.content["/file.bin"] = CONTENT[::-1]  # of the same length
    files.etag = '"two"'
    if not honest:
        files.last_modified = '"one"'  # the server then takes the old tag for current
    assert download(url, tmp_path / "file.bin").read_bytes() == CONTENT[::-1]


def test_a_part_without_any_validator_is_not_continued(files, url, tmp_path):
    files.etag = None
    break_off(files, url, tmp_path / "file.bin")
    files.content["/file.bin"] = CONTENT[::-1]
    assert download(url, tmp_path / "file.bin").read_bytes() == CONTENT[::-1]
    assert files.asked == [None, None]


def test_a_part_without_any_validator_is_continued_when_a_checksum_guards_it(files, url, tmp_path):
    files.etag = None
    checksum = hashlib.sha256(CONTENT).hexdigest()
    break_off(files, url, tmp_path / "file.bin", sha256=checksum)
    assert download(url, tmp_path / "file.bin", sha256=checksum).read_bytes() == CONTENT
    assert files.asked == [None, "bytes=100000-"]


def test_a_weak_etag_does_not_count(files, url, tmp_path):
    files.etag = 'W/"one"'
    break_off(files, url, tmp_path / "file.bin")
    assert download(url, tmp_path / "file.bin").read_bytes() == CONTENT
    assert files.asked == [None, None]


def test_a_server_that_ignores_range_is_read_from_the_start(files, url, tmp_path):
    files.ranges = False
    break_off(files, url, tmp_path / "file.bin")
    assert download(url, tmp_path / "file.bin").read_bytes() == CONTENT


def test_a_file_that_became_shorter_than_its_part_is_read_from_the_start(files, url, tmp_path):
    break_off(files, url, tmp_path / "file.bin")
    files.content["/file.bin"] = b"short"
    assert download(url, tmp_path / "file.bin").read_bytes() == b"short"


def test_a_part_of_another_url_is_not_continued(files, url, tmp_path):
    break_off(files, url, tmp_path / "file.bin")
    files.content["/other.bin"] = CONTENT[::-1]
    assert download(url.replace("file.bin", "other.bin"), tmp_path / "file.bin").read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("note", ["", "[]", json.dumps({"url": "else"})])
def test_a_part_without_a_good_note_is_not_continued(url, tmp_path, note):
    (tmp_path / "file.bin.part").write_bytes(b"something else")
    (tmp_path / "file.bin.part.json").write_text(note)
    assert download(url, tmp_path / "file.bin").read_bytes() == CONTENT


def test_a_wrong_checksum_is_told_and_leaves_nothing(url, tmp_path):
    with pytest.raises(ValueError, match=hashlib.sha256(CONTENT).hexdigest()):
        download(url, tmp_path / "file.bin", sha256="0" * 64)
    assert names(tmp_path) == []


def test_a_checksum_may_be_written_in_capitals(url, tmp_path):
    assert download(url, tmp_path / "file.bin", sha256=hashlib.sha256(CONTENT).hexdigest().upper()).exists()


def test_a_file_that_is_there_is_not_asked_for(files, url, tmp_path):
    (tmp_path / "file.bin").write_bytes(b"mine")
    assert download(url, tmp_path / "file.bin").read_bytes() == b"mine"
    assert files.asked == []


def test_a_file_that_is_there_has_to_have_the_checksum(url, tmp_path):
    (tmp_path / "file.bin").write_bytes(b"mine")
    with pytest.raises(ValueError, match="SHA-256"):
        download(url, tmp_path / "file.bin", sha256="0" * 64)
    assert (tmp_path / "file.bin").read_bytes() == b"mine"


def test_a_file_that_the_server_does_not_have_is_not_found(url, tmp_path):
    with pytest.raises(FileNotFoundError, match="404"):
        download(f"{url}.gone", tmp_path / "file.bin")
    assert names(tmp_path) == []


def test_a_server_that_cannot_be_reached_leaves_nothing(url, tmp_path):
    with serve(Files()) as gone:
        pass
    with pytest.raises(OSError, match="nothing came"):
        prepare_isbi2012(f"{gone}/isbi", tmp_path / "out")
    assert names(tmp_path) == []


def test_only_http_is_downloaded(tmp_path):
    with pytest.raises(ValueError, match="http://"):
        download((tmp_path / "x").as_uri(), tmp_path / "y")


def test_a_second_process_does_not_write_into_the_same_part(url, tmp_path):
    fcntl = pytest.importorskip("fcntl")
    with (tmp_path / "file.bin.part").open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(OSError, match="another process"):
            download(url, tmp_path / "file.bin")


def test_a_set_is_downloaded_from_the_url_of_its_folder_after_a_break(files, url, tmp_path):
    for path in write_synthetic(tmp_path / "made", num_sections=2, size=64, num_test_sections=0):
        files.content[f"/isbi/{path.name}"] = path.read_bytes()
    base, out = url.replace("file.bin", "isbi/?token=1"), tmp_path / "out"
    files.break_after = 5000
    with pytest.raises(OSError, match="broke off"):
        prepare_isbi2012(base, out)
    assert names(out) == [".download"]
    files.break_after = None
    summary = prepare_isbi2012(base, out)
    assert (summary.num_sections, summary.num_test_sections) == (2, 0)
    assert names(out) == ["train-labels.tif", "train-volume.tif"]
    assert "bytes=5000-" in files.asked


def test_a_set_is_downloaded_from_the_url_of_a_zip(files, url, tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in write_synthetic(tmp_path / "made", num_sections=1, size=64):
            archive.write(path, path.name)
    files.content["/isbi.zip"] = buffer.getvalue()
    assert prepare_isbi2012(url.replace("file.bin", "isbi.zip"), tmp_path / "out").num_test_sections == 6


def test_downloaded_files_that_are_no_good_do_not_stay(files, url, tmp_path):
    for name in ("train-volume.tif", "train-labels.tif"):
        files.content[f"/isbi/{name}"] = b"<html>log in</html>"
    with pytest.raises(ValueError, match="cannot be read"):
        prepare_isbi2012(url.replace("file.bin", "isbi"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def make_zip(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name in members:
            archive.writestr(name, f"content of {name}")


def make_tar(path, members):
    with tarfile.open(path, "w:gz") as archive:
        for member in members:
            info = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(member)
            content = f"content of {info.name}".encode()
            info.size = len(content) if info.isreg() else 0
            archive.addfile(info, io.BytesIO(content))


def tar_link(kind, target):
    link = tarfile.TarInfo("link")
    link.type, link.linkname = kind, target
    return link


@pytest.mark.parametrize(("name", "make"), [("a.zip", make_zip), ("a.tar.gz", make_tar), ("a.tgz", make_tar)])
def test_an_archive_is_unpacked(tmp_path, name, make):
    make(tmp_path / name, ["top.txt", "in/side.txt"])
    found = safe_extract(tmp_path / name, tmp_path / "out")
    assert [path.relative_to(tmp_path / "out").as_posix() for path in found] == ["in/side.txt", "top.txt"]
    assert found[0].read_text() == "content of in/side.txt"


@pytest.mark.parametrize("make", [make_zip, make_tar])
@pytest.mark.parametrize("evil", ["../evil.txt", "/evil.txt", "in/../../evil.txt"])
def test_a_member_that_leaves_the_folder_stops_all(tmp_path, make, evil):
    archive = tmp_path / ("a.zip" if make is make_zip else "a.tar.gz")
    make(archive, ["good.txt", evil])
    with pytest.raises(ValueError, match="could land outside"):
        safe_extract(archive, tmp_path / "deep" / "out")
    assert names(tmp_path) == [archive.name]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_links_in_a_tar_are_refused(tmp_path, kind):
    make_tar(tmp_path / "a.tar.gz", [tar_link(kind, "../outside"), "link/evil.txt"])
    with pytest.raises(ValueError, match="link"):
        safe_extract(tmp_path / "a.tar.gz", tmp_path / "out")
    assert names(tmp_path) == ["a.tar.gz"]


def test_links_in_a_zip_are_refused(tmp_path):
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/somewhere/else")
    with pytest.raises(ValueError, match="link"):
        safe_extract(tmp_path / "a.zip", tmp_path / "out")


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_a_damaged_archive_is_a_value_error(tmp_path, name):
    (make_zip if name == "a.zip" else make_tar)(tmp_path / name, ["x.txt"])
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="damaged"):
        safe_extract(tmp_path / name, tmp_path / "out")


def test_a_tar_that_is_called_zip_is_a_value_error(tmp_path):
    make_tar(tmp_path / "a.zip", ["x.txt"])
    with pytest.raises(ValueError, match="not of the type"):
        safe_extract(tmp_path / "a.zip", tmp_path / "out")


def test_a_folder_that_is_not_empty_is_not_unpacked_into(tmp_path):
    make_zip(tmp_path / "a.zip", ["x.txt"])
    with pytest.raises(FileExistsError, match="not empty"):
        safe_extract(tmp_path / "a.zip", tmp_path)


def test_install_keeps_the_files_that_are_there(tmp_path):
    for name, content in (("old", "1"), ("new", "2")):
        (tmp_path / name).write_text(content)
    install_files({"x": tmp_path / "old"}, tmp_path / "out")
    with pytest.raises(FileExistsError, match="x would change"):
        install_files({"x": tmp_path / "new", "y": tmp_path / "new"}, tmp_path / "out")
    assert (names(tmp_path / "out"), (tmp_path / "out" / "x").read_text()) == (["x"], "1")


def test_install_leaves_equal_files_untouched(tmp_path):
    (tmp_path / "file").write_text("1")
    (path,) = install_files({"x": tmp_path / "file"}, tmp_path / "out")
    os.utime(path, (1, 1))
    install_files({"x": tmp_path / "file"}, tmp_path / "out")
    assert path.stat().st_mtime == 1
