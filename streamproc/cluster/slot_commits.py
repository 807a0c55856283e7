"""The transactions of one slot: what its processors decide and its outputs settle, batched; and finding out about one that nobody answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest

import structlog

from connectors.kafka.slot_log import Entry, Lost, SlotWriter, Uncertain
from streamproc import metrics
from streamproc.cluster.formats import newest, written
from streamproc.cluster.slot_ledger import SlotLedger
from streamproc.cluster.slot_store import Owner, SlotContents, SlotStore
from streamproc.core.errors import OwnershipLost, SourceError, StorageUnavailable
from streamproc.core.event import Event
from streamproc.core.route import Route
from streamproc.store.journal import Commit
from streamproc.store.takeover import EventRecord, LaneRecord, Standing

log = structlog.get_logger(__name__)
AGAIN_S = 0.5
BATCH = 64
"""Decisions of a slot's processors that share a transaction at most."""


@dataclass(frozen=True, slots=True)
class Decided:
    """What one processor decided: its commit, the events of it that are new, and its standing after it."""

    commit: Commit
    events: Sequence[EventRecord]
    standing: Standing


@dataclass(frozen=True, slots=True)
class Forgotten:
    """A processor was deleted: another of its name begins anew."""

    processor: str


@dataclass(frozen=True, slots=True)
class Written:
    """Records of the slot beside those of processors. Written twice where nobody said that they are written: a key's newest value counts."""

    entries: Sequence[Entry]


@dataclass(slots=True)
class _Pending:
    decided: Decided | Forgotten | Written | None
    """None: only whether the slot is still this node's is asked."""
    done: asyncio.Future[None]


@dataclass(slots=True)
class _Attempt:
    """A transaction whose end is not known yet."""

    commit: int
    lanes: dict[str, LaneRecord | None] = field(default_factory=dict)
    """None: forgotten."""
    ids: set[str] = field(default_factory=set)
    events: list[tuple[Event, Sequence[Route]]] = field(default_factory=list)
    """In the order in which they are sent, with whom they are owed to."""
    written: list[Entry] = field(default_factory=list)
    settled: dict[tuple[str, str], int] = field(default_factory=dict)
    waiting: list[_Pending] = field(default_factory=list)
    format: int = 0
    """In which its lanes are written."""


