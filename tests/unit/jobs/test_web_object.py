"""URLs as they are, seen by a web server that keeps what it was asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from streamproc.jobs import web_object
from streamproc.jobs.model import VideoRef
from streamproc.jobs.sources import Videos
from streamproc.jobs.web_object import HttpObject

DATA = bytes(range(256)) * 20


class Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.signed_in: list[str | None] = []
        self.faults: list[int] = []
        """Statuses of the next answers."""
        self.redirect: str | None = None
        self.etag = '"one"'
        self.ranges = True
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """Answers GET of any path with the same bytes, and nothing else: as of a URL that was signed for GET."""

    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.requestline.split()[1])  # ``path`` has one slash at its beginning for several
        self.server.signed_in.append(self.headers.get("Authorization"))
        if self.server.faults:
            self.send_error(self.server.faults.pop(0))
        elif self.server.redirect is not None:
            self.send_response(302)
            self.send_header("Location", self.server.redirect)
            self.end_headers()
        elif self.headers.get("If-Match") not in (None, self.server.etag):
            self.send_error(412)
        else:
            self._answer()

    def _answer(self) -> None:
        first, last = (int(part) for part in self.headers["Range"].removeprefix("bytes=").split("-"))
        part = DATA[first : last + 1] if self.server.ranges else DATA
        self.send_response(206 if self.server.ranges else 200)
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(DATA)}")
        self.send_header("Content-Length", str(len(part)))
        self.send_header("ETag", self.server.etag)
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(web_object, "PAUSE_S", 0.001)
    monkeypatch.setenv("no_proxy", "*")
    server = Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("/a.mp4", "/a.mp4"),
        ("//a.mp4", "//a.mp4"),
        ("/a//b.mp4", "/a//b.mp4"),
        ("/a/../b.mp4", "/a/../b.mp4"),
        ("/dir/", "/dir/"),
        ("", "/"),
        ("/with space.mp4", "/with%20space.mp4"),
        ("/with%20space.mp4", "/with%20space.mp4"),
        ("/a%2Fb.mp4", "/a%2Fb.mp4"),
        ("/50%.mp4", "/50%25.mp4"),
        ("/ü.mp4", "/%C3%BC.mp4"),
        ("/u\u0308.mp4", "/u%CC%88.mp4"),
        ("/a.mp4?X-Amz-Signature=a%2Fb%3D&x=1/../2?", "/a.mp4?X-Amz-Signature=a%2Fb%3D&x=1/../2?"),
        ("/a.mp4#t=10", "/a.mp4"),
    ],
)
def test_a_url_is_asked_for_as_it_is(server: Server, url: str, asked: str) -> None:
    found = HttpObject(server.url + url)
    assert found.size == len(DATA) and found.read(100, 300) == DATA[100:300]
    assert server.asked == [asked, asked]


def test_credentials_do_not_follow_a_redirect(server: Server) -> None:
    server.redirect = server.url.replace("127.0.0.1", "localhost") + "/elsewhere"
    with pytest.raises(OSError, match="302"):  # for ever in a circle
        HttpObject(server.url.replace("//", "//user:p%40ss@") + "/a.mp4")
    assert server.signed_in[0] == "Basic dXNlcjpwQHNz"
    elsewhere = [secret for path, secret in zip(server.asked, server.signed_in, strict=True) if path == "/elsewhere"]
    assert elsewhere and set(elsewhere) == {None}


def test_a_fault_that_passes_is_waited_for_and_another_is_said(server: Server) -> None:
    server.faults = [503, 500]
    found = HttpObject(server.url + "/a.mp4")
    server.faults = [502]
    assert found.read(0, 10) == DATA[:10]
    server.faults = [503, 503, 503]
    with pytest.raises(OSError, match="503"):
        found.read(0, 10)
    server.faults = [403]
    with pytest.raises(OSError, match="answers 403"):
        found.read(0, 10)


def test_a_file_that_was_changed_meanwhile_is_not_read_on(server: Server) -> None:
    found = HttpObject(server.url + "/a.mp4")
    server.etag = '"two"'
    with pytest.raises(OSError, match="412"):
        found.read(0, 10)


def test_a_server_without_ranges_is_told_of(server: Server) -> None:
    server.ranges = False
    with pytest.raises(OSError, match="no byte ranges"):
        HttpObject(server.url + "/a.mp4")


def test_nobody_there(server: Server) -> None:
    server.shutdown()
    server.server_close()
    with pytest.raises(OSError, match="refused"):
        HttpObject(server.url + "/a.mp4")


def test_a_file_whose_name_begins_like_a_store_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("s3:23.mp4", "http:a.mp4", "[1.mp4"):
        Path(name).write_bytes(b"12345")
        assert Videos().facts(VideoRef(name)).size == 5
