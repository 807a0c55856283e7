"""A feed that comes to us: the WHIP endpoint leaves encoded pictures here, the source's thread hands them out."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Protocol

import av
import structlog

from connectors.context import ConnectorContext
from connectors.webrtc.settings import WebrtcSourceSettings
from streamproc.contracts import Position, SourceTraits
from streamproc.core.errors import InUse
from streamproc.core.media import Gap, GapReason, Moment, Packet, StreamItem
from streamproc.logic.timeline import LiveTimeline, ticks
from streamproc.media.demux import Coded, VideoTrack

log = structlog.get_logger(__name__)

SILENCE_S = 5.0
"""A publisher that sends nothing for so long counts as gone."""
MAX_WAITING = 512
PATIENCE_S = 0.25
CLOCK = Fraction(1, 90_000)
"""Of RTP timestamps of video (RFC 6184 section 8.2.1, RFC 7741 section 4.1)."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One encoded picture as it was published."""

    codec: str
    """FFmpeg's name: h264 (Annex B) or vp8."""
    data: bytes
    keyframe: bool
    timestamp: int
    """RTP timestamp, unwrapped: 90 kHz, grows."""
    arrived: float
    """``time.monotonic()`` of its last packet."""


class Publisher(Protocol):
    """Who sends; belongs to the event loop."""

    @property
    def connected(self) -> bool:
        """Whether its connection stands, or stood."""
        ...

    def request_keyframe(self) -> None: ...


@dataclass(frozen=True, slots=True)
class _Left:
    """The publisher is gone."""

    why: str


class WebrtcSource:
    """See ``contracts.Source``. Nobody publishing is no error: the session waits, and media time goes on by the clock.

    ``join``, ``push``, ``leave`` and ``ask_keyframe`` are called in the event loop.
    """

    traits = SourceTraits(live=True, waits_for_publisher=True)

    def __init__(self, settings: WebrtcSourceSettings, context: ConnectorContext) -> None:
        self._settings = settings
        self._context = context
        self._queue: queue.Queue[Unit | _Left] = queue.Queue(MAX_WAITING)
        self._timeline = LiveTimeline()
        self._last: Moment | None = None
        self._heard = 0.0
        self._lost_some = False
        self.publisher: Publisher | None = None

    def join(self, publisher: Publisher) -> Publisher | None:
        """Begin to publish; returns whom it replaces. Raises as ``require_place``."""
        self.require_place()
        before, now = self.publisher, time.monotonic()
        if before is not None:
            self._put(_Left("another publisher took over"))
        self.publisher, self._heard = publisher, now
        return before

    def require_place(self) -> None:
        """Raises InUse beside a live publisher, where the config wants that. Who never connected holds no place."""
        before = self.publisher
        if before is None or not before.connected or self._settings.second_publisher != "refuse":
            return
        if time.monotonic() - self._heard < SILENCE_S:
            raise InUse("somebody publishes here already; wait until it ends, or set second_publisher: take_over")

    def connected(self, publisher: Publisher) -> None:
        """Its connection stands: it holds the place from now on."""
        if publisher is self.publisher:
            self._heard = time.monotonic()

    def push(self, publisher: Publisher, unit: Unit) -> None:
        """A picture of ``publisher``; those of one that was replaced are ignored."""
        if publisher is not self.publisher:
            return
        self._heard = unit.arrived
        self._put(unit)

    def leave(self, publisher: Publisher, why: str) -> None:
        if publisher is self.publisher:
            self.publisher = None
            self._put(_Left(why))

    def ask_keyframe(self) -> None:
        """See ``contracts.GivesKeyframes``: browsers send one at the beginning, and then when they are asked."""
        if self.publisher is not None:
            self.publisher.request_keyframe()

    def items(self, stop: threading.Event, resume: Position | None = None) -> Iterator[StreamItem]:
        """Never ends by itself."""
        if resume is not None:
            self._resume(resume)
        feed: VideoTrack | None = None
        heard = time.monotonic()
        while not stop.is_set():
            try:
                item = self._queue.get(timeout=PATIENCE_S)
            except queue.Empty:
                if feed is not None and time.monotonic() - heard > SILENCE_S:
                    feed = None
                    yield self._gap(f"the publisher sent nothing for {SILENCE_S:g} s")
                continue
            if isinstance(item, _Left):
                if feed is not None:
                    feed = None
                    yield self._gap(item.why)
                continue
            heard = item.arrived
            if (feed is not None and feed.codec != item.codec) or self._lost_some:
                feed, self._lost_some = None, False
            if feed is None:
                if not item.keyframe:
                    continue
                feed = _track(item.codec)
                log.info("publisher_seen", processor=self._context.processor, codec=item.codec)
            yield self._packet(item, feed)

    def position(self) -> Position | None:
        if self._last is None:
            return None
        return Position({"media": str(self._last.media), "wall": self._last.wall.isoformat()})

    def durable(self, position: Position) -> None:
        """A publisher keeps nothing."""

    def _put(self, item: Unit | _Left) -> None:
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            # The thread does nothing but hand out; when even that hangs, begin again at a keyframe.
            with self._queue.mutex:
                self._queue.queue.clear()
            self._lost_some = True
            if isinstance(item, _Left):
                self._queue.put_nowait(item)

    def _packet(self, unit: Unit, track: VideoTrack) -> Packet:
        media = self._timeline.place(unit.timestamp * CLOCK, None, unit.arrived)
        wall = self._context.clock() - timedelta(seconds=time.monotonic() - unit.arrived)
        self._last = Moment(media, wall)
        raw = av.Packet(unit.data)
        raw.pts = raw.dts = unit.timestamp
        raw.time_base, raw.is_keyframe = CLOCK, unit.keyframe
        return Packet(Coded(raw, track), self._last, len(unit.data), unit.keyframe)

    def _gap(self, why: str) -> Gap:
        self._timeline.gap()
        assert self._last is not None
        return Gap(GapReason.PUBLISHER_GONE, self._last, why)

    def _resume(self, position: Position) -> None:
        """Media time went on while nobody looked."""
        media, wall = Fraction(position.token["media"]), datetime.fromisoformat(position.token["wall"])
        away = max(0.0, (self._context.clock() - wall).total_seconds())
        self._timeline = LiveTimeline(media + ticks(away))


def _track(codec: str) -> VideoTrack:
    return VideoTrack(codec, 0, 0, CLOCK, None, av.CodecContext.create(codec, "r"), None)
