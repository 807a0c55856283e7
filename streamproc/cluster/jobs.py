"""Stored-video jobs that the nodes of a cluster share: this node follows their records, and has those run whose slots it has.

A job belongs to the slot of its id. What was asked and what is to be cancelled anybody writes down; how a job stands, its checkpoints and its result are
committed by the slot's owner alone. A job whose video only one node has is that node's, whoever has the slot.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import structlog

from connectors.kafka.log import Record
from connectors.kafka.slot_log import Entry, follow_slots
from connectors.kafka.slot_notes import SlotNotes
from streamproc.cluster.division import Shares
from streamproc.cluster.job_ends import JobEnds
from streamproc.cluster.job_store import SharedJobStore
from streamproc.cluster.keeper import SlotKeeper
from streamproc.cluster.slot_commits import Written
from streamproc.cluster.slot_processors import RELEASE_S, until
from streamproc.cluster.slot_store import SlotStore
from streamproc.core.errors import OwnershipLost, SinkBusy, SourceError, StateVersionUnknown, StorageUnavailable
from streamproc.logic.slots import slot_of
from streamproc.store.database import Database
from streamproc.store.job_index import Applied, JobIndex
from streamproc.store.job_records import Records
from streamproc.store.jobs import JobRow
from streamproc.threads import CLUSTER, DATABASE, ENDING
from streamproc.trouble import Trouble

log = structlog.get_logger(__name__)
AGAIN_S = 2.0
FOLLOWS_S = 8.0
PINNED = -1
"""Term of the jobs that are this node's whoever has their slots."""


class Slots(Protocol):
    """Which slots this node has."""

    node_id: str
    leaving: bool
    shares: Shares
    keepers: dict[int, SlotKeeper]

    def keeper(self, number: int) -> SlotKeeper: ...


