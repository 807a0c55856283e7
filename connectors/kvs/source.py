"""A Kinesis video stream as a durable feed, out of this node's own store or over the network."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

import structlog

from connectors.context import ConnectorContext
from connectors.kvs.fragments import FragmentItems
from connectors.kvs.settings import KvsSourceSettings
from connectors.starts import FragmentStart, TimestampStart
from streamproc import metrics
from streamproc.contracts import Position, SourceTraits
from streamproc.core.errors import SourceError, SourceRefused
from streamproc.core.media import Packet, StreamItem
from streamproc.core.video_log import FragmentInfo, FragmentReader
from streamproc.logic.backoff import Backoff, BackoffRule
from streamproc.trouble import Trouble

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
        self._context = context
        self._items = FragmentItems(
            self._stream, settings.start.instant if isinstance(settings.start, TimestampStart) else None
        )
        self._away = Trouble("stream_not_read", "stream_read_again", stream=self._stream)
        self._after: str | None = None
        self._position: Position | None = None
        self.note = f"waiting for the stream {self._stream}"
        """See ``contracts.Explains``."""
        self._empty_waits = 0

    def items(self, stop: threading.Event, resume: Position | None = None) -> Iterator[StreamItem]:
        """Raises SourceRefused where this node has no streams, or the service lets nobody in who has these credentials."""
        if resume is not None:
            self._after = str(resume.token["after"]) or None
            self._items.feed.clock.restore(resume.token["clock"])
            self._position, self._items.not_before = resume, None
        if self._settings.is_local:
            if self._context.fragments is None:
                raise SourceRefused("this node has no video streams here; only the daemon has")
            yield from self._read(self._context.fragments, stop)
            return
        from connectors.kvs.remote import RemoteReader

        remote = RemoteReader(self._settings, self._context, metrics.KVS_BEHIND.labels(self._context.processor).set)
        try:
            yield from self._read(remote, stop)
        finally:
            remote.close()

    def _read(self, reader: FragmentReader, stop: threading.Event) -> Iterator[StreamItem]:
        backoff = Backoff(BackoffRule(cap_s=5.0, healthy_s=10.0), Random())
        while not stop.is_set():
            try:
                found = self._next(reader, stop)
            except SourceRefused:
                raise
            except SourceError as error:
                self.note = str(error)
                self._away.met(error)
                stop.wait(backoff.failed(time.monotonic()))
                continue
            if found is not None:
                backoff.succeeded(time.monotonic())
                self._away.over()
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
        self._offer()
        for item in self._items.items(info, data):
            if isinstance(item, Packet) and item.ends:
                self._pass(info)
            yield item
        if self._after != info.number:
            self._pass(info)

    def _pass(self, info: FragmentInfo) -> None:
        self._after = info.number
        self._offer()

    def _offer(self) -> None:
        """A clean point: between fragments."""
        self._position = Position({"after": self._after or "", "clock": self._items.feed.clock.snapshot()})


def _start(settings: KvsSourceSettings) -> str | Mapping[str, Any]:
    start = settings.start
    if isinstance(start, FragmentStart):
        return {"fragment": start.fragment}
    if isinstance(start, TimestampStart):
        return {"timestamp": start.instant.timestamp()}
    return start