class SlotCommits:
    """From the first transaction of a new owner to the end of its ownership. Belongs to the event loop; one transaction at a time."""

    def __init__(
        self,
        number: int,
        store: SlotStore,
        writer: SlotWriter,
        still_ours: Callable[[], Awaitable[bool]],
        on_lost: Callable[[Lost], None],
        format_now: Callable[[], int] = newest,
    ) -> None:
        """``still_ours``: whether the group counts on this node for the slot; raises SourceError. ``on_lost`` is called once, when another has
        the slot. ``format_now``: in which all nodes can read what is written."""
        self.releasing = False
        """The next transaction says that it is the last."""
        self._number = number
        self._store = store
        self._writer = writer
        self._still_ours = still_ours
        self._on_lost = on_lost
        self._format_now = format_now
        self._format = newest()
        """No record of the slot is in a newer one."""
        self._owner = Owner()
        self._lanes: dict[str, LaneRecord] = {}
        self._ledger = SlotLedger(store)
        self._queue: list[_Pending] = []
        self._unsure: _Attempt | None = None
        self._kept: set[str] = set()
        """Ids that the log has although whoever committed them was told that they wait."""
        self._proven = float("-inf")
        self._closed = False
        self._writing: asyncio.Task[None] | None = None

    async def begin(self, owner: Owner, contents: SlotContents) -> None:
        """Write down who it is that goes on from these contents. Raises Lost, Uncertain."""
        self._ledger.inherit(contents)
        self._lanes, self._owner = dict(contents.lanes), replace(owner, commit=1, owed_from=self._ledger.owed_from)
        begun = time.monotonic()
        await self._writer.commit([self._owner.entry(self._store.lanes)])
        self._proven = begun

    def close(self) -> SlotWriter:
        """At once: who waits is told that the slot is lost, nothing is committed any more. The writer is the caller's to close."""
        self._closed = True
        self._refuse(OwnershipLost(f"slot {self._number} is another node's"))
        return self._writer

    @property
    def lanes(self) -> Mapping[str, LaneRecord]:
        """By processor, as committed last."""
        return self._lanes

    async def commit(self, decided: Decided | Forgotten | Written | None) -> None:
        """Returns when it is committed. None: only ask whether the slot is still this node's. Raises OwnershipLost, or StorageUnavailable where
        the brokers do not say so."""
        if self._closed:
            raise OwnershipLost(f"slot {self._number} is another node's")
        pending = _Pending(decided, asyncio.get_running_loop().create_future())
        self._queue.append(pending)
        self._wake()
        await pending.done

    async def prove(self, within_s: float) -> bool:
        """Whether nobody else had the slot ``within_s`` ago; asks the brokers where that is not known."""
        if not self._closed and time.monotonic() - self._proven < within_s:
            return True
        try:
            await self.commit(None)
        except (OwnershipLost, StorageUnavailable):
            return False
        return True

    def settle(self, output: str, session: str, sequence: int) -> None:
        """An output has settled the session's events up to this one: whoever takes over does not tell them again."""
        self._ledger.settle(output, session, sequence)
        self._wake()

    def keep(self, ids: Iterable[str]) -> None:
        """The log has these events although whoever committed them will ask again."""
        self._kept.update(ids)

    # -- inside

    def _wake(self) -> None:
        if not self._closed and (self._writing is None or self._writing.done()):
            self._writing = asyncio.create_task(self._write(), name=f"slot {self._number}")

    async def _write(self) -> None:
        while not self._closed and (self._queue or self._ledger.unwritten):
            try:
                if self._unsure is not None:
                    await self._find_out(self._unsure)
                batch = [each for each in self._queue[:BATCH] if not each.done.cancelled()]
                del self._queue[:BATCH]
                await self._transact(_Attempt(self._owner.commit + 1, waiting=batch))
            except Lost as error:
                if not self._closed:
                    self._on_lost(error)
                return
            except (Uncertain, SourceError) as error:
                self._refuse(StorageUnavailable(f"the cluster's brokers do not answer: {error}"))
                await asyncio.sleep(AGAIN_S)
            except Exception as error:  # the boundary of a slot's transactions: who waits must hear of it
                log.exception("slot_commit_failed", slot=self._number)
                self._refuse(StorageUnavailable(f"the cluster's log cannot be written: {error}"))
                await asyncio.sleep(AGAIN_S)

    async def _transact(self, attempt: _Attempt) -> None:
        entries: list[Entry] = []
        for each in attempt.waiting:
            if each.decided is not None:
                entries += self._entries(attempt, each.decided)
        self._unsure, attempt.settled = attempt, self._ledger.take()
        entries += self._ledger.entries(attempt.settled)
        entries += attempt.written
        entries += self._lane_entries(attempt)
        owner = replace(self._owner, commit=attempt.commit, released=self.releasing, owed_from=self._ledger.owed_from)
        begun = time.monotonic()
        try:
            offsets = await self._writer.commit([*entries, owner.entry(self._store.lanes)])
        except BaseException:
            self._queue[:0] = attempt.waiting
            self._ledger.put_back(attempt.settled)
            raise
        self._proven, self._format = begun, attempt.format
        metrics.CLUSTER_COMMIT.observe(time.monotonic() - begun)
        self._committed(attempt, offsets)
        for each in attempt.waiting:
            if not each.done.done():
                each.done.set_result(None)
            elif isinstance(each.decided, Decided):  # it gave up waiting, and will ask again
                self._kept |= {event.event.id for event in each.decided.events}

    def _entries(self, attempt: _Attempt, decided: Decided | Forgotten | Written) -> list[Entry]:
        """The events of it, which stand first in the transaction; the rest is noted in ``attempt``."""
        if isinstance(decided, Written):
            attempt.written += decided.entries
            return []
        if isinstance(decided, Forgotten):
            attempt.lanes[decided.processor] = None
            return []
        name = decided.commit.processor
        before = attempt.lanes[name] if name in attempt.lanes else self._lanes.get(name)
        attempt.lanes[name] = (before or LaneRecord()).after(decided.commit, decided.standing)
        new = [each for each in decided.events if each.event.id not in self._kept | attempt.ids]
        attempt.ids |= {each.event.id for each in new}
        attempt.events += [(each.event, decided.commit.routes) for each in new]
        return [Entry(self._store.events, each.event.id, each.value(), each.headers()) for each in new]

    def _lane_entries(self, attempt: _Attempt) -> list[Entry]:
        """Of the lanes that have changed; of all where a node came that cannot read what stands there."""
        number, topic = self._format_now(), self._store.lanes
        lanes: dict[str, LaneRecord | None] = dict(attempt.lanes)
        if number < self._format:
            lanes = {**self._lanes, **attempt.lanes}
        attempt.format = number
        self._format = max(number, self._format)
        return [Entry(topic, name, written(lane, number) if lane is not None else None) for name, lane in lanes.items()]

    def _committed(self, attempt: _Attempt, offsets: Sequence[int] = ()) -> None:
        for (event, routes), offset in zip_longest(attempt.events, offsets[: len(attempt.events)]):
            self._ledger.committed(event, routes, offset)
        self._owner = replace(self._owner, commit=attempt.commit)
        for name, lane in attempt.lanes.items():
            if lane is not None:
                self._lanes[name] = lane
            else:
                self._lanes.pop(name, None)
        self._unsure = None

    async def _find_out(self, attempt: _Attempt) -> None:
        """Whether the brokers have a transaction that they did not answer to. Raises Lost, SourceError.

        A new producer settles it (that fences the old one), and the log says. Another node may have had the slot meanwhile: its
        records are behind ours then, or the group does not count on us any more.
        """
        if not await self._still_ours():
            raise SourceError("the group went on without this node")
        await self._writer.close()
        self._writer = self._store.writer(self._number)
        await self._writer.start()
        found = await self._store.owner(self._number)
        if self._closed:
            await self._writer.close()
            raise Lost(f"slot {self._number}: it was let go meanwhile")
        if found.incarnation != self._owner.incarnation:
            raise Lost(f"slot {self._number}: {found.node} had it meanwhile")
        if found.commit >= attempt.commit:
            self._kept |= attempt.ids
            self._committed(attempt)
        self._unsure = None

    def _refuse(self, error: Exception) -> None:
        queue, self._queue = self._queue, []
        for each in queue:
            if not each.done.done():
                each.done.set_exception(error)
