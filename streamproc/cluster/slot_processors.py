"""The processors of slots on this node: taking over what the log holds of them, and waiting until nothing of them runs."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Protocol

import structlog

from streamproc.cluster.slot_store import LOGGED_S, SlotContents
from streamproc.core.errors import SourceError
from streamproc.live.supervisor import Supervisor
from streamproc.logic.slots import slot_of
from streamproc.store.takeover import Inherited, LaneRecord, adopt
from streamproc.threads import DATABASE

log = structlog.get_logger(__name__)
POLL_S = 0.02
RELEASE_S = 20.0
"""A hand-over that takes longer than this is cut off: the next owner fences it."""
TELL_S = 3.0
"""How long a hand-over waits for deliveries in hand."""


class SlotJobs(Protocol):
    """Stored-video jobs of slots."""

    busy: frozenset[int]
    """Slots in which there is something to do."""

    async def adopt(self, slot: int) -> None:
        """Take over what the log holds of them. Raises SourceError, StorageUnavailable."""
        ...

    async def release(self, slot: int) -> None:
        """Until none of the slot is worked at here, or does not end."""
        ...


class NoJobs:
    """Slots with processors only."""

    busy: frozenset[int] = frozenset()

    async def adopt(self, slot: int) -> None: ...

    async def release(self, slot: int) -> None: ...


class SlotProcessors:
    """Belongs to the event loop."""

    supervisor: Supervisor
    """Set before anything is asked."""

    def __init__(self, slots: int) -> None:
        self.adopted: set[str] = set()
        """Processors of which this node has read what the log holds."""
        self.logged_since = time.time()
        """When this node first was in its cluster: what it decided before is not in the log."""
        self.jobs: SlotJobs = NoJobs()
        """What else is in the slots."""
        self._slots = slots

    def slot_of(self, name: str) -> int:
        return slot_of(name, self._slots)

    def slots(self) -> set[int]:
        """Slots in which there is something to run."""
        return {self.slot_of(name) for name in self.supervisor.names()} | self.jobs.busy

    def names(self, slot: int) -> list[str]:
        return [name for name in self.supervisor.names() if self.slot_of(name) == slot]

    def require(self, name: str) -> Mapping[str, str]:
        """Tags that a processor needs of a node."""
        return self.supervisor.processor(name).config.require if self.supervisor.known(name) else {}

    def lacking(self, name: str, tags: Mapping[str, str]) -> str:
        """What a processor needs of a node that has these tags only, for people."""
        needs = self.require(name)
        return ", ".join(f"{key}={value}" for key, value in sorted(needs.items()) if tags.get(key) != value)

    def needs(self) -> dict[int, dict[frozenset[tuple[str, str]], int]]:
        """Tags that processors need of a node and how many of them need these, of each slot where any needs some."""
        found: dict[int, Counter[frozenset[tuple[str, str]]]] = {}
        for name in self.supervisor.names():
            needs = found.setdefault(self.slot_of(name), Counter())
            needs[frozenset(self.supervisor.processor(name).config.require.items())] += 1
        return {number: dict(needs) for number, needs in found.items() if any(needs)}

    async def adopt_all(self, slot: int, contents: SlotContents) -> None:
        """``adopt`` for each processor in the slot, and for its jobs."""
        jobs = asyncio.create_task(self.jobs.adopt(slot))
        try:
            for name in self.names(slot):
                await self.adopt(name, contents)
        finally:
            await asyncio.gather(jobs, return_exceptions=True)
        jobs.result()

    async def adopt(self, name: str, contents: SlotContents) -> None:
        """Make what the log holds what the processor goes on from. Raises StorageUnavailable, and SourceError where a run of before does not end."""
        # A run of before must not write behind what is read now.
        if not await until(lambda: not self._is_busy(name), RELEASE_S):
            raise SourceError(f"{name} does not end here")
        lane, events = contents.lanes.get(name), contents.events.get(name, [])
        processor = self.supervisor.processor(name)
        contents.routes[name] = processor.committer.routes
        if lane is not None or events:
            since = max(self.logged_since, time.time() - LOGGED_S)
            routes = processor.committer.routes
            inherited = Inherited(name, lane or LaneRecord(), events, contents.settled, routes, since)
            fresh = await DATABASE.run(adopt, self.supervisor.journal, inherited)
            log.info("took_over", processor=name, unknown_events=fresh)
        if lane is not None and lane.standing.document == processor.row.document_hash:
            # What callers want of their processors is said by their documents, which are shared.
            wanted = {"wanted": lane.standing.wanted} if processor.row.origin == "file" else {}
            processor.record.note(finished=lane.standing.finished, **wanted)
        self.adopted.add(name)

    async def release(self, slot: int) -> None:
        """Until nothing of the slot runs or is being delivered here, or does not end."""
        names, outbox = self.names(slot), self.supervisor.outputs.outbox
        nothing_runs = until(lambda: not any(self._is_busy(name) for name in names), RELEASE_S)
        await asyncio.gather(nothing_runs, self.jobs.release(slot))
        await until(lambda: not any(outbox.busy(name) for name in names), TELL_S)

    def drop(self, slot: int) -> None:
        """What was decided and is not committed counts for nothing."""
        for name in self.names(slot):
            self.adopted.discard(name)
            self.supervisor.decisions.forget(name)

    def _is_busy(self, name: str) -> bool:
        known = self.supervisor.known(name)
        return known and (self.supervisor.processor(name).life.active or self.supervisor.decisions.waits(name))


async def until(check: Callable[[], bool], within_s: float) -> bool:
    """Wait for it, at most so long; whether it is so. What it asks about tells nobody when it changes."""
    end = time.monotonic() + within_s
    for _ in range(round(within_s / POLL_S)):
        if check() or time.monotonic() >= end:
            break
        await asyncio.sleep(POLL_S)
    return check()
