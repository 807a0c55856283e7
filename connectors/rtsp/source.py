"""A network camera as a live feed that survives the camera's absence."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from fractions import Fraction
from random import Random

import structlog

from connectors.context import ConnectorContext
from connectors.rtsp.connection import Arrived, Connection
from connectors.rtsp.credentials import camera_address, url_with_credentials
from connectors.rtsp.handshake import NotReadHere
from connectors.rtsp.settings import RtspSourceSettings
from connectors.rtsp.tcp import DESCRIBE_S, TcpConnection
from streamproc import metrics
from streamproc.contracts import Position, SourceTraits
from streamproc.core.errors import SourceError, SourceRefused, SourceStalled
from streamproc.core.media import Gap, GapReason, Moment, Packet, StreamItem
from streamproc.logic.backoff import Backoff, BackoffRule
from streamproc.logic.redact import redact_url
from streamproc.logic.timeline import LiveTimeline, ticks
from streamproc.media.decode import MAX_BLIND
from streamproc.media.demux import Coded, seconds
from streamproc.trouble import Trouble

log = structlog.get_logger(__name__)

PAUSE_S = 0.25
"""Longest sleep between looks at ``stop``."""
LONGEST_RETRY_S = 19.0
"""A lost camera is tried at least so often, its time to answer included."""
REFUSALS_BELIEVED = 3
"""A camera may refuse while it boots (after a power cut, its users are not loaded yet); so many refusals in a row are believed."""


class RtspSource:
    """See ``contracts.Source``. Wall time is when a frame's last packet came; media time goes on by the clock while it is away."""

    traits = SourceTraits(live=True)

    def __init__(self, settings: RtspSourceSettings, context: ConnectorContext) -> None:
        self._settings = settings
        self._context = context
        self._address = camera_address(settings, context)
        self._url = url_with_credentials(settings, context)
        self._own_reader = settings.transport == "tcp"
        """False: FFmpeg reads, which knows more transports and codecs."""
        self._shown = redact_url(settings.url)
        self._timeline = LiveTimeline()
        self._away = Trouble("camera_away", "camera_back", url=self._shown)
        rule = BackoffRule(cap_s=max(1.0, LONGEST_RETRY_S - max(settings.connect_timeout, DESCRIBE_S)), healthy_s=10.0)
        self._backoff = Backoff(rule, Random())
        self._last: Moment | None = None
        self._refusals = 0
        self.note = "connecting"
        """See ``contracts.Explains``."""

    def items(self, stop: threading.Event, resume: Position | None = None) -> Iterator[StreamItem]:
        """Never ends by itself. Raises SourceRefused for a wrong password."""
        if resume is not None:
            self._resume(resume)
        away = False
        while not stop.is_set():
            try:
                for packet in self._connected(stop):
                    away = False
                    yield packet
                return
            except NotReadHere as error:
                self._own_reader = False
                log.info("camera_read_by_ffmpeg", url=self._shown, reason=str(error))
                continue
            except SourceError as error:
                self._judge(error)
                wait = self._backoff.failed(time.monotonic())
                self.note = f"waiting for the camera: {error}"
                self._away.met(error)
                if not away and self._last is not None:
                    away = True
                    self._timeline.gap()
                    yield Gap(_gap_reason(error), self._last, str(error))
            stop.wait(wait)

    def position(self) -> Position | None:
        if self._last is None:
            return None
        return Position({"media": str(self._last.media), "wall": self._last.wall.isoformat()})

    def durable(self, position: Position) -> None:
        """A camera keeps nothing."""

    def _resume(self, position: Position) -> None:
        """Media time went on while nobody looked."""
        media, wall = Fraction(position.token["media"]), datetime.fromisoformat(position.token["wall"])
        away = max(0.0, (self._context.clock() - wall).total_seconds())
        self._timeline = LiveTimeline(media + ticks(away))

    def _judge(self, error: SourceError) -> None:
        """Raise a refusal that is to be believed."""
        if not isinstance(error, SourceRefused):
            self._refusals = 0
            return
        self._refusals += 1
        if self._refusals >= REFUSALS_BELIEVED:
            self.note = str(error)
            raise SourceRefused(f"{self._shown}: {error}")

    def _connected(self, stop: threading.Event) -> Iterator[Packet]:
        """Packets of one connection, from its first keyframe. Returns when stopped, raises SourceError when it is over."""
        connection = self._connection()
        keyframe_by: float | None = None
        started = False
        try:
            while not stop.is_set():
                arrived = connection.get(PAUSE_S)
                if arrived is None:
                    continue
                self._refusals = 0
                keyframe_by = keyframe_by or arrived.at + float(MAX_BLIND)
                if not started and not arrived.raw.is_keyframe and arrived.at < keyframe_by:
                    self.note = "connected; waiting for the camera's next keyframe"
                    continue
                if not started:
                    started = True
                    self.note = ""
                    self._backoff.succeeded(arrived.at)
                    self._away.over()
                    log.info("camera_connected", url=self._shown, codec=arrived.track.codec)
                yield self._packet(arrived)
        finally:
            connection.leave()

    def _connection(self) -> Connection | TcpConnection:
        settings = self._settings
        if not self._own_reader:
            return Connection(self._url, settings.transport, settings.connect_timeout, settings.stall_after)
        connection = TcpConnection(self._address, settings.connect_timeout, settings.stall_after)
        connection.lost = metrics.PACKETS_LOST.labels(self._context.processor, "network").inc
        return connection

    def _packet(self, arrived: Arrived) -> Packet:
        raw = arrived.raw
        base = raw.time_base
        believed = self._timeline.believed
        media = self._timeline.place(seconds(raw.pts, base), seconds(raw.dts, base), arrived.at)
        if self._timeline.believed != believed:
            if self._timeline.believed:
                log.warning("camera_clock_believed_again", url=self._shown, used="its timestamps")
            else:
                log.warning("camera_clock_not_believed", url=self._shown, used="arrival times")
        wall = self._context.clock() - timedelta(seconds=time.monotonic() - arrived.at)
        self._last = Moment(media, wall)
        return Packet(Coded(raw, arrived.track), self._last, raw.size, raw.is_keyframe)


def _gap_reason(error: SourceError) -> GapReason:
    if isinstance(error, SourceStalled):
        return GapReason.STALLED
    return GapReason.REFUSED if isinstance(error, SourceRefused) else GapReason.LOST
