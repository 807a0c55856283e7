"""A Kafka topic of self-contained video fragments as a durable feed."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Coroutine, Iterator
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any, TypeVar

import structlog
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
)

from connectors.context import ConnectorContext
from connectors.kafka.connection import UNKNOWN_US, words
from connectors.kafka.log import OffsetNotes, Record, Skipped, TopicLog
from connectors.kafka.settings import KafkaSourceSettings
from connectors.kafka.start import StartPlace, resolve
from streamproc import metrics
from streamproc.contracts import Position, SourceTraits
from streamproc.core.errors import MediaError, SourceRefused
from streamproc.core.media import FragmentMark, Gap, GapReason, Packet, StreamItem
from streamproc.logic.backoff import Backoff, BackoffRule
from streamproc.logic.partition_merge import PartitionMerge
from streamproc.media.fragment_feed import FragmentFeed
from streamproc.media.fragments import Fragment, read_fragment
from streamproc.trouble import Trouble

log = structlog.get_logger(__name__)

PAUSE_S = 0.25
"""Longest sleep between looks at ``stop``."""
COMMIT_EVERY_S = 1.0
MERGE_BYTES = 32 * 1024 * 1024
"""Of each partition that runs ahead of the others; it is then not fetched further."""
REFUSALS = (
    *UNKNOWN_US,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
)
T = TypeVar("T")


class _Stopped(Exception):
    """``stop`` was set while the broker was being waited for."""


class KafkaSource:
    """See ``contracts.Source``. Runs a private event loop in the thread of ``items``; the broker's absence is waited out."""

    traits = SourceTraits(live=False, replayable=True, keeps_backlog=True)

    def __init__(self, settings: KafkaSourceSettings, context: ConnectorContext) -> None:
        self._settings = settings
        self._key = None if settings.stream is None else settings.stream.encode()
        self._context = context
        self._feed = FragmentFeed()
        self._next: dict[int, int] = {}
        self._position: Position | None = None
        self._start: StartPlace | None = None
        self._durable: dict[int, int] = {}
        self._committed: tuple[dict[int, int], float] = ({}, 0.0)
        self._lock = threading.Lock()
        self._away = Trouble("brokers_away", "brokers_answer", topic=settings.topic)
        self._uncommitted = Trouble("offsets_not_committed", "offsets_committed", topic=settings.topic)
        self.note = "connecting"
        """See ``contracts.Explains``."""
        self.skipped = 0
        """Fragments that could not be read."""

    def items(self, stop: threading.Event, resume: Position | None = None) -> Iterator[StreamItem]:
        """Never ends by itself. Raises SourceRefused where the brokers refuse us, InputError where a secret is missing."""
        if resume is not None:
            self._next = {int(partition): int(offset) for partition, offset in resume.token["offsets"].items()}
            self._feed.clock.restore(resume.token["clock"])
            self._position = resume
        backoff = Backoff(BackoffRule(cap_s=10.0, healthy_s=10.0), Random())
        loop = asyncio.new_event_loop()
        try:
            while not stop.is_set():
                try:
                    yield from self._connected(loop, stop, backoff)
                except _Stopped:
                    return
                except REFUSALS as error:
                    raise SourceRefused(f"{self._settings.bootstrap_servers}: {words(error)}") from None
                except (KafkaError, OSError) as error:
                    self.note = f"waiting for {self._settings.bootstrap_servers}: {words(error)}"
                    self._away.met(words(error))
                    stop.wait(backoff.failed(time.monotonic()))
        finally:
            _close(loop)

    def position(self) -> Position | None:
        return self._position

    def durable(self, position: Position) -> None:
        with self._lock:
            self._durable = {int(partition): int(offset) for partition, offset in position.token["offsets"].items()}

    # -- one connection

    def _connected(
        self, loop: asyncio.AbstractEventLoop, stop: threading.Event, backoff: Backoff
    ) -> Iterator[StreamItem]:
        topic, notes = loop.run_until_complete(_clients(self._settings, self._context))
        try:
            _run(loop, topic.start(), stop)
            backoff.succeeded(time.monotonic())
            _run(loop, self._begin(topic, stop), stop)
            self.note = ""
            self._away.over()
            merge = PartitionMerge[Record | Skipped](self._next, MERGE_BYTES)
            while not stop.is_set():
                for record in _run(loop, self._read(topic, merge), stop):
                    yield from self._record_or_gap(record)
                    if stop.is_set():
                        break
                _run(loop, self._commit(notes), stop)
        finally:
            loop.run_until_complete(self._leave(topic, notes))

    async def _begin(self, topic: TopicLog, stop: threading.Event) -> None:
        """Wait for the topic, then read on from where we were, or from where the settings say."""
        while not (partitions := await topic.partitions()):
            self.note = f"waiting for the topic {self._settings.topic}"
            self._start = StartPlace({})
            await asyncio.sleep(PAUSE_S)
        if not self._next and self._start is None:
            self._start = await resolve(topic, self._settings.start, partial(_is_of, self._key))
        offsets = self._start.offsets if self._start is not None else {}
        # A partition that came later is read from its beginning.
        self._next = {partition: self._next.get(partition, offsets.get(partition, 0)) for partition in partitions}
        topic.assign(self._next)

    async def _read(self, topic: TopicLog, merge: PartitionMerge[Record | Skipped]) -> list[Record | Skipped]:
        """What came, in the order of its producers' clocks: several partitions may hold one feed."""
        came = await topic.read()
        if len(self._next) < 2:
            return came
        for record in came:
            if isinstance(record, Skipped):
                merge.add(record.partition, None, 0, record)
            else:
                merge.add(record.partition, record.producer, len(record.value or b""), record)
        ready = merge.take(await topic.caught_up())
        topic.pause(merge.full())
        return ready

    async def _commit(self, notes: OffsetNotes) -> None:
        with self._lock:
            wanted = dict(self._durable)
        done, at = self._committed
        if not wanted or wanted == done or time.monotonic() - at < COMMIT_EVERY_S:
            return
        self._committed = (wanted, time.monotonic())
        try:
            await notes.commit(wanted)
            self._uncommitted.over()
        except (KafkaError, OSError) as error:
            # Our own store knows the position; the broker's copy is for whoever watches the lag.
            self._uncommitted.met(words(error))

    async def _leave(self, topic: TopicLog, notes: OffsetNotes) -> None:
        self._committed = (self._committed[0], 0.0)
        for farewell in (self._commit(notes), notes.stop(), topic.stop()):
            try:
                async with asyncio.timeout(2):
                    await farewell
            # The client cancels tasks of its own.
            except (TimeoutError, asyncio.CancelledError, KafkaError, OSError) as error:
                log.debug("not_left_cleanly", topic=self._settings.topic, reason=words(error))

    # -- one record

    def _record_or_gap(self, record: Record | Skipped) -> Iterator[StreamItem]:
        """One record; whatever is wrong with it is a gap, and the next one follows."""
        try:
            yield from self._record(record)
        except Exception as error:  # the boundary of a record: no message may end the feed for good
            log.exception("fragment_broke", topic=self._settings.topic, record=str(record)[:80])
            if isinstance(record, Record):
                self._pass(record)
                yield self._report(f"{_name(record)}: {type(error).__name__}", GapReason.CORRUPT)

    def _record(self, record: Record | Skipped) -> Iterator[StreamItem]:
        if isinstance(record, Skipped):
            self._next[record.partition] = record.end
            yield self._report(f"offsets {record.begin} to {record.end}: {record.reason}", GapReason.SKIPPED)
            return
        if record.offset < self._next.get(record.partition, 0):
            return
        if not _is_of(self._key, record) or not record.value:
            self._pass(record)
        elif len(record.value) > self._settings.max_fragment_bytes:
            self._pass(record)
            size, most = len(record.value), self._settings.max_fragment_bytes
            yield self._report(f"{_name(record)} has {size} bytes, max_fragment_bytes is {most}", GapReason.CORRUPT)
        elif self._feed.clock.is_repeated(record.number, record.producer):
            self._pass(record)
        else:
            yield from self._fragment(record, record.value)

    def _fragment(self, record: Record, value: bytes) -> Iterator[StreamItem]:
        try:
            fragment = read_fragment(value, _name(record))
        except MediaError as error:
            self._pass(record)
            yield self._report(str(error), GapReason.CORRUPT)
            return
        end = record.producer + timedelta(microseconds=round(fragment.duration * 1_000_000))
        if self._start is not None and self._start.not_before is not None:
            if end <= self._start.not_before and record.producer < self._start.not_before:
                self._pass(record)
                return
            self._start = StartPlace(self._start.offsets)
        yield from self._packets(record, fragment)
        if fragment.damage:
            yield self._report(f"{_name(record)} is damaged: {fragment.damage}", GapReason.CORRUPT)

    def _packets(self, record: Record, fragment: Fragment) -> Iterator[StreamItem]:
        self._offer()
        mark = FragmentMark(record.number, record.producer, record.server)
        for item in self._feed.packets(fragment, mark, _name(record)):
            if isinstance(item, Packet) and item.ends:
                self._pass(record)
            yield item

    def _pass(self, record: Record) -> None:
        self._next[record.partition] = record.offset + 1
        self._offer()

    def _offer(self) -> None:
        """A clean point: between fragments."""
        self._position = Position(
            {"offsets": {str(p): offset for p, offset in self._next.items()}, "clock": self._feed.clock.snapshot()}
        )

    def _report(self, detail: str, reason: GapReason) -> Gap:
        self.skipped += 1
        metrics.FRAGMENTS_SKIPPED.labels(self._context.processor, reason.value).inc()
        log.warning("fragment_skipped", topic=self._settings.topic, reason=detail)
        return Gap(reason, self._feed.last, detail)


