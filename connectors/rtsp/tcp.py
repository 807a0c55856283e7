"""One connection to a camera by RTSP over TCP, read in the caller's own thread: no thread, no queue and no copy more than needed."""

from __future__ import annotations

import contextlib
import io
import os
import random
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from heapq import heappop, heappush
from typing import Any

import av

from connectors.rtsp.connection import Arrived
from connectors.rtsp.credentials import CameraAddress
from connectors.rtsp.handshake import Handshake, Redirected
from connectors.rtsp.messages import CameraRequest, MessageStream, Response, refusal
from connectors.rtsp.rtp import AccessUnit, Assembler, annex_b, parsed, receiver_report
from connectors.rtsp.sdp import VideoMedia
from streamproc.core.errors import MediaError, SourceError, SourceStalled
from streamproc.media.demux import VideoTrack, open_container, reason, video_track

RECEIVE_BYTES = 256 * 1024
DESCRIBE_S = 14.0
"""Some cameras answer DESCRIBE only with their next keyframe; with the wait until the next attempt this stays under 20 s."""
REPORT_S = 5.0
"""Between receiver reports (RFC 3550 6.2: the least)."""
MAX_REDIRECTS = 3
REORDER = 2
"""Pictures by which B pictures reach back, at most, in what cameras send (a pyramid of B pictures)."""


class TcpConnection:
    """Connects at once. ``get`` hands out what came; ``leave`` closes."""

    def __init__(self, address: CameraAddress, connect_timeout_s: float, stall_after_s: float) -> None:
        self._connect_timeout_s = connect_timeout_s
        self._stall_after_s = stall_after_s
        self._redirects = 0
        self._ready: deque[Arrived] = deque()
        self._own = random.getrandbits(32)
        self.lost: Callable[[int], None] = lambda count: None
        """Called with the number of RTP packets that did not come."""
        self._connect(address)

    def get(self, timeout_s: float) -> Arrived | None:
        """The next access unit; None when none came in time. Raises SourceError when the connection is over, with the reason."""
        if not self._ready:
            if self._socket is None:
                self._connected(timeout_s)
            else:
                self._receive(timeout_s)
            self._watch(time.monotonic())
        return self._ready.popleft() if self._ready else None

    def leave(self) -> None:
        """Nobody wants any more of it."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                if self._handshake.playing:
                    self._socket.settimeout(0.2)
                    self._socket.sendall(self._handshake.teardown())
            self._socket.close()
        self._dialling.abandoned = True

    # -- inside

    def _connect(self, address: CameraAddress) -> None:
        now = time.monotonic()
        self._address = address
        self._socket: socket.socket | None = None
        self._dialling = _Dialling(address, self._connect_timeout_s)
        self._handshake = Handshake(address.url, address.credentials, os.urandom(8).hex())
        self._messages = MessageStream()
        self._pictures: _Pictures | None = None
        self._heard = self._since = self._alive_at = self._reported_at = now

    def _connected(self, timeout_s: float) -> None:
        self._dialling.thread.join(timeout_s)
        if self._dialling.thread.is_alive():
            return
        if self._dialling.error is not None:
            raise self._dialling.error
        self._socket = self._dialling.socket
        self._since = self._heard = time.monotonic()
        self._send(self._handshake.begin())

    def _send(self, data: bytes) -> None:
        assert self._socket is not None
        if not data:
            return
        try:
            self._socket.settimeout(self._connect_timeout_s)
            self._socket.sendall(data)
        except OSError as error:
            raise SourceError(f"the connection was lost: {reason(error)}") from None

    def _receive(self, timeout_s: float) -> None:
        assert self._socket is not None
        try:
            self._socket.settimeout(timeout_s)
            data = self._socket.recv(RECEIVE_BYTES)
        except (TimeoutError, ssl.SSLWantReadError):
            return
        except OSError as error:
            raise SourceError(f"the connection was lost: {reason(error)}") from None
        if not data:
            raise SourceError("the camera ended the stream")
        now = time.monotonic()
        for message in self._messages.feed(data):
            if isinstance(message, tuple):
                self._interleaved(*message, now)
            elif isinstance(message, CameraRequest):
                self._send(refusal(message))
            elif not self._answered(message):
                return

    def _answered(self, response: Response) -> bool:
        """False: another connection takes this one's place."""
        try:
            self._send(self._handshake.answered(response))
        except Redirected as elsewhere:
            self._follow(elsewhere.location)
            return False
        if self._handshake.playing and self._pictures is None:
            assert self._handshake.video is not None
            self._pictures = _Pictures(self._handshake.video)
            self._since = self._heard = self._alive_at = time.monotonic()
        return True

    def _follow(self, location: str) -> None:
        """User and password go to no other host, and not where they could be read on the way."""
        self._redirects += 1
        if self._redirects > MAX_REDIRECTS:
            raise SourceError("the camera sends us from one address to the next")
        target = CameraAddress.parsed(location)
        if not target.host:
            raise SourceError("the camera sends us to an address that is none")
        same = target.host == self._address.host and (target.secure or not self._address.secure)
        self.leave()
        self._connect(replace(target, credentials=self._address.credentials if same else None))

    def _interleaved(self, channel: int, data: bytes, now: float) -> None:
        pictures, first = self._pictures, self._handshake.channel
        if pictures is None:
            return
        if channel == first:
            before = pictures.assembler.lost
            found = pictures.add(data, now)
            if found:
                self._heard = now
                self._ready += found
            if pictures.assembler.lost != before:
                self.lost(pictures.assembler.lost - before)
        elif channel == first + 1 and _says_goodbye(data):
            raise SourceError("the camera ended the stream")

    def _watch(self, now: float) -> None:
        """Let time pass: signs of life, reports, and patience that ends."""
        if self._socket is None:
            return
        if not self._handshake.playing:
            if now - self._since > max(DESCRIBE_S, self._connect_timeout_s):
                raise SourceError(
                    f"the camera did not answer {self._handshake.waits_for} within {now - self._since:.0f} s"
                )
            return
        if now - self._heard > self._stall_after_s:
            raise SourceStalled(f"connected, but no picture came for {now - self._heard:.0f} s")
        if now - self._alive_at > self._handshake.timeout_s / 3:
            self._alive_at = now
            self._send(self._handshake.keepalive())
        if self._pictures is not None and now - self._reported_at > REPORT_S:
            self._reported_at = now
            report = self._pictures.report(self._own)
            self._send(bytes([0x24, self._handshake.channel + 1]) + len(report).to_bytes(2, "big") + report)


