"""The jobs of a cluster in a node's own database: an index of what their records say, made of them in any order and any number of times."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from streamproc.core.errors import StateDamaged, StateVersionUnknown
from streamproc.store.database import Database
from streamproc.store.faults import storage_faults
from streamproc.store.job_records import (
    Checkpoint,
    Key,
    joined,
    read_asked,
    read_checkpoint,
    read_standing,
)
from streamproc.store.jobs import COMPLETIONS, OPEN, SHARED, JobRow, drop_progress, insert_row, row_of

log = structlog.get_logger(__name__)
_UNTOLD = "ended IS NOT NULL AND told = 0 AND state <> 'cancelled' AND json_extract(request, '$.channel') IS NOT NULL"
_UNDONE = f"(state IN ('queued', 'running') OR ({_UNTOLD}))"


@dataclass(slots=True)
class Applied:
    """What records have brought."""

    asked: set[str] = field(default_factory=set)
    """Jobs that are new here."""
    to_cancel: bool = False
    told: set[str] = field(default_factory=set)
    """Jobs of whose end somebody has told."""


class JobIndex:
    """Thread-safe. Raises StorageUnavailable where the disk takes nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def apply(
        self,
        records: Iterable[tuple[str, bytes | None]],
        notes: Mapping[str, str] | None = None,
        *,
        strict: bool = True,
    ) -> Applied:
        """``notes``: facts that are written down with it. Raises StateVersionUnknown for a record in a form of a later version; not ``strict``:
        passes it over."""
        applied = Applied()
        with storage_faults(), self._database.write() as db:
            for text, value in records:
                try:
                    _take(db, Key.read(text), text, value, applied)
                except StateVersionUnknown as error:
                    if strict:
                        raise
                    log.warning("job_of_a_later_version", key=text, reason=str(error))
                except StateDamaged as error:
                    log.error("job_unreadable", key=text, reason=str(error))
            for key, note in (notes or {}).items():
                self._database.put(key, note)
        return applied

    def rows(self, condition: str = "1", values: Sequence[object] = ()) -> list[JobRow]:
        """Shared jobs, oldest first."""
        query = f"SELECT * FROM jobs WHERE owner = ? AND {condition} ORDER BY created, id"
        return [row_of(each) for each in self._database.read().execute(query, (SHARED, *values))]

    def undone(self) -> list[JobRow]:
        """Jobs that some node has still to run, or to tell the end of."""
        return self.rows(_UNDONE)

    def untold(self) -> list[JobRow]:
        """Jobs whose end somebody waits to be told of."""
        return self.rows(_UNTOLD)

    def asked_key(self, job: str) -> str:
        """Key of the record that the job was made of."""
        found = self._database.read().execute("SELECT asked FROM jobs WHERE id = ?", (job,)).fetchone()
        return str(found[0]) if found else ""

    def pieces(self, job: str) -> int:
        """How many pieces of rows there are."""
        return int(self._database.read().execute("SELECT count(*) FROM job_rows WHERE job = ?", (job,)).fetchone()[0])

    def restore(self, here: Callable[[JobRow], bool], records: Mapping[str, bytes | None]) -> None:
        """Make the checkpoints of these records those that runs go on from. ``here``: of which jobs. Raises StateVersionUnknown."""
        runs: dict[str, list[str]] = {}
        for row in self.rows("state = 'running'"):
            if here(row):
                runs.setdefault(row.run, []).append(row.id)
        with storage_faults(), self._database.write() as db:
            for run, jobs in runs.items():
                try:
                    found = read_checkpoint(run, jobs, records)
                except StateDamaged as error:
                    log.error("job_unreadable", key=run, reason=str(error))
                    found = None
                _restore(db, run, jobs, found)

    def is_delivered(self, job: str) -> bool:
        """Whether the end of a job was told from here."""
        query = (
            "SELECT count(*) AS owed, sum(d.state = 'waiting') AS waiting FROM deliveries d JOIN events e ON e.seq = d.event "
            "WHERE d.session = ? AND e.processor = ?"
        )
        found = self._database.read().execute(query, (job, COMPLETIONS)).fetchone()
        return bool(found["owed"]) and not found["waiting"]

    def settle(self, jobs: Iterable[str]) -> None:
        """Another node has told the ends of these: what waits here is not delivered."""
        with storage_faults(), self._database.write() as db:
            db.executemany(
                "UPDATE deliveries SET state = 'delivered', reason = 'by another node' WHERE state = 'waiting' AND session = ? "
                "AND event IN (SELECT seq FROM events WHERE session = ? AND processor = ?)",
                [(job, job, COMPLETIONS) for job in jobs],
            )


