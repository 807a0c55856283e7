"""Tracing: keeps what each processor's runs decided, and explains it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from typing import Any

import structlog

from streamproc.config.processor import ProcessorConfig
from streamproc.core.decisions import FACE, Aspect, ConditionRecord, FrameRecord, Record
from streamproc.live.run import Run
from streamproc.logic.explain import Span, Trace, explain
from streamproc.logic.explain_words import Wanted
from streamproc.store.trace_ring import TraceRing

log = structlog.get_logger(__name__)

FLUSH_S = 5.0
"""Seconds of records to a block: larger ones pack better, smaller ones are sooner safe."""
_MOST_WAITING = 20_000
"""Records of one processor that wait for the disk; beyond it the oldest are lost."""


class TraceBuffer:
    """Records of one processor on their way to the ring. ``take`` is called by workers, ``drain`` by the writer."""

    def __init__(self) -> None:
        self._waiting: deque[Record] = deque(maxlen=_MOST_WAITING)
        self._held: dict[Aspect, ConditionRecord] = {}

    def take(self, record: Record) -> None:
        self._waiting.append(record)

    def drain(self) -> tuple[list[Record], list[ConditionRecord]]:
        """What waits, and the conditions that held before it."""
        records = [self._waiting.popleft() for _ in range(len(self._waiting))]
        before = list(self._held.values())
        for record in records:
            if isinstance(record, ConditionRecord):
                self._held[record.aspect] = record
        return records, before


@dataclass(frozen=True, slots=True)
class Asked:
    """A question about a span of time."""

    start: datetime
    end: datetime
    zone: tzinfo | None = None
    """In whose time the sentences speak; None: UTC."""
    faces: bool = True
    """Whether whoever asks may know about faces."""


class Tracing:
    """The traces of all processors of a node. A thread of its own writes; workers only append to a queue."""

    def __init__(self, ring: TraceRing) -> None:
        self.ring = ring
        self._buffers: dict[str, TraceBuffer] = {}
        self._stopped = threading.Event()
        self._flushing = threading.Lock()
        self._failed = False
        self._thread = threading.Thread(target=self._write, name="trace-writer", daemon=True)

    def open(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Write what waits, and stop. Blocks for as long as the disk takes."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join(FLUSH_S)
        self.flush()

    def follow(self, name: str, run: Run) -> None:
        """Keep what a run decides, from before it begins to read."""
        buffer = self._buffers.setdefault(name, TraceBuffer())
        run.lane.frames.trace.observers.add(buffer.take)

    def forget(self, name: str) -> None:
        """The processor was deleted."""
        self._buffers.pop(name, None)
        self.ring.forget(name)

    def flush(self) -> None:
        """Write what waits, now. A disk that takes nothing costs the records, and is said once."""
        with self._flushing:
            for name, buffer in tuple(self._buffers.items()):
                records, before = buffer.drain()
                if not records:
                    continue
                try:
                    self.ring.append(name, records, before)
                    self._failed = False
                except OSError as error:
                    if not self._failed:
                        log.warning("trace_not_written", processor=name, reason=str(error))
                    self._failed = True

    def explain(self, name: str, config: ProcessorConfig | None, asked: Asked) -> dict[str, Any]:
        """Blocks while the disk is read. ``config``: the document of now, for the sentences."""
        self.flush()
        earlier, records = self.ring.read(name, asked.start, asked.end)
        if not asked.faces:
            records = [_faceless(record) for record in records]
        span = Span(name, asked.start, asked.end, asked.zone, wanted(config) if config is not None else Wanted())
        return explain(span, Trace.cut(earlier, records, asked.start, asked.end))

    def records(self, name: str, start: datetime, end: datetime) -> list[Record]:
        """What was decided in a span, in order of time. Blocks while the disk is read."""
        self.flush()
        return sorted(self.ring.read(name, start, end)[1], key=lambda each: each.at)

    def _write(self) -> None:
        while not self._stopped.wait(FLUSH_S):
            self.flush()


class TraceMemory:
    """Records of one run in memory: of a replay."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    @property
    def take(self) -> Callable[[Record], None]:
        return self.records.append

    def explain(self, name: str, config: ProcessorConfig, start: datetime, end: datetime) -> dict[str, Any]:
        """Sentences speak in UTC: a clip has no time zone."""
        return explain(Span(name, start, end, None, wanted(config)), Trace.cut((), self.records, start, end))


def _faceless(record: Record) -> Record:
    if not isinstance(record, FrameRecord):
        return record
    return replace(record, candidates=tuple(each for each in record.candidates if each.label != FACE))


def wanted(config: ProcessorConfig) -> Wanted:
    """What sentences say of a processor's document."""
    classes = config.labels.classes if config.labels is not None else ()
    faces = ("faces",) if config.faces is not None else ()
    masks = tuple((mask.name or "", mask.points) for mask in config.masks)
    return Wanted((*classes, *faces), config.session.mode == "continuous", masks)


def span_about(at: datetime | None, window: timedelta, now: datetime) -> tuple[datetime, datetime]:
    """The window about an instant; without one, the window that ends now."""
    return (at - window / 2, at + window / 2) if at is not None else (now - window, now)