class _Dialling:
    """Connects in a short thread of its own: names may take long to resolve, and whoever waits must be able to leave."""

    def __init__(self, address: CameraAddress, timeout_s: float) -> None:
        self.socket: socket.socket | None = None
        self.error: SourceError | None = None
        self.abandoned = False
        self._address = address
        self._timeout_s = timeout_s
        self.thread = threading.Thread(target=self._run, name="rtsp-connect", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            made = socket.create_connection((self._address.host, self._address.port), self._timeout_s)
            if self._address.secure:
                context = ssl.create_default_context()
                # Cameras have certificates of their own making; FFmpeg does not verify them either.
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                made = context.wrap_socket(made, server_hostname=self._address.host)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self.socket = made
        except TimeoutError:
            self.error = SourceError(f"the camera did not answer within {self._timeout_s:g} s")
        except (OSError, UnicodeError) as error:
            self.error = SourceError(f"cannot connect: {reason(error)}")
        if self.abandoned and self.socket is not None:
            self.socket.close()


class _Pictures:
    """From RTP packets of one stream to what decoders take."""

    def __init__(self, video: VideoMedia) -> None:
        self.assembler = Assembler(video.codec)
        self._video = video
        self._clock = Fraction(1, video.clock_rate)
        self._sets: list[bytes] = list(video.parameter_sets)
        self._track: VideoTrack | None = None
        self._track_of: list[bytes] | None = None
        self._order: list[int] = []
        self._decoded: int | None = None
        self._source = 0

    def add(self, data: bytes, now: float) -> list[Arrived]:
        """Access units that are whole now; ``now``: monotonic seconds."""
        packet = parsed(data)
        if packet is None or packet.payload_type != self._video.payload_type:
            return []
        self._source = packet.source
        found = []
        for unit in self.assembler.add(packet):
            track = self._current(unit)
            found.append(Arrived(self._packet(unit), track, now))
        return found

    def report(self, own: int) -> bytes:
        return receiver_report(own, self._source, self.assembler.lost, self.assembler.highest)

    def _packet(self, unit: AccessUnit) -> Any:
        raw = av.Packet(annex_b(unit.units))
        raw.pts, raw.time_base, raw.is_keyframe = unit.timestamp, self._clock, unit.keyframe
        raw.dts = self._decode_time(unit)
        raw.is_corrupt = unit.damaged
        return raw

    def _decode_time(self, unit: AccessUnit) -> int:
        """RTP tells when a picture is shown. It is decoded when the one is shown that lies as far back as B pictures reach."""
        reorder = REORDER if self._track is not None and self._track.context.has_b_frames else 0
        heappush(self._order, unit.timestamp)
        stamp = heappop(self._order) if len(self._order) > reorder else self._order[0] - reorder
        while len(self._order) > reorder:
            stamp = heappop(self._order)
        if self._decoded is not None and stamp <= self._decoded < unit.timestamp:
            stamp = self._decoded + 1
        self._decoded = stamp
        return stamp

    def _current(self, unit: AccessUnit) -> VideoTrack:
        """The track that this picture belongs to: a new one begins at a keyframe with other parameter sets."""
        if unit.keyframe:
            own = [each for each in unit.units if self._is_set(each)]
            sets = own or self._sets
            if self._track is None or self._track_of != sets:
                self._track, self._track_of, self._order = (
                    self._opened(sets, unit.units if own else sets + unit.units),
                    sets,
                    [],
                )
        if self._track is None:
            self._track = self._plain()
        return self._track

    def _is_set(self, unit: bytes) -> bool:
        return unit[0] & 31 in (7, 8) if self._video.codec == "h264" else unit[0] >> 1 & 63 in (32, 33, 34)

    def _opened(self, sets: list[bytes], units: list[bytes]) -> VideoTrack:
        """As FFmpeg finds it in the keyframe."""
        try:
            with open_container(io.BytesIO(annex_b(units)), container_format=self._video.codec) as container:
                return replace(video_track(container, "camera", writable=True)[1], time_base=self._clock)
        except (MediaError, av.FFmpegError, OSError):
            return self._plain()

    def _plain(self) -> VideoTrack:
        """Nothing is known but the codec, and what was described."""
        context = av.CodecContext.create(self._video.codec, "r")
        if self._sets:
            context.extradata = annex_b(self._sets)
        return VideoTrack(self._video.codec, 0, 0, self._clock, None, context, None)


def _says_goodbye(data: bytes) -> bool:
    """An RTCP compound packet that holds BYE (RFC 3550 6.6)."""
    at = 0
    while at + 4 <= len(data):
        if data[at + 1] == 203:
            return True
        at += 4 + 4 * (data[at + 2] << 8 | data[at + 3])
    return False
