"""What the processors of other nodes told, in this node's history: it follows the cluster's events. Nothing of them is this node's to deliver."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence

import structlog

from connectors.kafka.log import Record
from connectors.kafka.slot_log import follow_slots
from streamproc.cluster.slot_store import SlotStore
from streamproc.core.errors import SourceError, StateError, StorageUnavailable
from streamproc.core.event import EventType
from streamproc.live.supervisor import Supervisor
from streamproc.store.takeover import EventRecord, look_on
from streamproc.threads import DATABASE
from streamproc.trouble import Trouble

log = structlog.get_logger(__name__)
AGAIN_S = 2.0
NOTE_EVERY_S = 5.0
"""What was read since the last note is read again by the next process; it is known by id then."""


class SharedHistory:
    """Belongs to the event loop."""

    supervisor: Supervisor
    """Set before it is opened."""

    def __init__(self, store: SlotStore, runs_here: Callable[[int], bool]) -> None:
        """``runs_here``: whether this node commits what a slot's processors decide: it writes their events into its history itself then."""
        self._store = store
        self._topic = store.settings.connection("events")
        self._fact = f"history read of {self._topic.topic}"
        self._runs_here = runs_here
        self._offsets: dict[int, int] = {}
        self._noted = 0.0
        self._trouble = Trouble("events_of_others_wait", "events_of_others_come", cluster=store.settings.name)
        self._following: asyncio.Task[None] | None = None

    def open(self) -> None:
        noted = json.loads(self.supervisor.database.get(self._fact) or "{}")
        self._offsets = {int(slot): int(offset) for slot, offset in noted.items()}
        self._following = asyncio.create_task(self._follow_always(), name="events of other nodes")

    async def close(self) -> None:
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)

    async def _follow_always(self) -> None:
        await self._store.ready.wait()
        while True:
            try:
                async for records in follow_slots(self._topic, self._store.context, self._offsets):
                    if records:
                        await self._take(records)
                    self._trouble.over()
            except (SourceError, StorageUnavailable) as error:
                self._trouble.met(error)
            except Exception as error:  # noqa: BLE001 - the task's boundary: one bad moment must not end it for good
                self._trouble.met(repr(error), bug=error)
            await asyncio.sleep(AGAIN_S)

    async def _take(self, records: Sequence[Record]) -> None:
        found = [event for record in records if (event := self._event(record)) is not None]
        if found:
            await DATABASE.run(look_on, self.supervisor.journal, found)
        self._offsets |= {record.partition: record.offset + 1 for record in records}
        if time.monotonic() - self._noted > NOTE_EVERY_S:
            self._noted = time.monotonic()
            await DATABASE.run(self.supervisor.database.put, self._fact, json.dumps(self._offsets))

    def _event(self, record: Record) -> EventRecord | None:
        """Of another node, to be shown."""
        if self._runs_here(record.partition) or record.headers.get("type") == EventType.FACE_RECORD.value.encode():
            return None
        try:
            return EventRecord.read(record.value or b"", record.headers)
        except StateError as error:
            log.error("event_unreadable", slot=record.partition, offset=record.offset, reason=str(error))
            return None
