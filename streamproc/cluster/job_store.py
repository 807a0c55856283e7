"""The jobs of a node in a cluster, as its workers and callers use them: the log has each change first, the node's own database is an index of it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from streamproc.cluster.job_intake import JobIntake
from streamproc.cluster.job_writer import JobLog, JobWriter
from streamproc.core.errors import NotFound, OwnershipLost, StorageUnavailable
from streamproc.store.database import Database
from streamproc.store.job_index import JobIndex
from streamproc.store.job_records import (
    Records,
    checkpoint_records,
    no_parts,
    result_records,
)
from streamproc.store.jobs import OPEN, SHARED, JobRow, JobStore, Progress

FOLLOWS_S = 2.0
"""Within this time a node has heard of a job that another one has taken in."""
CANCEL_S = 5.0
LOOK_S = 0.1
_WEEK_S = 7 * 24 * 3600.0


class SharedJobStore(JobStore):
    """Thread-safe; no method may be called in the event loop. Jobs of before the node was in a cluster go on as they were."""

    def __init__(self, database: Database, index: JobIndex, log: JobLog, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(database)
        self.node_id = log.node_id
        self.index = index
        self._log = log
        self._writer = JobWriter(index, log, loop)
        self._intake = JobIntake(index, log, self._writer)
        self._starting = threading.Lock()
        self._handed: set[tuple[str, int]] = set()
        """Jobs whose end the outbox has, and the term in which it got it."""

    # -- callers

    def start_all(self, rows: Sequence[JobRow], *, since: float, most: int | None) -> list[JobRow] | int:
        with self._starting:
            known = [self.by_token(row.kind, row.token, row.owner, since=since) if row.token else None for row in rows]
            new = [row for row, job in zip(rows, known, strict=True) if job is None]
            open_jobs = len(self.index.rows("state IN ('queued', 'running')"))
            if most is not None and open_jobs + len(new) > most and new:
                return open_jobs
            made = iter(self._intake.take(new, since) if new else ())
            return [job or next(made) for job in known]

    def by_token(self, kind: str, token: str, owner: str, *, since: float) -> JobRow | None:
        found = (super(SharedJobStore, self).by_token(kind, token, each, since=since) for each in (SHARED, owner))
        return next(filter(None, found), None)

    def get(self, job: str) -> JobRow:
        """A job that is not known may just have been started at another node: it is waited for a moment."""
        end = time.monotonic() + (FOLLOWS_S if len(job) == 64 else 0.0)
        while True:
            try:
                return super().get(job)
            except NotFound:
                if time.monotonic() >= end:
                    raise
            time.sleep(LOOK_S)

    def cancel(self, job: str) -> bool:
        row = self._writer.shared(job)
        if row is None:
            return super().cancel(job)
        if self._log.term_of(row) is not None:
            return self.end(job, "cancelled", message="cancelled")
        if row.state not in OPEN:
            return False
        self._writer.wait(self._log.note({job: {f"{job} cancel": b"{}"}}))
        end = time.monotonic() + CANCEL_S
        while time.monotonic() < end and super().get(job).state in OPEN:
            time.sleep(LOOK_S)
        return True

    def page_secret(self, job: str) -> bytes:
        """The same on every node; only who knows the job could make up a token of its pages."""
        row = self._writer.shared(job)
        if row is None:
            return super().page_secret(job)
        return hashlib.sha256(f"pages of {row.id} {row.fingerprint}".encode()).digest()

    # -- workers

    def claim(self, owner: str, run: str) -> list[JobRow]:
        """Also what is running and nobody works at: it was taken over."""
        alone = super().claim(owner, run)
        if alone:
            return alone
        with self._writer.lock:
            left = [row for row in self.index.rows("state = 'running'") if row.run not in self._writer.claims]
            running = _one_run(self._log, left)
            queued = _one_run(self._log, self.index.rows("state = 'queued' AND to_cancel = 0"))
            try:
                if running:
                    self._writer.claim(running[0].run, running[0])
                    return running
                if queued:
                    self._writer.claim(run, queued[0])
                    return self._writer.write([replace(row, state="running", run=run) for row in queued])
            except BaseException as error:
                self._writer.claims.pop(run, None)
                if not isinstance(error, OwnershipLost):
                    raise
        return []

    def is_lost(self, run: str) -> bool:
        claim = self._writer.claims.get(run)
        return claim is not None and self._log.term_of(claim.job) != claim.term

    def let_go(self, run: str) -> bool:
        return self._writer.claims.pop(run, None) is not None

    def at_work(self, slot: int) -> bool:
        """Whether somebody works at a run of the slot."""
        return any(each.slot == slot and each.term >= 0 for each in list(self._writer.claims.values()))

    def attempt(self, jobs: Sequence[str]) -> int:
        with self._writer.lock:
            rows = [replace(row, attempts=row.attempts + 1) for row in self._writer.all_shared(jobs)]
            return max(row.attempts for row in self._writer.write(rows)) if rows else super().attempt(jobs)

    def no_attempt(self, jobs: Sequence[str]) -> None:
        with self._writer.lock:
            rows = [row for row in self._writer.all_shared(jobs) if row.state in OPEN]
            if rows:
                with contextlib.suppress(OwnershipLost):  # whoever has it now counts on
                    self._writer.write([replace(row, attempts=max(0, row.attempts - 1)) for row in rows])
            else:
                super().no_attempt(jobs)

    def opened(self, jobs: Sequence[str], facts: Any, expected: int) -> None:
        with self._writer.lock:
            rows = self._writer.all_shared(jobs)
            if rows:
                self._writer.write([replace(row, facts=facts, expected=expected) for row in rows if row.state in OPEN])
            else:
                super().opened(jobs, facts, expected)

    def checkpoint(self, run: str, place: bytes, progress: Sequence[Progress], frames: int) -> None:
        with self._writer.lock:
            rows = [row for row in self._writer.all_shared([each.job for each in progress]) if row.state in OPEN]
            if rows:
                before = {each.job: self.index.pieces(each.job) for each in progress}
                further = [
                    replace(row, frames=frames, attempts=0 if row.frames < frames else row.attempts) for row in rows
                ]
                self._writer.write(further, checkpoint=checkpoint_records(run, place, progress, before))
            super().checkpoint(run, place, progress, frames)

    def begin_anew(self, run: str, jobs: Sequence[str]) -> None:
        with self._writer.lock:
            rows = self._writer.all_shared(jobs)
            if rows:
                gone = no_parts(f"{run} place", 0)
                self._writer.write([replace(row, frames=0) for row in rows if row.state in OPEN], checkpoint=gone)
            super().begin_anew(run, jobs)

    def end(
        self,
        job: str,
        state: str,
        *,
        message: str | None = None,
        result: bytes | None = None,
        frames: int | None = None,
        bad_video: bool = False,
    ) -> bool:
        with self._writer.lock:
            row = self._writer.shared(job)
            if row is None or row.state not in OPEN:
                return super().end(job, state, message=message, result=result, frames=frames, bad_video=bad_video)
            over = replace(row, state=str(state), message=message, ended=time.time(), bad_video=bad_video)
            over = replace(over, frames=row.frames if frames is None else frames)
            self._writer.write(
                [over], result_records(job, result) if result is not None else {}, _progress(self, self.index, row)
            )
            return True

    def carry_out_wishes(self) -> None:
        """End what callers have cancelled at other nodes."""
        for row in self.index.rows("to_cancel = 1 AND state IN ('queued', 'running')"):
            if self._log.term_of(row) is not None:
                with contextlib.suppress(OwnershipLost):
                    self.cancel(row.id)

    # -- ends

    def untold(self, owner: str) -> list[JobRow]:
        rows = ((row, self._log.term_of(row)) for row in self.index.untold())
        mine = [row for row, term in rows if term is not None and (row.id, term) not in self._handed]
        return [*super().untold(owner), *mine]

    def told(self, job: str) -> None:
        """The outbox has it. Of a shared job only ``mark_told`` says that it is done with."""
        row = self._writer.shared(job)
        if row is None:
            super().told(job)
        elif (term := self._log.term_of(row)) is not None:
            self._handed.add((job, term))
            if self.index.is_delivered(job):  # a process of before told it, and could not say so any more
                self.mark_told(job)

    def mark_told(self, job: str) -> None:
        """Whoever waits for the end of a job has been told. Raises OwnershipLost, StorageUnavailable."""
        with self._writer.lock:
            row = self._writer.shared(job)
            if row is not None and not row.told:
                self._writer.write([replace(row, told=True)])

    def forget(self, before: float) -> int:
        """A job that never ended is kept twice as long."""
        old = self.index.rows("coalesce(ended, created + ?) < ?", (_WEEK_S, before))
        mine = {row.id: _traces(self, self.index, row) for row in old if self._log.tidies(row.id)}
        if mine:
            with contextlib.suppress(StorageUnavailable):  # it is tidied up again
                self._writer.wait(self._log.note(mine))
        return super().forget(before)


def _progress(store: JobStore, index: JobIndex, row: JobRow) -> Records:
    """Deletions of what only its run needs."""
    if not row.run or row.node:
        return {}
    state = store.state(row.id)
    records = no_parts(f"{row.id} state", len(state)) if state is not None else {}
    for number, piece in enumerate(store.rows(row.id)):
        records |= no_parts(f"{row.id} rows {number}", len(piece))
    others = index.rows("run = ? AND id <> ? AND state IN ('queued', 'running')", (row.run, row.id))
    return records if others or state is None else records | no_parts(f"{row.run} place", 0)


def _traces(store: JobStore, index: JobIndex, row: JobRow) -> Records:
    """Deletions of everything of it."""
    result = store.result(row.id)
    records: Records = dict.fromkeys((index.asked_key(row.id), f"{row.id} standing", f"{row.id} cancel"))
    return records | (no_parts(f"{row.id} result", len(result)) if result is not None else {})


def _one_run(log: JobLog, rows: Iterable[JobRow]) -> list[JobRow]:
    """The first of these that is this node's, with all that share its decode and its slot."""
    mine = [row for row in rows if log.term_of(row) is not None]
    return [row for row in mine if _shares(row, mine[0]) and log.slot_of(row.id) == log.slot_of(mine[0].id)]


def _shares(row: JobRow, first: JobRow) -> bool:
    """Whether two jobs can share a decode."""
    if first.state == "running":
        return row.run == first.run
    return row.request["video"] == first.request["video"] and row.node == first.node
