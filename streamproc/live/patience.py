"""What was decided while the storage took nothing: kept in bounded memory, in order, and written when it takes it again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Protocol

import structlog

from streamproc import metrics
from streamproc.core.errors import OwnershipLost, StorageUnavailable
from streamproc.core.event import Event, EventType, Pictures
from streamproc.logic.backoff import BackoffRule
from streamproc.store.journal import Commit, Journal
from streamproc.trouble import Trouble

log = structlog.get_logger(__name__)

RETRY = BackoffRule(first_s=0.5, factor=1.6, cap_s=5.0)
PATIENCE_S = 2.0
"""How long a worker waits for another writer before its decision waits in memory: it serves other cameras too."""
MAX_EVENTS = 20_000
"""Of all processors together; about 2 kB each. A camera announces a few a minute."""
MAX_RECORDS = 5_000
"""Beyond so many waiting events face records, which come with every look, are not kept."""
MAX_PICTURE_BYTES = 64 * 1024 * 1024

OnStored = Callable[[Sequence[Event]], None]


def merged(first: Commit, then: Commit) -> Commit:
    """One commit that leaves what two after each other leave."""
    sessions = {row.id: row for row in (*first.sessions, *then.sessions)}
    if then.checkpoint is not None or then.forget_checkpoint:
        checkpoint, forget = then.checkpoint, then.forget_checkpoint
    else:
        checkpoint, forget = first.checkpoint, first.forget_checkpoint
    events = [*first.events, *then.events]
    return Commit(then.processor, list(sessions.values()), events, then.routes or first.routes, checkpoint, forget)


class Committing(Protocol):
    """Where decisions become durable: ``store.journal.Journal``, or what stands before it."""

    def commit(self, commit: Commit, patience_s: float) -> list[Event]:
        """As ``Journal.commit``. Raises OwnershipLost where the processor is not this node's any more; nothing has changed then."""
        ...


@dataclass(frozen=True, slots=True)
class _Waiting:
    commit: Commit
    on_stored: OnStored


