"""A Kinesis video stream as a durable feed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from random import Random
from typing import Any

import structlog

from connectors.context import ConnectorContext
from connectors.kvs.settings import KvsSourceSettings
from connectors.starts import FragmentStart, TimestampStart
from streamproc.contracts import Position, SourceTraits
from streamproc.core.errors import MediaError, SourceError, SourceRefused
from streamproc.core.media import FragmentMark, Gap, GapReason, StreamItem
from streamproc.core.video_log import FragmentInfo, FragmentReader
from streamproc.logic.backoff import Backoff, BackoffRule
from streamproc.media.fragment_feed import FragmentFeed
from streamproc.media.fragments import Fragment, read_fragment
from streamproc.media.matroska import first_timecode_ms, read_header

log = structlog.get_logger(__name__)

WAIT_S = 0.4
"""Longest wait for a fragment between looks at ``stop``."""
LONG_S = 15.0
"""Fragments last up to ten seconds; a longer silence is worth a word."""


class KvsSource:
    """See ``contracts.Source``. Never ends by itself: a stream without video is waited for, and so is one that does not exist yet."""

    traits = SourceTraits(live=False, replayable=True, keeps_backlog=True)

    def __init__(self, settings: KvsSourceSettings, context: ConnectorContext) -> None:
        self._settings = settings
        self._stream = settings.stream_name
        self._reader = context.fragments
        self._feed = FragmentFeed()
        self._after: str | None = None
        self._position: Position | None = None
        self._not_before = settings.start.instant if isinstance(settings.start, TimestampStart) else None
        self.note = f"waiting for the stream {self._stream}"
        """See ``contracts.Explains``."""
        self._empty_waits = 0
        self.without_video = 0
        """Fragments that hold sound alone."""

    def items(self, stop: threading.Event, resume: Position | None = None) -> Iterator[StreamItem]:
        """Raises SourceRefused where this node has no streams."""
        reader = self._reader
        if reader is None:
            raise SourceRefused("this node has no video streams; add kinesis_video: {} to streamproc.yaml")
        if resume is not None:
            self._after = str(resume.token["after"])
            self._feed.clock.restore(resume.token["clock"])
            self._position, self._not_before = resume, None
        backoff = Backoff(BackoffRule(cap_s=5.0, healthy_s=10.0), Random())
        while not stop.is_set():
            try:
                found = self._next(reader, stop)
            except SourceError as error:
                self.note = str(error)
                log.warning("the stream cannot be read", stream=self._stream, reason=str(error))
                stop.wait(backoff.failed(time.monotonic()))
                continue
            if found is not None:
                backoff.succeeded(time.monotonic())
                yield from self._fragment(*found)

    def position(self) -> Position | None:
        return self._position

    def durable(self, position: Position) -> None:
        pass

    def _next(self, reader: FragmentReader, stop: threading.Event) -> tuple[FragmentInfo, bytes] | None:
        if self._after is None:
            self._after = reader.begin(self._stream, _start(self._settings))
            if self._after is None:
                stop.wait(WAIT_S)
                return None
        found = reader.next(self._stream, self._after, WAIT_S)
        self._empty_waits = self._empty_waits + 1 if found is None else 0
        if found is not None:
            self.note = ""
        elif self.note or self._empty_waits * WAIT_S > LONG_S:
            self.note = f"waiting for a fragment of {self._stream}"
        return found

    def _fragment(self, info: FragmentInfo, data: bytes) -> Iterator[StreamItem]:
        name = f"fragment {info.number}"
        try:
            if not read_header(data).has_video:
                self.without_video += 1
                self._pass(info)
                return
            fragment = read_fragment(data, name)
        except MediaError as error:
            self._pass(info)
            log.warning("fragment skipped", stream=self._stream, reason=str(error))
            yield Gap(GapReason.CORRUPT, self._feed.last, str(error))
            return
        if self._is_too_early(info, fragment):
            self._pass(info)
            return
        self._not_before = None
        mark = FragmentMark(info.number, _instant(info.producer_ms), _instant(info.server_ms))
        lead = fragment.first_pts - Fraction(first_timecode_ms(data), 1000)
        self._offer()
        for item in self._feed.packets(fragment, mark, name, lead):
            if not isinstance(item, Gap) and item.ends:
                self._pass(info)
            yield item
        if fragment.damage:
            yield Gap(GapReason.CORRUPT, self._feed.last, f"{name} is damaged: {fragment.damage}")

    def _is_too_early(self, info: FragmentInfo, fragment: Fragment) -> bool:
        if self._not_before is None:
            return False
        end = _instant(info.producer_ms) + timedelta(microseconds=round(fragment.duration * 1_000_000))
        return end <= self._not_before

    def _pass(self, info: FragmentInfo) -> None:
        self._after = info.number
        self._offer()

    def _offer(self) -> None:
        """A clean point: between fragments."""
        self._position = Position({"after": self._after or "", "clock": self._feed.clock.snapshot()})


def _start(settings: KvsSourceSettings) -> str | Mapping[str, Any]:
    start = settings.start
    if isinstance(start, FragmentStart):
        return {"fragment": start.fragment}
    if isinstance(start, TimestampStart):
        return {"timestamp": start.instant.timestamp()}
    return start


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds)
