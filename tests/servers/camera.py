"""A camera that speaks RTSP over TCP from memory, and whose odd ways can be chosen: what real servers do not do on request.

It plays real H.264 and H.265 clips; what it answers follows RFC 2326, RFC 6184 and RFC 7798.
"""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import av
from av.bitstream import BitStreamFilterContext

from streamproc.media.nal import units

MTU = 1300


@dataclass(frozen=True)
class Ways:
    """How the camera behaves."""

    user: str = ""
    password: str = ""
    algorithms: tuple[str, ...] = ("MD5",)
    """Of its challenges, in order; ``basic`` is one."""
    describe_s: float = 0.0
    """It answers DESCRIBE after so long."""
    redirect: str = ""
    clock_rate: float = 1.0
    """How fast the RTP clock runs; 0: it stands."""
    join_at: int = 0
    """The first picture that is sent."""
    drop: tuple[int, ...] = ()
    """RTP packets, by number, that are never sent."""
    first_sequence: int = 65_500
    first_stamp: int = 2**32 - 90_000
    aggregate: bool = False
    """Small units together in one packet."""
    described_codec: str = ""
    only_udp: bool = False
    goodbye_after: int = 0
    session: str = "12ab;timeout=60"


@dataclass
class Camera:
    """Serves one clip, over and over, at its own pace or ``speed`` times as fast."""

    clip: Path
    ways: Ways = field(default_factory=Ways)
    speed: float = 1.0

    def __post_init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.codec, self.pictures = _pictures(self.clip)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._over = threading.Event()
        self._connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def url(self, userinfo: str = "", host: str = "127.0.0.1") -> str:
        return f"rtsp://{userinfo + '@' if userinfo else ''}{host}:{self.port}/live"

    def close(self) -> None:
        if self._over.is_set():
            return
        self._over.set()
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for connection in self._connections:
            connection.close()
        for thread in self._threads:
            thread.join(5)

    # -- inside

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self._connections.append(connection)
            self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        lock, player = threading.Lock(), None
        buffer = b""
        try:
            while not self._over.is_set():
                data = connection.recv(65_536)
                if not data:
                    return
                buffer += data
                while buffer:
                    if buffer[:1] == b"$":
                        length = int.from_bytes(buffer[2:4], "big")
                        if len(buffer) < 4 + length:
                            break
                        buffer = buffer[4 + length :]
                        continue
                    head, end, rest = buffer.partition(b"\r\n\r\n")
                    if not end:
                        break
                    buffer = rest
                    lines = head.decode().split("\r\n")
                    method, url, _ = lines[0].split(" ", 2)
                    headers = {
                        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
                    }
                    self.requests.append((method, url, headers))
                    with lock:
                        connection.sendall(self._answer(method, url, headers))
                    if method == "PLAY" and player is None:
                        player = threading.Thread(target=self._play, args=(connection, lock))
                        self._threads.append(player)
                        player.start()
        except OSError:
            return

    def _answer(self, method: str, url: str, headers: dict[str, str]) -> bytes:
        ways = self.ways

        def say(status: str, *lines: str, body: str = "") -> bytes:
            extra = [f"Content-Length: {len(body)}"] if body else []
            return "\r\n".join([f"RTSP/1.0 {status}", f"CSeq: {headers['cseq']}", *lines, *extra, "", body]).encode()

        if method == "OPTIONS":
            return say("200 OK", "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER")
        if ways.redirect:
            return say("302 Moved Temporarily", f"Location: {ways.redirect}")
        if ways.user and not self._authorised(method, headers.get("authorization", "")):
            challenges = [
                'WWW-Authenticate: Basic realm="cam"'
                if each == "basic"
                else f'WWW-Authenticate: Digest realm="cam", nonce="n0", algorithm={each}, qop="auth"'
                for each in ways.algorithms
            ]
            return say("401 Unauthorized", *challenges)
        if method == "DESCRIBE":
            self._over.wait(ways.describe_s)
            return say("200 OK", f"Content-Base: {url}/", "Content-Type: application/sdp", body=self._description())
        if method == "SETUP":
            if ways.only_udp:
                return say("461 Unsupported Transport")
            return say("200 OK", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1", f"Session: {ways.session}")
        return say("200 OK", f"Session: {ways.session.partition(';')[0]}")

    def _authorised(self, method: str, given: str) -> bool:
        ways = self.ways
        if given.startswith("Basic ") and "basic" in ways.algorithms:
            return base64.b64decode(given[6:]).decode() == f"{ways.user}:{ways.password}"
        found = dict(re.findall(r'(\w+)="?([^",]*)"?', given.partition(" ")[2]))
        if found.get("algorithm") not in ways.algorithms or found.get("username") != ways.user:
            return False
        name = "sha256" if found["algorithm"] == "SHA-256" else "md5"

        def digest(text: str) -> str:
            return hashlib.new(name, text.encode()).hexdigest()

        secret = digest(f"{ways.user}:cam:{ways.password}")
        middle = f"n0:{found['nc']}:{found['cnonce']}:auth"
        return found["response"] == digest(f"{secret}:{middle}:{digest(method + ':' + found['uri'])}")

    def _description(self) -> str:
        name = self.ways.described_codec or ("H264" if self.codec == "h264" else "H265")
        lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=camera", "t=0 0", "m=audio 0 RTP/AVP 8", "a=control:audio"]
        lines += ["m=video 0 RTP/AVP 96", f"a=rtpmap:96 {name}/90000", "a=control:video"]
        return "\r\n".join(lines) + "\r\n"

    def _play(self, connection: socket.socket, lock: threading.Lock) -> None:
        began, number, sequence = time.monotonic(), 0, self.ways.first_sequence
        try:
            while not self._over.is_set():
                index = self.ways.join_at + number
                turn, at = divmod(index, len(self.pictures))
                shown, nals = self.pictures[at]
                step = self.pictures[1][0] - self.pictures[0][0]
                shown += turn * len(self.pictures) * abs(step)
                self._over.wait(began + number * abs(step) / self.speed - time.monotonic())
                stamp = self.ways.first_stamp + round(shown * 90_000 * self.ways.clock_rate)
                for payload, last in _payloads(nals, self.codec, self.ways.aggregate):
                    if sequence - self.ways.first_sequence not in self.ways.drop:
                        packet = bytes([0x80, 0x80 * last | 96]) + (sequence & 0xFFFF).to_bytes(2, "big")
                        packet += (stamp & 0xFFFFFFFF).to_bytes(4, "big") + b"\1\2\3\4" + payload
                        with lock:
                            connection.sendall(b"$\0" + len(packet).to_bytes(2, "big") + packet)
                    sequence += 1
                number += 1
                if number == self.ways.goodbye_after:
                    with lock:
                        connection.sendall(b"$\1\0\x08\x81\xcb\0\1\1\2\3\4")
                    return
        except OSError:
            return


def _pictures(clip: Path) -> tuple[str, list[tuple[float, list[bytes]]]]:
    """Codec, and (seconds shown, NAL units) of each picture in decoding order; parameter sets before keyframes."""
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        codec = stream.codec_context.codec.canonical_name
        convert = BitStreamFilterContext(f"{codec}_mp4toannexb", stream)
        found = []
        for packet in container.demux(stream):
            if packet.size:
                shown = float(packet.pts * packet.time_base)
                for whole in convert.filter(packet):
                    found.append((shown, list(units(bytes(whole)))))
    return codec, found


def _payloads(nals: list[bytes], codec: str, aggregate: bool) -> Iterator[tuple[bytes, bool]]:
    """RTP payloads of one picture; whether each is its last."""
    small = [nal for nal in nals if len(nal) < 200]
    if aggregate and len(small) > 1:
        head = bytes([24]) if codec == "h264" else bytes([48 << 1, 1])
        together = head + b"".join(len(nal).to_bytes(2, "big") + nal for nal in small)
        nals = [nal for nal in nals if len(nal) >= 200]
        yield together, not nals
    for index, nal in enumerate(nals):
        last = index == len(nals) - 1
        if len(nal) <= MTU:
            yield nal, last
            continue
        size = 1 if codec == "h264" else 2
        body = nal[size:]
        for at in range(0, len(body), MTU):
            flags = 0x80 * (at == 0) | 0x40 * (at + MTU >= len(body))
            if codec == "h264":
                head = bytes([nal[0] & 0xE0 | 28, flags | nal[0] & 31])
            else:
                head = bytes([nal[0] & 0x81 | 49 << 1, nal[1], flags | nal[0] >> 1 & 63])
            yield head + body[at : at + MTU], last and bool(flags & 0x40)