def _take(db: sqlite3.Connection, key: Key, text: str, value: bytes | None, applied: Applied) -> None:
    if key.kind == "asked":
        _take_asked(db, key.subject, text, value, applied)
        return
    found = db.execute("SELECT * FROM jobs WHERE id = ? AND owner = ?", (key.subject, SHARED)).fetchone()
    if found is None:
        return  # forgotten already
    if key.kind == "standing" and value is not None:
        _take_standing(db, row_of(found), value, applied)
    elif key.kind == "cancel" and value is not None:
        db.execute("UPDATE jobs SET to_cancel = 1 WHERE id = ?", (key.subject,))
        applied.to_cancel = True
    elif key.kind == "result" and value is not None and found["state"] in OPEN:
        db.execute("INSERT OR REPLACE INTO job_parts VALUES (?, ?, ?)", (key.subject, int(key.rest), value))


def _take_asked(db: sqlite3.Connection, job: str, text: str, value: bytes | None, applied: Applied) -> None:
    """The first of two nodes that were asked the same at once counts."""
    known = db.execute("SELECT asked FROM jobs WHERE id = ?", (job,)).fetchone()
    if value is not None and known is None:
        insert_row(db, read_asked(job, value))
        db.execute("UPDATE jobs SET asked = ? WHERE id = ?", (text, job))
        applied.asked.add(job)
    elif value is None and known is not None and known["asked"] == text:
        drop_progress(db, job)
        for table in ("job_results", "job_parts"):
            db.execute(f"DELETE FROM {table} WHERE job = ?", (job,))
        db.execute("DELETE FROM jobs WHERE id = ?", (job,))


def _take_standing(db: sqlite3.Connection, before: JobRow, value: bytes, applied: Applied) -> None:
    row = read_standing(before, value)
    if row.revision < before.revision or (before.ended is not None and row.ended is None):
        return  # of earlier
    db.execute(
        "UPDATE jobs SET state = ?, message = ?, ended = ?, run = ?, frames = ?, expected = ?, facts = ?, bad_video = ?,"
        " attempts = ?, told = ?, revision = ? WHERE id = ?",
        (
            *(row.state, row.message, row.ended, row.run, row.frames, row.expected),
            *(json.dumps(row.facts) if row.facts is not None else None, row.bad_video),
            *(row.attempts, row.told, row.revision, row.id),
        ),
    )
    if row.told:
        applied.told.add(row.id)
    if row.ended is not None and before.ended is None:
        _take_result(db, row)
        drop_progress(db, row.id)


def _take_result(db: sqlite3.Connection, row: JobRow) -> None:
    parts = db.execute("SELECT part, data FROM job_parts WHERE job = ?", (row.id,))
    result = joined({f"result {each['part']}": bytes(each["data"]) for each in parts}, "result")
    if row.state == "succeeded" and result is not None:
        db.execute("INSERT OR REPLACE INTO job_results VALUES (?, ?)", (row.id, result))
    elif row.state == "succeeded":
        log.error("job_result_incomplete", job=row.id)
    db.execute("DELETE FROM job_parts WHERE job = ?", (row.id,))


def _restore(db: sqlite3.Connection, run: str, jobs: Sequence[str], found: Checkpoint | None) -> None:
    db.execute("DELETE FROM job_places WHERE run = ?", (run,))
    for table in ("job_states", "job_rows"):
        db.executemany(f"DELETE FROM {table} WHERE job = ?", [(job,) for job in jobs])
    if found is None:
        return
    db.execute("INSERT INTO job_places VALUES (?, ?)", (run, found.place))
    db.executemany("INSERT INTO job_states VALUES (?, ?)", list(found.states.items()))
    rows = [(job, number, piece) for job, pieces in found.rows.items() for number, piece in enumerate(pieces)]
    db.executemany("INSERT INTO job_rows VALUES (?, ?, ?)", rows)
