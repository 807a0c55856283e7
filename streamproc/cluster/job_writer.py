"""What becomes of jobs that nodes share: committed to the log first, then had in the index of this node."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from concurrent.futures import TimeoutError as TookTooLong
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from streamproc.core.errors import OwnershipLost, StorageUnavailable
from streamproc.store.job_index import JobIndex
from streamproc.store.job_records import Records, standing_record
from streamproc.store.jobs import JobRow

ANSWER_S = 20.0
T = TypeVar("T")


class JobLog(Protocol):
    """The cluster's log, as this node may write it. The coroutines belong to the event loop, the rest to any thread."""

    node_id: str

    def slot_of(self, job: str) -> int: ...

    def term_of(self, row: JobRow) -> int | None:
        """Of the time for which the job is this node's to run; None: it is not."""
        ...

    def tidies(self, job: str) -> bool:
        """Whether this node is the one to take the job out of the log when its time is over."""
        ...

    async def commit(self, row: JobRow, term: int, records: Records, checkpoint: Records) -> None:
        """Raises OwnershipLost, StorageUnavailable."""
        ...

    async def note(self, records: dict[str, Records]) -> None:
        """Write what anybody may, by job; returns when this node's index has it too. Raises StorageUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Claim:
    """A run that somebody works at."""

    job: JobRow
    """One of its jobs, as it was."""
    slot: int
    term: int


class JobWriter:
    """Thread-safe; nothing of it may be called in the event loop. ``lock`` is held from reading a job until its change is committed."""

    def __init__(self, index: JobIndex, log: JobLog, loop: asyncio.AbstractEventLoop) -> None:
        self.lock = threading.RLock()
        self.claims: dict[str, Claim] = {}
        """By run."""
        self._index = index
        self._log = log
        self._loop = loop

    def shared(self, job: str) -> JobRow | None:
        """None: it is none that nodes share."""
        return next(iter(self._index.rows("id = ?", (job,))), None)

    def all_shared(self, jobs: Sequence[str]) -> list[JobRow]:
        return [row for job in jobs if (row := self.shared(job)) is not None]

    def claim(self, run: str, row: JobRow) -> None:
        """Somebody is to work at the run of this job. Raises OwnershipLost."""
        term = self._log.term_of(row)
        if term is None:
            raise OwnershipLost(f"job {row.id} is another node's")
        self.claims[run] = Claim(row, self._log.slot_of(row.id), term)

    def write(
        self, rows: Sequence[JobRow], more: Records | None = None, checkpoint: Records | None = None
    ) -> list[JobRow]:
        """Jobs of one slot as they are to stand. Raises OwnershipLost, StorageUnavailable."""
        changed = [replace(row, revision=row.revision + 1) for row in rows]
        if changed:
            records = dict(more or {})
            for row in changed:
                records |= standing_record(row)
            first = changed[0]
            claim = self.claims.get(first.run)
            term = claim.term if claim is not None else self._log.term_of(first)
            if term is None:
                raise OwnershipLost(f"job {first.id} is another node's")
            kept = {} if first.node else checkpoint or {}  # who alone can run it needs no other's help
            self.wait(self._log.commit(first, term, records, kept))
            self._index.apply(records.items())
        return changed

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """What the event loop answers. Raises StorageUnavailable where it does not."""
        asked = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return asked.result(ANSWER_S)
        except TookTooLong:
            asked.cancel()
            raise StorageUnavailable("the cluster's brokers do not answer") from None
