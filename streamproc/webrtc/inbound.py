"""A publisher: its encoded pictures go to the source as they are; nothing is decoded here."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import structlog

from connectors.webrtc.source import Unit, WebrtcSource
from streamproc.webrtc.assembler import Assembler, Gatekeeper, Whole
from streamproc.webrtc.h264 import is_keyframe, split
from streamproc.webrtc.offer import Offer
from streamproc.webrtc.peer import Peer

log = structlog.get_logger(__name__)

GONE_S = 30.0
"""A publisher that is connected but sends nothing for so long is dropped."""
FFMPEG_NAMES = {"video/h264": "h264", "video/vp8": "vp8"}
_BUFFER = "_RTCRtpReceiver__jitter_buffer"


class _Tap:
    """Stands where aiortc's jitter buffer stood. It gives no picture back, so aiortc's decoder thread has nothing to do."""

    def __init__(self, publisher: PublisherSession) -> None:
        self._publisher = publisher

    def add(self, packet: Any) -> tuple[bool, None]:
        """Returns whether aiortc is to ask for a keyframe."""
        return self._publisher.received(packet), None


class PublisherSession:
    """One WHIP session. See ``connectors.webrtc.source.Publisher``."""

    def __init__(self, source: WebrtcSource, name: str) -> None:
        self.source = source
        self.name = name
        self.peer: Peer
        self._receiver: Any = None
        self._codecs: dict[int, str] = {}
        self._assembler = Assembler()
        self._gate = Gatekeeper()
        self._ssrc: int | None = None
        self._heard = time.monotonic()
        self._asking: set[asyncio.Task[None]] = set()

    def connection_made(self) -> None:
        """A publisher has as long to send its first picture as any other has to send the next."""
        self.source.connected(self)

    async def answer(self, offer: Offer) -> str:
        """Raises OfferRefused."""
        sdp = await self.peer.answer(offer)
        transceiver = next(
            t
            for t in self.peer.connection.getTransceivers()
            if t.kind == "video" and t._get_mline_index() == offer.video
        )
        self._receiver = transceiver.receiver
        if not hasattr(self._receiver, _BUFFER):
            raise RuntimeError("this version of aiortc keeps its jitter buffer elsewhere")
        setattr(self._receiver, _BUFFER, _Tap(self))
        self._codecs = {
            codec.payloadType: FFMPEG_NAMES[codec.mimeType.lower()]
            for codec in transceiver._codecs
            if codec.mimeType.lower() in FFMPEG_NAMES
        }
        return sdp

    def received(self, packet: Any) -> bool:
        """A packet came, in the event loop; whether a keyframe is to be asked for."""
        now = time.monotonic()
        if packet.ssrc != self._ssrc:
            # Another stream (simulcast, or a restarted sender): the first one that sends is shown while it sends.
            if self._ssrc is not None and now - self._heard < 1.0:
                return False
            self._ssrc, self._assembler = packet.ssrc, Assembler()
        self._heard = now
        for whole in self._assembler.add(packet, packet._data, packet.payload_type, now):
            self._picture(whole, now)
        return self._gate.asks(self._assembler.losses, now)

    @property
    def connected(self) -> bool:
        return self.peer.connected

    def request_keyframe(self) -> None:
        if self._ssrc is not None and self.peer.connected:
            task = asyncio.create_task(self._receiver._send_rtcp_pli(self._ssrc))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)

    def gone(self, why: str) -> None:
        """The connection is over."""
        log.info("publisher_gone", processor=self.name, reason=why)
        self.source.leave(self, why)

    def check(self, now: float) -> None:
        """Called about once a second."""
        self.peer.check(now)
        if self.peer.connected and now - self._heard > GONE_S:
            self.peer.close(f"sent nothing for {GONE_S:g} s")

    def _picture(self, whole: Whole, now: float) -> None:
        codec = self._codecs.get(whole.payload_type)
        if codec is None or not whole.data:
            return
        keyframe = is_keyframe(split(whole.data, 0)) if codec == "h264" else is_vp8_keyframe(whole.data)
        if self._gate.passes(keyframe, self._assembler.losses, now):
            self.source.push(self, Unit(codec, whole.data, keyframe, whole.timestamp, now))


def is_vp8_keyframe(data: bytes) -> bool:
    """RFC 6386 section 9.1."""
    return len(data) > 10 and not data[0] & 1 and data[3:6] == b"\x9d\x01\x2a"
