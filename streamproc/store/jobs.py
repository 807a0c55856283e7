"""Stored-video jobs on disk: what was asked, how far it is, what was found.

A checkpoint writes the rows found since the last one, each analysis's state and the place in the video in one transaction, so that a
killed process goes on where the last checkpoint stands. Payloads come as bytes: this room does not know what is in them.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from streamproc.core.errors import InUse, NotFound
from streamproc.store.database import Database
from streamproc.store.tokens import page_secret

_STEPS = (
    """
    CREATE TABLE jobs (
        id TEXT PRIMARY KEY, kind TEXT NOT NULL, owner TEXT NOT NULL, request TEXT NOT NULL, fingerprint TEXT NOT NULL,
        token TEXT, state TEXT NOT NULL, message TEXT, created REAL NOT NULL, ended REAL, run TEXT NOT NULL,
        frames INTEGER NOT NULL DEFAULT 0, expected INTEGER NOT NULL DEFAULT 0, facts TEXT, told INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX jobs_by_state ON jobs (state, created);
    CREATE INDEX jobs_by_token ON jobs (kind, token);
    CREATE TABLE job_places (run TEXT PRIMARY KEY, place BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE job_states (job TEXT PRIMARY KEY, state BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE job_rows (job TEXT NOT NULL, number INTEGER NOT NULL, rows BLOB NOT NULL, PRIMARY KEY (job, number));
    CREATE TABLE job_results (job TEXT PRIMARY KEY, result BLOB NOT NULL);
    """,
    "ALTER TABLE jobs ADD COLUMN bad_video INTEGER NOT NULL DEFAULT 0;",
    "ALTER TABLE jobs ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;",
    """
    ALTER TABLE jobs ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE jobs ADD COLUMN node TEXT NOT NULL DEFAULT '';
    ALTER TABLE jobs ADD COLUMN asked TEXT NOT NULL DEFAULT '';
    ALTER TABLE jobs ADD COLUMN to_cancel INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE job_parts (job TEXT NOT NULL, part INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (job, part)) WITHOUT ROWID;
    """,
)
_BY_TOKEN = (
    "SELECT * FROM jobs WHERE kind = ? AND token = ? AND owner = ? AND created >= ? ORDER BY created DESC LIMIT 1"
)
SHARED = "cluster"
"""``JobRow.owner`` of a job that stands in the log of the node's cluster."""
OPEN = ("queued", "running")
COMPLETIONS = "stored-video:jobs"
"""Whose outputs the topics of completions are in the outbox; a session there is a job. No processor can be called that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """One job as it is kept."""

    id: str
    kind: str
    owner: str
    """``box``: the daemon's workers run it. Anything else: whoever made it runs it."""
    request: Mapping[str, Any]
    fingerprint: str
    token: str | None
    state: str
    created: float
    run: str
    message: str | None = None
    ended: float | None = None
    frames: int = 0
    expected: int = 0
    facts: Mapping[str, Any] | None = None
    bad_video: bool = False
    """It failed because of the video: bytes that cannot be decoded, or too many of them."""
    attempts: int = 0
    """Runs that began since the last one that got further."""
    told: bool = False
    """Its completion was handed on."""
    revision: int = 0
    """Of a job that several nodes share: rises with each change."""
    node: str = ""
    """Of such a job: the one node that has the video; empty: any can run it."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What a checkpoint adds for one job."""

    job: str
    state: bytes
    rows: bytes | None


class JobStore:
    """The jobs of one data directory. Thread-safe."""

    node_id = ""
    """Of a node that shares them with others."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.migrate("jobs", _STEPS)

    def add(self, row: JobRow) -> None:
        with self._database.write() as db:
            insert_row(db, row)

    def start(self, row: JobRow, *, since: float, most: int | None) -> JobRow | int:
        """Add a job, unless its token is known (then that job) or ``most`` are open already (then their number).

        ``since``: tokens of jobs that were made before this no longer count.
        """
        made = self.start_all([row], since=since, most=most)
        return made if isinstance(made, int) else made[0]

    def start_all(self, rows: Sequence[JobRow], *, since: float, most: int | None) -> list[JobRow] | int:
        """``start`` for all or none, at once, so that who claims one of a video claims them all."""
        with self._database.write() as db:
            tokens = [db.execute(_BY_TOKEN, (row.kind, row.token, row.owner, since)).fetchone() for row in rows]
            query = "SELECT count(*) FROM jobs WHERE state IN ('queued', 'running') AND owner = ?"
            open_jobs = int(db.execute(query, (rows[0].owner,)).fetchone()[0])
            if most is not None and open_jobs + tokens.count(None) > most:
                return open_jobs
            for row, known in zip(rows, tokens, strict=True):
                if known is None:
                    insert_row(db, row)
            return [row if known is None else row_of(known) for row, known in zip(rows, tokens, strict=True)]

    def by_token(self, kind: str, token: str, owner: str, *, since: float) -> JobRow | None:
        """The newest job of ``owner`` that this token made, unless it was made before ``since``."""
        found = self._database.read().execute(_BY_TOKEN, (kind, token, owner, since)).fetchone()
        return row_of(found) if found is not None else None

    def get(self, job: str) -> JobRow:
        """Raises NotFound."""
        found = self._database.read().execute("SELECT * FROM jobs WHERE id = ?", (job,)).fetchone()
        if found is None:
            raise NotFound(f"there is no job {job}")
        return row_of(found)

    def all(self) -> list[JobRow]:
        """Newest first."""
        return [row_of(each) for each in self._database.read().execute("SELECT * FROM jobs ORDER BY created DESC, id")]

    def claim(self, owner: str, run: str) -> list[JobRow]:
        """Take the oldest queued job and every other queued one for the same video into ``run``; they are running now."""
        with self._database.write() as db:
            query = "SELECT * FROM jobs WHERE state = 'queued' AND owner = ? ORDER BY created, id"
            queued = [row_of(each) for each in db.execute(query, (owner,))]
            if not queued:
                return []
            first = queued[0]
            taken = [each for each in queued if each.request["video"] == first.request["video"] and each.frames == 0]
            for each in taken:
                db.execute("UPDATE jobs SET state = 'running', run = ? WHERE id = ?", (run, each.id))
            return [replace(each, state="running", run=run) for each in taken]

    def resume(self, owner: str) -> list[list[JobRow]]:
        """Runs that were cut off: their jobs, a list a run."""
        query = "SELECT * FROM jobs WHERE state = 'running' AND owner = ? ORDER BY created, id"
        runs: dict[str, list[JobRow]] = {}
        for each in self._database.read().execute(query, (owner,)):
            runs.setdefault(str(each["run"]), []).append(row_of(each))
        return list(runs.values())

    def attempt(self, jobs: Sequence[str]) -> int:
        """Count one more run of these that begins; how many began since the last one that got further, the most of any job."""
        marks = ",".join("?" * len(jobs))
        with self._database.write() as db:
            db.execute(f"UPDATE jobs SET attempts = attempts + 1 WHERE id IN ({marks})", list(jobs))
            return int(db.execute(f"SELECT max(attempts) FROM jobs WHERE id IN ({marks})", list(jobs)).fetchone()[0])

    def no_attempt(self, jobs: Sequence[str]) -> None:
        """The run ended for a reason that is not theirs: it does not count."""
        with self._database.write() as db:
            db.executemany("UPDATE jobs SET attempts = max(0, attempts - 1) WHERE id = ?", [(job,) for job in jobs])

    def opened(self, jobs: Sequence[str], facts: Mapping[str, Any], expected: int) -> None:
        """The video was opened: what it is."""
        with self._database.write() as db:
            db.executemany(
                "UPDATE jobs SET facts = ?, expected = ? WHERE id = ?",
                [(json.dumps(facts), expected, job) for job in jobs],
            )

    def checkpoint(self, run: str, place: bytes, progress: Sequence[Progress], frames: int) -> None:
        """Everything up to ``place`` is done, all or nothing."""
        with self._database.write() as db:
            db.execute("INSERT OR REPLACE INTO job_places VALUES (?, ?)", (run, place))
            for each in progress:
                db.execute("INSERT OR REPLACE INTO job_states VALUES (?, ?)", (each.job, each.state))
                if each.rows is not None:
                    db.execute(
                        "INSERT INTO job_rows SELECT ?, coalesce(max(number) + 1, 0), ? FROM job_rows WHERE job = ?",
                        (each.job, each.rows, each.job),
                    )
                db.execute(
                    "UPDATE jobs SET attempts = CASE WHEN frames < ? THEN 0 ELSE attempts END, frames = ? WHERE id = ?",
                    (frames, frames, each.job),
                )

    def begin_anew(self, run: str, jobs: Sequence[str]) -> None:
        """Forget the run's checkpoint (it cannot be read): the video is read from its beginning again."""
        with self._database.write() as db:
            db.execute("DELETE FROM job_places WHERE run = ?", (run,))
            for table in ("job_states", "job_rows"):
                db.executemany(f"DELETE FROM {table} WHERE job = ?", [(job,) for job in jobs])
            db.executemany("UPDATE jobs SET frames = 0 WHERE id = ?", [(job,) for job in jobs])

    def open_of(self, jobs: Sequence[str]) -> set[str]:
        """The ones among ``jobs`` that are not over."""
        query = f"SELECT id FROM jobs WHERE state IN ('queued', 'running') AND id IN ({','.join('?' * len(jobs))})"
        return {str(each[0]) for each in self._database.read().execute(query, list(jobs))}

    def place(self, run: str) -> bytes | None:
        found = self._database.read().execute("SELECT place FROM job_places WHERE run = ?", (run,)).fetchone()
        return bytes(found[0]) if found else None

    def state(self, job: str) -> bytes | None:
        found = self._database.read().execute("SELECT state FROM job_states WHERE job = ?", (job,)).fetchone()
        return bytes(found[0]) if found else None

    def rows(self, job: str) -> list[bytes]:
        query = "SELECT rows FROM job_rows WHERE job = ? ORDER BY number"
        return [bytes(each[0]) for each in self._database.read().execute(query, (job,))]

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
        """A job is over; what only its run needed is dropped. False when it was over already."""
        with self._database.write() as db:
            changed = db.execute(
                "UPDATE jobs SET state = ?, message = ?, ended = ?, frames = coalesce(?, frames), bad_video = ?"
                " WHERE id = ? AND state IN ('queued', 'running')",
                (state, message, time.time(), frames, bad_video, job),
            ).rowcount
            if not changed:
                return False
            if result is not None:
                db.execute("INSERT OR REPLACE INTO job_results VALUES (?, ?)", (job, result))
            drop_progress(db, job)
            return True

    def result(self, job: str) -> bytes | None:
        found = self._database.read().execute("SELECT result FROM job_results WHERE job = ?", (job,)).fetchone()
        return bytes(found[0]) if found else None

    def untold(self, owner: str) -> list[JobRow]:
        """Jobs that are over and whose completion was not handed on yet, oldest first."""
        query = "SELECT * FROM jobs WHERE told = 0 AND ended IS NOT NULL AND owner = ? ORDER BY ended"
        return [row_of(each) for each in self._database.read().execute(query, (owner,))]

    def told(self, job: str) -> None:
        with self._database.write() as db:
            db.execute("UPDATE jobs SET told = 1 WHERE id = ?", (job,))

    def forget(self, before: float) -> int:
        """Drop jobs that ended before then, with their results, and those that nobody went on with since."""
        with self._database.write() as db:
            query = "SELECT id FROM jobs WHERE ended < ? OR (ended IS NULL AND created < ? AND owner NOT IN ('box', 'cluster'))"
            old = [str(each[0]) for each in db.execute(query, (before, before))]
            for job in old:
                drop_progress(db, job)
                db.execute("DELETE FROM job_results WHERE job = ?", (job,))
                db.execute("DELETE FROM jobs WHERE id = ?", (job,))
            return len(old)

    # -- other answers where nodes share their jobs

    def cancel(self, job: str) -> bool:
        """False when it was over already. Raises InUse for one that only a running node can cancel."""
        if self.get(job).owner == SHARED:
            raise InUse(f"job {job} is the cluster's: cancel it at a running node (POST /api/jobs/{job}/cancel)")
        return self.end(job, "cancelled", message="cancelled")

    def is_lost(self, run: str) -> bool:
        """Whether another node is to go on with a run that was claimed here."""
        return False

    def let_go(self, run: str) -> bool:
        """Nobody works at the run any more. Whether ``claim`` gives it out again, if it is not over."""
        return False

    def page_secret(self, job: str) -> bytes:
        """Signs the tokens of a result's pages."""
        return page_secret(self._database)


def drop_progress(db: sqlite3.Connection, job: str) -> None:
    """What only a job's run needs."""
    db.execute("DELETE FROM job_states WHERE job = ?", (job,))
    db.execute("DELETE FROM job_rows WHERE job = ?", (job,))
    db.execute("DELETE FROM job_places WHERE run NOT IN (SELECT run FROM jobs WHERE state IN ('queued', 'running'))")


def insert_row(db: sqlite3.Connection, row: JobRow) -> None:
    db.execute(
        "INSERT INTO jobs (id, kind, owner, request, fingerprint, token, state, message, created, ended, run, node)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(row.id, row.kind, row.owner, json.dumps(row.request, sort_keys=True), row.fingerprint, row.token),
            *(row.state, row.message, row.created, row.ended, row.run, row.node),
        ),
    )


def row_of(found: sqlite3.Row) -> JobRow:
    return JobRow(
        id=found["id"],
        kind=found["kind"],
        owner=found["owner"],
        request=json.loads(found["request"]),
        fingerprint=found["fingerprint"],
        token=found["token"],
        state=found["state"],
        created=found["created"],
        run=found["run"],
        message=found["message"],
        ended=found["ended"],
        frames=found["frames"],
        expected=found["expected"],
        facts=json.loads(found["facts"]) if found["facts"] else None,
        bad_video=bool(found["bad_video"]),
        attempts=found["attempts"],
        told=bool(found["told"]),
        revision=found["revision"],
        node=found["node"],
    )
