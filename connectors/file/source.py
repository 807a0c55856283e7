"""Plays a file, once or for ever, as fast as it is read or at its own pace."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from itertools import islice
from typing import Any

import av
import structlog

from connectors.context import ConnectorContext
from connectors.file.settings import FileSourceSettings
from streamproc.contracts import Position, SourceTraits
from streamproc.core.errors import MediaError, SourceRefused
from streamproc.core.media import EndOfStream, Packet, StreamItem
from streamproc.logic.timeline import JUMP, Timeline
from streamproc.media.coded_parts import BORDERS, CodedParts
from streamproc.media.demux import (
    RESTARTING_FORMATS,
    Coded,
    VideoTrack,
    lead,
    media_errors,
    open_container,
    open_file,
    reason,
    seconds,
    shown_for,
    video_track,
)
from streamproc.media.reader import moment

log = structlog.get_logger(__name__)

PAUSE = 0.25
"""Longest sleep between looks at ``stop``."""


@dataclass(frozen=True, slots=True)
class _Keyframe:
    """Where reading may begin: the keyframe's timestamp and its number among the pass's packets, and the timeline just before it."""

    pts: int | None
    index: int
    timeline: dict[str, Any]
    part: int = 0
    """Of a file whose video changes its coding midway: which part."""


SEEKABLE = {"mov", "matroska", "avi"}
"""Formats with an index; in others the packets before a keyframe are read and passed over."""


class FileSource:
    """See ``contracts.Source``. Its Position names the last keyframe but one, so that reordered frames are not lost."""

    def __init__(self, settings: FileSourceSettings, context: ConnectorContext) -> None:
        self.traits = SourceTraits(live=settings.realtime, replayable=True)
        self._settings = settings
        self._context = context
        self._path = context.path(settings.path)
        self._timeline = Timeline()
        self._wall: datetime | None = None
        self._seen = Fraction(-1)
        self._pace: tuple[float, Fraction] | None = None
        self._position: Position | None = None
        self._keyframes: list[_Keyframe] = []
        self._pass = 0
        self._index = 0
        self._part = 0
        self._parts: CodedParts | None = None
        """Of a format that may change its coding midway."""
        self._told_standing = False

    def items(self, stop: threading.Event, resume: Position | None = None) -> Iterator[StreamItem]:
        """Raises SourceRefused where the file is missing or holds no video."""
        begin = None if resume is None else self._resume(resume)
        try:
            yield from self._passes(begin, stop)
        finally:
            if self._parts is not None:
                self._parts.close()

    def _passes(self, begin: _Keyframe | None, stop: threading.Event) -> Iterator[StreamItem]:
        while True:
            before = self._timeline.clock
            damage = yield from self._play(begin, stop)
            begin = None
            if stop.is_set():
                return
            if not self._settings.loop or damage or self._timeline.clock == before:
                yield EndOfStream(damage or "end")
                return
            self._timeline.restart(self._timeline.end)
            self._pass += 1

    def examine(self) -> None:
        """See ``contracts.Examines``."""
        container, _, _ = self._open()
        container.close()

    def position(self) -> Position | None:
        return self._position

    def durable(self, position: Position) -> None:
        """Files need no telling."""

    def _resume(self, position: Position) -> _Keyframe:
        token = position.token
        self._timeline.restore(token["timeline"])
        self._wall = datetime.fromisoformat(token["wall"])
        self._seen = Fraction(token["media"])
        self._pass = int(token["pass"])
        self._position = position
        return _Keyframe(token["pts"], int(token["index"]), token["timeline"], int(token.get("part", 0)))

    def _play(self, begin: _Keyframe | None, stop: threading.Event) -> Generator[StreamItem, None, str | None]:
        """One pass over the file. Returns what ended it early, or None."""
        self._part = 0 if begin is None else begin.part
        while True:
            container, stream, track = self._open()
            with container:
                if container.format.name.split(",")[0] in RESTARTING_FORMATS:
                    self._timeline.jump = JUMP
                self._keyframes.clear()
                packets = self._packets(container, stream, begin)
                damage = yield from self._read(packets, stream, track, stop)
            if stop.is_set() or self._parts is None or self._part + 1 >= len(self._parts):
                return damage
            if self._timeline.jump != JUMP:  # no format whose clock may go on
                self._timeline.restart(self._timeline.end)
            self._part, begin = self._part + 1, None
            log.info("video_coding_changes", path=str(self._path), part=self._part + 1, parts=len(self._parts))

    def _packets(self, container: Any, stream: Any, begin: _Keyframe | None) -> Iterator[Any]:
        """The pass's packets, from ``begin`` on."""
        packets: Iterator[Any] = (packet for packet in container.demux(stream) if packet.size)
        self._index = 0 if begin is None else begin.index
        if begin is not None and begin.index:
            if begin.pts is not None and container.format.name.split(",")[0] in SEEKABLE:
                container.seek(begin.pts, stream=stream, backward=True)
                first = next(packets, None)
                if first is not None and _stamp(first) == begin.pts:
                    yield first
                    yield from packets
                    return
                # An index that leads astray.
                container.seek(stream.start_time or 0, stream=stream, backward=True)
                packets = (packet for packet in container.demux(stream) if packet.size)
            packets = islice(packets, begin.index, None)
        yield from packets

    def _open(self) -> tuple[Any, Any, VideoTrack]:
        try:
            if not self._path.is_file():
                raise MediaError(f"{self._path}: there is no such file")
            if self._path.stat().st_size == 0:
                raise MediaError(f"{self._path}: the file is empty")
            with media_errors(str(self._path)):
                container = open_file(str(self._path))
                container_format = container.format.name.split(",")[0]
                if container_format in BORDERS:
                    container = self._open_part(container, container_format)
            return (container, *video_track(container, str(self._path), writable=True))
        except MediaError as error:
            raise SourceRefused(str(error)) from None

    def _open_part(self, whole: Any, container_format: str) -> Any:
        """The part that is played; the opened file itself where its video has one coding throughout."""
        if self._parts is None:
            self._parts = CodedParts(lambda: self._path.open("rb"), container_format)
        if len(self._parts) == 1:
            return whole
        whole.close()
        return open_container(self._parts.open(self._part), container_format=container_format)

    def _read(
        self, packets: Iterator[Any], stream: Any, track: VideoTrack, stop: threading.Event
    ) -> Generator[StreamItem, None, str | None]:
        """Holds one packet back, to mark the last."""
        held: Packet | None = None
        while not stop.is_set():
            damage = None
            try:
                raw = next(packets, None)
            except av.FFmpegError as error:
                # What was read so far stands; the rest of the file cannot be reached.
                raw, damage = None, f"the file is damaged: {reason(error)}"
                log.warning("file_damaged", path=str(self._path), reason=damage)
            if raw is None:
                if held is not None:
                    yield dataclasses.replace(held, ends=True)
                return damage
            if held is not None:
                yield held
            held = self._item(raw, stream, track)
            self._wait_until_due(stop)
        return None

    def _item(self, raw: Any, stream: Any, track: VideoTrack) -> Packet:
        before = self._timeline.snapshot() if raw.is_keyframe else {}
        media = self._timeline.place(
            seconds(raw.pts, raw.time_base),
            seconds(raw.dts, raw.time_base),
            shown_for(track.context, raw),
            keyframe=raw.is_keyframe,
            lead=lead(stream, raw),
        )
        if self._timeline.stood and not self._told_standing:
            self._told_standing = True
            log.warning("timestamps_stand", path=str(self._path), placed_by="the nominal frame rate")
        if self._wall is None:
            self._wall = self._context.start_wall or self._context.clock()
        if raw.is_keyframe:
            # Timestamps that came twice lead a seek astray: then packets are counted.
            unique = not self._timeline.jumps and not self._timeline.stood
            self._remember(_Keyframe(_stamp(raw) if unique else None, self._index, before, self._part), media)
        self._index += 1
        at = moment(media, self._wall)
        return Packet(Coded(raw, track), at, raw.size, raw.is_keyframe)

    def _remember(self, keyframe: _Keyframe, media: Fraction) -> None:
        """Offer the keyframe before this one to begin from; before there are two, the one that reading began with."""
        assert self._wall is not None
        self._keyframes = [*self._keyframes[-1:], keyframe]
        begin = self._keyframes[0]
        self._position = Position(
            {
                "pass": self._pass,
                "pts": begin.pts,
                "index": begin.index,
                "timeline": begin.timeline,
                "part": begin.part,
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


def _stamp(raw: Any) -> int | None:
    """The timestamp that seeking goes by."""
    stamp: int | None = raw.pts if raw.pts is not None else raw.dts
    return stamp
