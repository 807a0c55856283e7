"""Keys of S3 as they are, seen by a server that keeps what it was asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from connectors.s3.objects import S3Object

DATA = bytes(range(256)) * 20


@pytest.fixture
def asked() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """The server's address and the (method, path) of every request. Not an S3: it answers any key with the same bytes."""
    seen: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            seen.append(("HEAD", self.path))
            self.send_response(200)
            self.send_header("Content-Length", str(len(DATA)))
            self.send_header("ETag", '"one"')
            self.end_headers()

        def do_GET(self) -> None:
            seen.append(("GET", self.path))
            first, last = (int(part) for part in self.headers["Range"].removeprefix("bytes=").split("-"))
            self.send_response(206 if self.headers.get("If-Match") == '"one"' else 412)
            self.send_header("Content-Length", str(last + 1 - first))
            self.end_headers()
            self.wfile.write(DATA[first : last + 1])

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", seen
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("key", ["lead.mp4", "/lead.mp4", "a//b.mp4", "./x", "a/../b", "..", "with space?#.mp4"])
def test_a_key_is_asked_for_as_it_is(
    asked: tuple[str, list[tuple[str, str]]], key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    url, seen = asked
    found = S3Object("videos", key, {"endpoint_url": url, "region": "us-east-1"})
    assert found.size == len(DATA) and found.read(100, 300) == DATA[100:300]
    found.close()
    path = "/videos/" + key.replace(" ", "%20").replace("?", "%3F").replace("#", "%23")
    assert seen == [("HEAD", path), ("GET", path)]