class PatientJournal:
    """The way of all processors into the journal. Thread-safe.

    While the storage is unavailable each processor has one commit here that grows; a thread tries to write them. Everything of a
    processor is written in order, so nothing that is decided meanwhile can overtake what waits.
    """

    def __init__(self, journal: Journal) -> None:
        self.journal: Committing = journal
        self.reason = ""
        """Why the storage takes nothing; empty while it does."""
        self._waiting: dict[str, _Waiting] = {}
        self._writing: str | None = None
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._events = 0
        self._picture_bytes = 0
        self._since = 0.0
        self._thread: threading.Thread | None = None
        self._closed = False
        self._random = Random()
        self._broken = Trouble("storage_failed", "storage_works")

    def commit(self, commit: Commit, on_stored: OnStored) -> bool:
        """True: it is durable, and ``on_stored`` was called with the events that are new. False: it waits, and will be; or another
        node has the processor, and it never counted.

        Raises StorageUnavailable where no more may wait.
        """
        with self._lock:
            if self._thread is not None:
                self._keep(commit, on_stored)
                return False
        try:
            fresh = self.journal.commit(commit, patience_s=PATIENCE_S)
        except OwnershipLost:
            return False
        except StorageUnavailable as error:
            with self._lock:
                self._keep(commit, on_stored)
                self._begin(str(error))
            return False
        on_stored(fresh)
        return True

    def waits(self, processor: str) -> bool:
        """Whether something of the processor is not durable yet."""
        return processor in self._waiting or self._writing == processor

    def forget(self, processor: str) -> None:
        """Another node has the processor: what of it waits counts for nothing."""
        with self._lock:
            dropped = self._waiting.pop(processor, None)
            self._count()
        if dropped is not None and dropped.commit.events:
            log.warning("dropped_what_waited", processor=processor, events=len(dropped.commit.events))

    def close(self, timeout_s: float) -> None:
        """Wait for storage once more, at most so long, then give up what waits: the next process goes on from what is on disk, as
        after a crash."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting and self._writing is None, timeout_s)
            self._closed = True
            # An attempt under way is waited for, so that what it ends with is counted; a disk that hangs is not.
            self._changed.wait_for(lambda: self._writing is None, PATIENCE_S + 1)
            left = sum(len(item.commit.events) for item in self._waiting.values())
            self._changed.notify_all()
        if left:
            log.error("storage_never_came_back", lost_events=left, reason=self.reason)

    # -- inside

    def _keep(self, commit: Commit, on_stored: OnStored) -> None:
        events = [(event, self._affordable(pictures)) for event, pictures in commit.events if self._has_room_for(event)]
        if events and self._events + len(events) > MAX_EVENTS:
            raise StorageUnavailable(
                f"{self.reason}; {MAX_EVENTS} events wait already, and no more can be kept in memory"
            )
        commit = replace(commit, events=events)
        before = self._waiting.get(commit.processor)
        if before is not None:
            commit = merged(before.commit, commit)
        self._waiting[commit.processor] = _Waiting(commit, on_stored)
        self._count()

    def _has_room_for(self, event: Event) -> bool:
        if event.type is not EventType.FACE_RECORD or self._events < MAX_RECORDS:
            return True
        metrics.OUTBOX_SHED.labels("records").inc()
        return False

    def _affordable(self, pictures: Pictures | None) -> Pictures | None:
        if pictures is None or self._picture_bytes + len(pictures.frame) + len(pictures.crop) <= MAX_PICTURE_BYTES:
            return pictures
        metrics.OUTBOX_SHED.labels("pictures").inc()
        return None

    def _count(self) -> None:
        pairs = [pair for item in self._waiting.values() for pair in item.commit.events]
        self._events = len(pairs)
        self._picture_bytes = sum(len(kept.frame) + len(kept.crop) for _, kept in pairs if kept is not None)
        metrics.STORAGE_WAITING.set(self._events)

    def _begin(self, reason: str) -> None:
        if self._thread is not None:
            return
        self.reason, self._since = reason, time.monotonic()
        metrics.STORAGE_UNAVAILABLE.set(1)
        log.error("storage_unavailable", reason=reason, doing="what is decided waits in memory until it can be written")
        self._thread = threading.Thread(target=self._write, name="storage", daemon=True)
        self._thread.start()

    def _write(self) -> None:
        failures = 0
        while True:
            with self._changed:
                failures = failures if self._closed else failures + 1
                self._changed.wait_for(lambda: self._closed, RETRY.wait(failures, self._random))
                if self._closed:
                    return
                names = list(self._waiting)
            try:
                for name in names:
                    self._write_one(name)
            except StorageUnavailable as error:
                self.reason = str(error)
                continue
            except Exception as error:  # noqa: BLE001 - the thread's boundary: what waits is tried again
                self._broken.met(repr(error), bug=error)
                continue
            self._broken.over()
            failures = 0
            with self._changed:
                if self._waiting:
                    continue
                self._thread, self.reason = None, ""
                metrics.STORAGE_UNAVAILABLE.set(0)
                log.warning("storage_available", after_s=round(time.monotonic() - self._since, 1))
                return

    def _write_one(self, name: str) -> None:
        with self._lock:
            item = self._waiting.pop(name, None)
            if item is None:  # another node has the processor by now
                return
            self._writing = name
        try:
            fresh = self.journal.commit(item.commit, patience_s=PATIENCE_S)
        except OwnershipLost:
            self.forget(name)
        except BaseException:
            with self._lock:
                more = self._waiting.get(name)
                # What came meanwhile is put behind it; the callback is the same object's for all of a processor.
                self._waiting = {name: _put_behind(item, more), **{k: v for k, v in self._waiting.items() if k != name}}
            raise
        else:
            item.on_stored(fresh)
        finally:
            with self._changed:
                self._writing = None
                self._count()
                self._changed.notify_all()


def _put_behind(first: _Waiting, then: _Waiting | None) -> _Waiting:
    return first if then is None else _Waiting(merged(first.commit, then.commit), then.on_stored)
