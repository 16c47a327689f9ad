"""Downloads that would not end, or would fill the disk."""

import contextlib
import http.server
import shutil
import threading
import time
from collections import namedtuple

import pytest

from monai_unet.data import download, prepare_isbi2012
from monai_unet.data.cell_tracking import prepare_cell_tracking


@pytest.fixture
def serve(monkeypatch):
    """A server that answers every request with the function that it is given, which gets the handler."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    servers = []

    def start(answer):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                with contextlib.suppress(ConnectionError):  # the other side has heard enough
                    answer(self)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def send(handler, body, length=None, status=200, **headers):
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    if length is not None:
        handler.send_header("Content-Length", str(length))
    handler.end_headers()
    handler.wfile.write(body)


@pytest.mark.parametrize("target", ["ftp://127.0.0.1:1/x.zip", "file:///etc/hostname", "data:,x", "//[bad"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_what_is_not_http_is_refused(serve, tmp_path, target, status):
    url = serve(lambda handler: send(handler, b"", 0, status, Location=target))
    with pytest.raises(ValueError, match=r"redirected to .*: only http:// and https:// are followed|Invalid IPv6"):
        download(f"{url}/x.zip", tmp_path / "x.zip")
    assert list(tmp_path.iterdir()) == []


def test_a_redirect_to_http_is_followed(serve, tmp_path):
    def answer(handler):
        if handler.path == "/x":
            send(handler, b"", 0, 302, Location="/y")
        else:
            send(handler, b"right", 5)

    assert download(f"{serve(answer)}/x", tmp_path / "x").read_bytes() == b"right"


def test_a_file_that_is_announced_as_too_large_is_not_fetched(serve, tmp_path):
    url = serve(lambda handler: send(handler, b"", 5001))
    with pytest.raises(ValueError, match=r"has 5001 bytes or more, and no more than 5000 are taken \(max_bytes\)"):
        download(f"{url}/x", tmp_path / "x", max_bytes=5000)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_sends_without_an_end_is_stopped(serve, tmp_path):
    def answer(handler):
        send(handler, b"")
        while True:
            handler.wfile.write(bytes(10_000))

    with pytest.raises(ValueError, match=r"no more than 1000000 are taken \(max_bytes\); .*fetch it by other means"):
        download(f"{serve(answer)}/x", tmp_path / "x", max_bytes=1_000_000)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_trickles_is_given_up(serve, tmp_path):
    def answer(handler):
        send(handler, b"", 100_000)
        while True:
            handler.wfile.write(b"x")
            time.sleep(0.02)

    with pytest.raises(OSError, match=r"broke off after \d+ bytes \(only \d+ bytes came in 1 seconds\)"):
        download(f"{serve(answer)}/x", tmp_path / "x", timeout=0.1)


def test_a_server_that_is_silent_is_given_up(serve, tmp_path):
    with pytest.raises(OSError, match="nothing came"):
        download(f"{serve(lambda handler: time.sleep(2))}/x", tmp_path / "x", timeout=0.2)


def test_room_for_a_download_is_looked_for_first(serve, tmp_path, monkeypatch):
    url = serve(lambda handler: send(handler, bytes(5000), 5000))
    disk = namedtuple("disk", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: disk(10**9, 9 * 10**8, 10**8))
    with pytest.raises(OSError, match=r"5000 bytes are to come, and .* has 100000000 free; make room first"):
        download(f"{url}/x", tmp_path / "x")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: disk(10**9, 8 * 10**8, 2 * 10**8))
    assert download(f"{url}/x", tmp_path / "x").stat().st_size == 5000


# an archive that is no good


@pytest.mark.parametrize("prepare", [prepare_isbi2012, prepare_cell_tracking])
@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<!DOCTYPE html><html>log in</html>", r"/x.zip: .* is a web page, as servers send for an error or a login"),
        (b"PK\3\4 cut off", r"/x.zip: .* is damaged, or neither a zip nor a tar archive"),
    ],
)
def test_an_archive_that_arrived_broken_is_fetched_anew(serve, tmp_path, prepare, body, message):
    asked = []
    url = serve(lambda handler: asked.append(handler.path) or send(handler, body, len(body)))
    for _ in range(2):
        with pytest.raises(ValueError, match=message):
            prepare(f"{url}/x.zip", tmp_path / "out")
        assert not (tmp_path / "out").exists()
    assert asked == ["/x.zip"] * 2


@pytest.mark.parametrize("prepare", [prepare_isbi2012, prepare_cell_tracking])
def test_the_bound_can_be_named_where_a_set_is_put_in_place(serve, tmp_path, prepare):
    url = serve(lambda handler: send(handler, bytes(5000), 5000))
    with pytest.raises(ValueError, match="no more than 4000 are taken"):
        prepare(f"{url}/x.zip", tmp_path / "out", max_bytes=4000)
