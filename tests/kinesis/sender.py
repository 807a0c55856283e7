"""PutMedia with botocore's signer and a plain socket: Python's SDK has none. Acknowledgements are read beside."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

ACCESS_KEY, SECRET, REGION = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "us-west-2"


class Sender:
    """One session. ``acks`` are the documents that came, ``segments`` the HTTP chunks that they came in."""

    def __init__(
        self,
        url: str,
        stream: str,
        *,
        absolute: bool = False,
        start: float | None = None,
        payload: str | None = "UNSIGNED-PAYLOAD",
        tls: ssl.SSLContext | None = None,
        secret: str = SECRET,
        headers: dict[str, str] | None = None,
    ) -> None:
        parts = urlsplit(url)
        asked = {
            "host": parts.netloc,
            "x-amzn-stream-name": stream,
            "x-amzn-fragment-timecode-type": "ABSOLUTE" if absolute else "RELATIVE",
            "x-amzn-producer-start-timestamp": f"{time.time() if start is None else start:.3f}",
            "transfer-encoding": "chunked",
            **(headers or {}),
        }
        if payload is not None:
            asked["x-amz-content-sha256"] = payload
        request = AWSRequest("POST", f"{url}/putMedia", headers=asked)
        SigV4Auth(Credentials(ACCESS_KEY, secret), "kinesisvideo", REGION).add_auth(request)
        self.socket = socket.create_connection((parts.hostname or "", parts.port or 80))
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname=parts.hostname)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = "POST /putMedia HTTP/1.1\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in request.headers.items()
        )
        self.socket.sendall(head.encode() + b"\r\n")
        self._file = self.socket.makefile("rb")
        self.status = int(self._file.readline().split()[1])
        self.headers: dict[str, str] = {}
        while line := self._file.readline().strip().decode():
            name, _, value = line.partition(":")
            self.headers[name.lower()] = value.strip()
        self.acks: list[dict[str, Any]] = []
        self.segments: list[bytes] = []
        self.body = b""
        self.closed = threading.Event()
        if self.status == 200:
            threading.Thread(target=self._read, daemon=True).start()
        else:
            self.body = self._file.read(int(self.headers.get("content-length", "0")))

    def send(self, data: bytes, piece: int = 65_536) -> None:
        for at in range(0, len(data), piece):
            part = data[at : at + piece]
            self.socket.sendall(b"%x\r\n%s\r\n" % (len(part), part))

    def finish(self, timeout: float = 30) -> Sender:
        """End the body and wait for the answer's end."""
        self.socket.sendall(b"0\r\n\r\n")
        assert self.closed.wait(timeout), f"the answer did not end: {self.acks}"
        self.close()
        return self

    def until(self, kind: str, count: int = 1, timeout: float = 30) -> list[dict[str, Any]]:
        """Wait for that many acknowledgements of a kind."""
        return self.wait(lambda: len(self.of(kind)) >= count, lambda: self.of(kind), timeout)

    def wait(self, done: Callable[[], bool], result: Callable[[], Any] = lambda: None, timeout: float = 30) -> Any:
        end = time.monotonic() + timeout
        while not done():
            assert time.monotonic() < end, f"not in time: {self.acks}"
            time.sleep(0.005)
        return result()

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [ack for ack in self.acks if ack["EventType"] == kind]

    def cut(self) -> None:
        """As a lost link: no end of the body, a reset where the system can."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def _read(self) -> None:
        try:
            while size := int(self._file.readline().strip() or b"0", 16):
                data = self._file.read(size)
                self._file.readline()
                self.segments.append(data)
                self.acks += [json.loads(line) for line in data.splitlines()]
        except (OSError, ValueError):
            pass
        finally:
            self.closed.set()


def put(url: str, stream: str, data: bytes, **options: Any) -> Sender:
    """A whole body, to its end."""
    sender = Sender(url, stream, **options)
    assert sender.status == 200, (sender.status, sender.body)
    sender.send(data)
    return sender.finish()
