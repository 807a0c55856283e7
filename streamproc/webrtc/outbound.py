"""A viewer: a bounded queue of encoded pictures, and aiortc's sender at its end."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

import structlog
from aiortc import RTCRtpSender
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from streamproc.webrtc.offer import Offer
from streamproc.webrtc.peer import Peer
from streamproc.webrtc.stamps import Stamper

log = structlog.get_logger(__name__)

MAX_PICTURES = 60
MAX_BYTES = 8 * 1024 * 1024
CATCH_UP_PACE_S = 0.002
"""Between pictures that are only to be decoded: a burst of packets would overrun the viewer's socket."""
_ENCODER, _STAMP = "_RTCRtpSender__encoder", "_RTCRtpSender__rtp_timestamp"
MIME = {"h264": "video/h264", "vp8": "video/vp8"}


@dataclass(frozen=True, slots=True)
class Shown:
    """One encoded picture, cut into RTP payloads once for all viewers."""

    codec: str
    payloads: tuple[bytes, ...]
    size: int
    keyframe: bool
    media: Fraction
    wall: datetime


class _Track(MediaStreamTrack):  # type: ignore[misc]
    """What aiortc's sender reads from."""

    kind = "video"

    def __init__(self, take: Callable[[], Any]) -> None:
        super().__init__()
        self._take = take

    async def recv(self) -> Any:
        item = await self._take()
        if item is None:
            raise MediaStreamError
        return item


class _Ready:
    """Stands where aiortc's encoder stood: the pictures are encoded and cut already."""

    def pack(self, item: tuple[Shown, int]) -> tuple[list[bytes], int]:
        shown, stamp = item
        return list(shown.payloads), stamp


class Viewer:
    """One WHEP session."""

    def __init__(self, identity: str, codec: str, on_keyframe_wanted: Callable[[Viewer], None]) -> None:
        self.identity = identity
        self.codec = codec
        self.peer: Peer
        self.skipped = 0
        """Pictures that it was too slow for."""
        self.sent = 0
        self._wanted = on_keyframe_wanted
        self._queue: deque[Shown] = deque()
        self.caught_up_at = -1e9
        self._behind = 0
        self._bytes = 0
        self._await_key = True
        self._wake = asyncio.Event()
        self._over = False
        self._stamper = Stamper()
        self._sender: Any = None
        self._last_sent: int | None = None

    async def answer(self, offer: Offer) -> str:
        """Raises OfferRefused."""
        connection = self.peer.connection
        transceiver = connection.addTransceiver(_Track(self._take), direction="sendonly")
        transceiver.setCodecPreferences(
            [
                codec
                for codec in RTCRtpSender.getCapabilities("video").codecs
                if codec.mimeType.lower() in (MIME[self.codec], "video/rtx")
            ]
        )
        self._sender = transceiver.sender
        if not hasattr(self._sender, _ENCODER):
            raise RuntimeError("this version of aiortc keeps its encoder elsewhere")
        setattr(self._sender, _ENCODER, _Ready())
        self._sender._send_keyframe = self._keyframe_wanted
        return await self.peer.answer(offer)

    def offer(self, shown: Shown) -> None:
        """A picture of the feed. A viewer that is behind is skipped ahead to the next keyframe."""
        if not self.peer.connected or self._over:
            return
        if len(self._queue) >= MAX_PICTURES + self._behind or self._bytes + shown.size > MAX_BYTES:
            self.skipped += len(self._queue)
            self._queue.clear()
            self._bytes, self._behind, self._await_key = 0, 0, True
        if self._await_key and not shown.keyframe:
            self.skipped += self.sent > 0
            return
        self._await_key = False
        self._queue.append(shown)
        self._bytes += shown.size
        self._wake.set()

    def catch_up(self, group: Sequence[Shown]) -> None:
        """Everything since the last keyframe, to be shown in a blink: so a viewer need not wait for the next one."""
        self.caught_up_at = time.monotonic()
        if group:
            self._queue = deque(group)
            self._bytes, self._behind, self._await_key = sum(shown.size for shown in group), len(group) - 1, False
            self._wake.set()

    @property
    def starving(self) -> bool:
        """Connected, and waits for a keyframe."""
        return self.peer.connected and self._await_key and not self._over

    def skip_to_keyframe(self) -> None:
        """What follows does not go on where the last picture ended."""
        self._queue.clear()
        self._bytes, self._behind, self._await_key = 0, 0, True

    def rtp_of(self, wall: datetime) -> int | None:
        """The RTP timestamp, as the viewer sees it, of the picture of this instant; None where it was not sent."""
        stamp = self._stamper.of(wall)
        on_wire = getattr(self._sender, _STAMP, 0)
        if stamp is None or self._last_sent is None or not on_wire:
            return None
        # aiortc adds a random origin that it keeps to itself; the last packet on the wire tells it.
        return (on_wire - self._last_sent + stamp) & 0xFFFFFFFF

    def end(self) -> None:
        self._over = True
        self._queue.clear()
        self._wake.set()

    async def _take(self) -> tuple[Shown, int] | None:
        while not self._queue:
            if self._over:
                return None
            self._wake.clear()
            await self._wake.wait()
        shown = self._queue.popleft()
        self._bytes -= shown.size
        if self._behind > 0:
            self._behind -= 1
            await asyncio.sleep(CATCH_UP_PACE_S)
            stamp = self._stamper.hasten(shown.wall)
        else:
            stamp = self._stamper.stamp(shown.media, shown.wall, time.monotonic())
        self._last_sent = stamp
        self.sent += 1
        return shown, stamp

    def _keyframe_wanted(self) -> None:
        """The viewer lost a picture for good (PLI)."""
        self._wanted(self)