async def _clients(settings: KafkaSourceSettings, context: ConnectorContext) -> tuple[TopicLog, OffsetNotes]:
    """Made in the loop that they belong to."""
    return TopicLog(settings, context), OffsetNotes(settings, context, group_name(context))


def group_name(context: ConnectorContext) -> str:
    """The consumer group under which offsets are committed."""
    return re.sub(r"[^a-zA-Z0-9._-]", "-", f"streamproc-{context.node_id}-{context.processor}")


def _is_of(key: bytes | None, record: Record) -> bool:
    return key is None or record.key == key


def _name(record: Record) -> str:
    return f"fragment {record.number} (partition {record.partition}, offset {record.offset})"


def _run(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T], stop: threading.Event) -> T:
    """Run until it is done or ``stop`` is set; then it is cancelled and _Stopped raised."""

    async def watched() -> T:
        task = asyncio.create_task(work)
        while not task.done():
            await asyncio.wait({task}, timeout=PAUSE_S)
            if stop.is_set() and not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=PAUSE_S)
                raise _Stopped
        return task.result()

    return loop.run_until_complete(watched())


def _close(loop: asyncio.AbstractEventLoop) -> None:
    """With what clients have left running in it."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    loop.run_until_complete(asyncio.wait(left, timeout=PAUSE_S) if left else asyncio.sleep(0))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
