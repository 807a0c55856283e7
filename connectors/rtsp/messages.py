"""RTSP messages and interleaved packets on one connection (RFC 2326). Pure: bytes in, messages out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from streamproc.core.errors import SourceError

MAX_HEAD = 32 * 1024
MAX_BODY = 256 * 1024
"""A description is some kilobytes."""
_DOLLAR = 0x24


@dataclass(frozen=True, slots=True)
class Response:
    """An answer of the camera."""

    status: int
    reason: str
    headers: Mapping[str, tuple[str, ...]]
    """By name in lower case; a header may come more than once."""
    body: bytes = b""

    def header(self, name: str) -> str:
        """The first of that name; empty where there is none."""
        found = self.headers.get(name)
        return found[0] if found else ""


@dataclass(frozen=True, slots=True)
class CameraRequest:
    """A request of the camera's own (RFC 2326 10: servers may send OPTIONS, ANNOUNCE, REDIRECT...)."""

    method: str
    sequence: str
    """CSeq, to be answered with."""


Interleaved = tuple[int, bytes]
"""Channel and RTP or RTCP packet (RFC 2326 10.12)."""


@dataclass
class MessageStream:
    """Splits what arrives. Input from the network: raises SourceError where it is no RTSP."""

    _buffer: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> list[Response | CameraRequest | Interleaved]:
        """Everything that is whole now."""
        buffer = self._buffer
        buffer += data
        found: list[Response | CameraRequest | Interleaved] = []
        at, end = 0, len(buffer)
        while at < end:
            if buffer[at] == _DOLLAR:
                if end - at < 4:
                    break
                length = buffer[at + 2] << 8 | buffer[at + 3]
                if end - at < 4 + length:
                    break
                found.append((buffer[at + 1], bytes(buffer[at + 4 : at + 4 + length])))
                at += 4 + length
            else:
                message, used = _message(buffer, at)
                if not used:
                    break
                at += used
                if message is not None:
                    found.append(message)
        del buffer[:at]
        return found


def request(method: str, url: str, sequence: int, headers: Mapping[str, str]) -> bytes:
    """A request without a body."""
    lines = [f"{method} {url} RTSP/1.0", f"CSeq: {sequence}", "User-Agent: streamproc"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def refusal(asked: CameraRequest) -> bytes:
    """The answer to a camera's own request: OPTIONS is a sign of life, nothing else is done here."""
    status = "200 OK" if asked.method in ("OPTIONS", "GET_PARAMETER", "SET_PARAMETER") else "501 Not Implemented"
    return f"RTSP/1.0 {status}\r\nCSeq: {asked.sequence}\r\n\r\n".encode()


def _message(buffer: bytearray, at: int) -> tuple[Response | CameraRequest | None, int]:
    """The message that begins at ``at`` and its length; length 0: more has to come."""
    if buffer[at] in b"\r\n":  # empty lines between messages
        return None, 1
    end = buffer.find(b"\r\n\r\n", at)
    if end < 0:
        if len(buffer) - at > MAX_HEAD:
            raise SourceError("the camera does not speak RTSP")
        return None, 0
    lines = bytes(buffer[at:end]).decode("utf-8", "replace").split("\r\n")
    headers: dict[str, tuple[str, ...]] = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        key = name.strip().lower()
        headers[key] = (*headers.get(key, ()), value.strip())
    length = headers.get("content-length", ("0",))[0]
    if not length.isascii() or not length.isdigit() or int(length) > MAX_BODY:
        raise SourceError("the camera's answer has a broken Content-Length")
    whole = end + 4 + int(length)
    if len(buffer) < whole:
        return None, 0
    return _parsed(lines[0], headers, bytes(buffer[end + 4 : whole])), whole - at


def _parsed(first: str, headers: dict[str, tuple[str, ...]], body: bytes) -> Response | CameraRequest:
    words = first.split(" ", 2)
    if words[0].startswith("RTSP/") and len(words) > 1 and words[1].isascii() and words[1].isdigit():
        return Response(int(words[1]), words[2] if len(words) > 2 else "", headers, body)
    if len(words) == 3 and words[2].startswith("RTSP/"):
        return CameraRequest(words[0], headers.get("cseq", ("0",))[0])
    raise SourceError("the camera does not speak RTSP")
