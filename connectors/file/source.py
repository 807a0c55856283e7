"""Plays a file, once or for ever, as fast as it is read or at its own pace."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from itertools import count
from typing import Any

import av
import structlog

from connectors.context import ConnectorContext
from connectors.file.settings import FileSourceSettings
from streamproc.contracts import Position
from streamproc.core.errors import MediaError, SourceRefused
from streamproc.core.media import EndOfStream, Packet, StreamItem
from streamproc.logic.timeline import JUMP, Timeline
from streamproc.media.demux import (
    RESTARTING_FORMATS,
    Coded,
    VideoTrack,
    media_errors,
    open_container,
    reason,
    seconds,
    video_track,
)
from streamproc.media.reader import moment

log = structlog.get_logger(__name__)

PAUSE = 0.25
"""Longest sleep between looks at ``stop``."""


@dataclass(slots=True)
class _Keyframe:
    """Where reading may begin, and the timeline's state just before it."""

    pts: int | None
    timeline: dict[str, Any]


class FileSource:
    """See ``contracts.Source``. Its Position names the last keyframe but one, so that reordered frames are not lost."""

    def __init__(self, settings: FileSourceSettings, context: ConnectorContext) -> None:
        self.live = settings.realtime
        self._settings = settings
        self._context = context
        self._path = context.path(settings.path)
        self._timeline = Timeline()
        self._wall: datetime | None = None
        self._seen = Fraction(-1)
        self._pace: tuple[float, Fraction] | None = None
        self._position: Position | None = None
        self._keyframes: list[_Keyframe] = []

    def items(self, stop: threading.Event, resume: Position | None = None) -> Iterator[StreamItem]:
        """Raises SourceRefused where the file is missing or holds no video."""
        first_pass, seek = 0, None
        if resume is not None:
            first_pass, seek = self._resume(resume)
        for number in count(first_pass):
            before = self._timeline.clock
            damage = yield from self._play(number, seek, stop)
            seek = None
            if stop.is_set():
                return
            if not self._settings.loop or damage or self._timeline.clock == before:
                yield EndOfStream(damage or "end")
                return
            self._timeline.restart(self._timeline.end)

    def position(self) -> Position | None:
        return self._position

    def durable(self, position: Position) -> None:
        """Files need no telling."""

    def _resume(self, position: Position) -> tuple[int, int | None]:
        token = position.token
        self._timeline.restore(token["timeline"])
        self._wall = datetime.fromisoformat(token["wall"])
        self._seen = Fraction(token["media"])
        self._position = position
        return int(token["pass"]), token["seek"]

    def _play(self, number: int, seek: int | None, stop: threading.Event) -> Generator[StreamItem, None, str | None]:
        """One pass over the file. Returns what ended it early, or None."""
        container, stream, track = self._open()
        with container:
            if container.format.name.split(",")[0] in RESTARTING_FORMATS:
                self._timeline.jump = JUMP
            if seek is not None:
                container.seek(seek, stream=stream, backward=True)
            self._keyframes.clear()
            damage = yield from self._read(container, stream, track, number, stop)
        return damage

    def _open(self) -> tuple[Any, Any, VideoTrack]:
        try:
            if not self._path.is_file():
                raise MediaError(f"{self._path}: there is no such file")
            if self._path.stat().st_size == 0:
                raise MediaError(f"{self._path}: the file is empty")
            with media_errors(str(self._path)):
                container = open_container(str(self._path))
            return (container, *video_track(container, str(self._path), writable=True))
        except MediaError as error:
            raise SourceRefused(str(error)) from None

    def _read(
        self, container: Any, stream: Any, track: VideoTrack, number: int, stop: threading.Event
    ) -> Generator[StreamItem, None, str | None]:
        """Holds one packet back, to mark the last."""
        held: Packet | None = None
        packets = (packet for packet in container.demux(stream) if packet.size)
        while not stop.is_set():
            damage = None
            try:
                raw = next(packets, None)
            except av.FFmpegError as error:
                # What was read so far stands; the rest of the file cannot be reached.
                raw, damage = None, f"the file is damaged: {reason(error)}"
                log.warning("file damaged", path=str(self._path), reason=damage)
            if raw is None:
                if held is not None:
                    yield dataclasses.replace(held, ends=True)
                return damage
            if held is not None:
                yield held
            held = self._item(raw, track, number)
            self._wait_until_due(stop)
        return None

    def _item(self, raw: Any, track: VideoTrack, number: int) -> Packet:
        before = self._timeline.snapshot() if raw.is_keyframe else {}
        media = self._timeline.place(
            seconds(raw.pts, raw.time_base), seconds(raw.dts, raw.time_base), seconds(raw.duration, raw.time_base)
        )
        if self._wall is None:
            self._wall = self._context.start_wall or self._context.clock()
        if raw.is_keyframe:
            self._remember(_Keyframe(raw.pts if raw.pts is not None else raw.dts, before), number, media)
        at = moment(media, self._wall)
        return Packet(Coded(raw, track), at, raw.size, raw.is_keyframe)

    def _remember(self, keyframe: _Keyframe, number: int, media: Fraction) -> None:
        """Offer the keyframe before this one to begin from; before there are two, the one that reading began with."""
        assert self._wall is not None
        self._keyframes = [*self._keyframes[-1:], keyframe]
        begin = self._keyframes[0]
        self._position = Position(
            {
                "pass": number,
                "seek": begin.pts,
                "timeline": begin.timeline,
                "media": str(media),
                "wall": self._wall.isoformat(),
            }
        )

    def _wait_until_due(self, stop: threading.Event) -> None:
        """Real time: until the packet just read would have left a camera. Packets that were seen before a restart are not waited for."""
        if not self._settings.realtime:
            return
        due = self._timeline.clock
        if due is None or due <= self._seen:
            return
        if self._pace is None:
            self._pace = (time.monotonic(), due)
        start, origin = self._pace
        while not stop.is_set():
            left = start + float(due - origin) - time.monotonic()
            if left <= 0:
                return
            stop.wait(min(left, PAUSE))