class SharedJobs:
    """Belongs to the event loop. ``store`` is what the node's workers use."""

    store: SharedJobStore
    """Set by ``bind``."""

    def __init__(self, slots: Slots, store: SlotStore) -> None:
        self.node_id = slots.node_id
        self.busy: frozenset[int] = frozenset()
        """Slots in which there is something to do."""
        self.news: Callable[[], None] = lambda: None
        """Called in any thread when there may be something to do here."""
        self.end_workers: Callable[[], None] = lambda: None
        """Called in a thread before the log is left."""
        self._slots = slots
        self._store = store
        self._topic = store.settings.connection("jobs")
        self._checkpoints = store.settings.connection("checkpoints").topic
        self._fact = f"jobs read of {self._topic.topic}"
        self._notes = SlotNotes(self._topic, store.context)
        self._offsets: dict[int, int] = {}
        self._moved = asyncio.Condition()
        self._trouble = Trouble("jobs_of_others_wait", "jobs_of_others_come", cluster=store.settings.name)
        self._tasks: set[asyncio.Task[None]] = set()
        self._to_look = asyncio.Event()
        self.ends: JobEnds
        self._index: JobIndex

    def bind(self, database: Database, loop: asyncio.AbstractEventLoop) -> None:
        """Before anything else."""
        self.store = SharedJobStore(database, JobIndex(database), self, loop)
        self._index = self.store.index
        self.ends = JobEnds(self.store, self._keeper_of)
        noted = json.loads(database.get(self._fact) or "{}")
        self._offsets = {int(slot): int(offset) for slot, offset in noted.items()}

    def open(self) -> None:
        self._spawn(self._follow_always())
        self._spawn(self._look_always())

    async def close(self) -> None:
        await ENDING.run(self.end_workers)
        await self.ends.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._notes.stop()

    # -- what the workers' store asks

    def slot_of(self, job: str) -> int:
        return slot_of(job, self._store.settings.partitions)

    def term_of(self, row: JobRow) -> int | None:
        if row.node:
            return PINNED if row.node == self.node_id else None
        keeper = self._keeper_of(row.id)
        return keeper.slot.term if keeper is not None and keeper.running and keeper.slot.wanted else None

    def _keeper_of(self, job: str) -> SlotKeeper | None:
        return self._slots.keepers.get(self.slot_of(job))

    def tidies(self, job: str) -> bool:
        return self.slot_of(job) in self._slots.shares.mine

    async def commit(self, row: JobRow, term: int, records: Records, checkpoint: Records) -> None:
        slot = self.slot_of(row.id)
        entries = [Entry(self._checkpoints, key, value) for key, value in checkpoint.items()]
        entries += [Entry(self._topic.topic, key, value) for key, value in records.items()]
        if term == PINNED:
            await self._put([(slot, entry) for entry in entries])
            return
        keeper = self._slots.keepers.get(slot)
        if keeper is None or keeper.slot.term != term:
            raise OwnershipLost(f"slot {slot} is not this node's any more")
        await keeper.commit(Written(entries))

    async def note(self, records: Mapping[str, Records]) -> None:
        entries = [
            (self.slot_of(job), Entry(self._topic.topic, key, value))
            for job, each in records.items()
            for key, value in each.items()
        ]
        offsets = await self._put(entries)
        awaited = {slot: offset for (slot, _), offset in zip(entries, offsets, strict=True)}
        try:
            async with asyncio.timeout(FOLLOWS_S), self._moved:
                await self._moved.wait_for(lambda: all(self._offsets.get(slot, 0) > at for slot, at in awaited.items()))
        except TimeoutError:
            raise StorageUnavailable("the cluster's brokers do not give back what they were told") from None

    # -- slots that come and go

    async def adopt(self, slot: int) -> None:
        """Read what the slot's log holds of jobs. Raises SourceError, StorageUnavailable."""
        # A run of before must not write behind what is read now.
        if not await until(lambda: not self.store.at_work(slot), RELEASE_S):
            raise SourceError(f"a job of slot {slot} does not end here")

        def here(row: JobRow) -> bool:
            return not row.node and self.slot_of(row.id) == slot

        try:
            jobs = await self._store.records("jobs", slot)
            await DATABASE.run(self._index.apply, list(jobs.items()))
            if any(here(row) for row in await DATABASE.run(self._index.rows, "state = 'running'")):
                await DATABASE.run(self._index.restore, here, await self._store.records("checkpoints", slot))
        except StateVersionUnknown as error:
            raise SourceError(str(error)) from None

    async def release(self, slot: int) -> None:
        """Until nothing of the slot is worked at here, or does not end."""
        await until(lambda: not self.store.at_work(slot), RELEASE_S)

    def look(self) -> None:
        """This node may have other slots now."""
        self._to_look.set()

    async def _look_always(self) -> None:
        while True:
            await self._to_look.wait()
            self._to_look.clear()
            try:
                await CLUSTER.run(self._look)
            except StorageUnavailable as error:
                self._trouble.met(error)
                await asyncio.sleep(AGAIN_S)
                self._to_look.set()
            except Exception as error:  # noqa: BLE001 - the task's boundary: the next look is another one
                self._trouble.met(repr(error), bug=error)

    def _look(self) -> None:
        self.store.carry_out_wishes()
        self.news()

    # -- following

    async def _follow_always(self) -> None:
        await self._store.ready.wait()
        await self._see(Applied())
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
        offsets = self._offsets | {record.partition: record.offset + 1 for record in records}
        changes = [((record.key or b"").decode(errors="replace"), record.value) for record in records]
        notes = {self._fact: json.dumps(offsets)}
        applied = await DATABASE.run(lambda: self._index.apply(changes, notes, strict=False))
        self._offsets = offsets
        await self._see(applied)
        async with self._moved:
            self._moved.notify_all()

    async def _see(self, applied: Applied) -> None:
        """What is to be done after records have come."""
        undone = await DATABASE.run(self._index.undone)
        self.busy = frozenset(self.slot_of(row.id) for row in undone if not row.node)
        for slot in self.busy:
            if slot in self._slots.shares.mine and not self._slots.leaving and self._slots.keeper(slot).is_over:
                self._slots.keeper(slot).assigned()
        if applied.told:
            await DATABASE.run(self._index.settle, applied.told)
        if applied.asked or applied.to_cancel:
            self.look()

    async def _put(self, entries: Sequence[tuple[int, Entry]]) -> list[int]:
        try:
            async with asyncio.timeout(FOLLOWS_S):
                await self._store.ready.wait()
        except TimeoutError:
            raise StorageUnavailable("the cluster's brokers have not answered yet") from None
        try:
            return await self._notes.put(entries)
        except SinkBusy as error:
            raise StorageUnavailable(f"the cluster's brokers do not answer: {error}") from None

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work, name="cluster jobs")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
