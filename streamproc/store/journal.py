"""What was decided, durably: sessions, their events, who still has to be told, and where a lane goes on after a crash."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import structlog

from streamproc.contracts import Position
from streamproc.core.event import Event, EventType, Pictures
from streamproc.core.route import Route
from streamproc.logic.event_query import EventQuery
from streamproc.store.codec import event_from_json, event_to_json
from streamproc.store.database import BUSY_S, Database
from streamproc.store.faults import storage_faults
from streamproc.store.history import COUNTING_STEP, HISTORY_STEP, History, Size, enter
from streamproc.store.spool import Spool

log = structlog.get_logger(__name__)

JOURNAL_SCHEMA = (
    """
    CREATE TABLE sessions (
        id TEXT PRIMARY KEY, processor TEXT NOT NULL, opened TEXT NOT NULL, closed TEXT,
        state TEXT NOT NULL, context TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX sessions_open ON sessions (processor) WHERE closed IS NULL;
    CREATE TABLE checkpoints (processor TEXT PRIMARY KEY, snapshot BLOB, position TEXT);
    CREATE TABLE events (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, processor TEXT NOT NULL, session TEXT NOT NULL,
        type TEXT NOT NULL, stored REAL NOT NULL, document TEXT NOT NULL, picture_bytes INTEGER NOT NULL
    );
    CREATE INDEX events_told ON events (processor, seq) WHERE type <> 'face_record';
    CREATE INDEX events_session ON events (session);
    CREATE INDEX events_pictures ON events (seq, picture_bytes) WHERE picture_bytes > 0;
    CREATE TABLE deliveries (
        event INTEGER NOT NULL REFERENCES events (seq) ON DELETE CASCADE, output TEXT NOT NULL, session TEXT NOT NULL,
        state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, reason TEXT, changed REAL NOT NULL,
        PRIMARY KEY (event, output)
    ) WITHOUT ROWID;
    CREATE INDEX deliveries_waiting ON deliveries (output, session, event) WHERE state = 'waiting';
    CREATE INDEX deliveries_dead ON deliveries (event) WHERE state = 'dead';
    """,
    """
    CREATE TABLE outbox_size (bytes INTEGER NOT NULL);
    INSERT INTO outbox_size SELECT TOTAL(picture_bytes + LENGTH(document)) FROM events;
    CREATE TRIGGER events_come AFTER INSERT ON events BEGIN
        UPDATE outbox_size SET bytes = bytes + NEW.picture_bytes + LENGTH(NEW.document);
    END;
    CREATE TRIGGER events_go AFTER DELETE ON events BEGIN
        UPDATE outbox_size SET bytes = bytes - OLD.picture_bytes - LENGTH(OLD.document);
    END;
    CREATE TRIGGER events_shrink AFTER UPDATE OF picture_bytes ON events BEGIN
        UPDATE outbox_size SET bytes = bytes + NEW.picture_bytes - OLD.picture_bytes;
    END;
    """,
    HISTORY_STEP,
    COUNTING_STEP,
)


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session as the journal keeps it."""

    id: str
    processor: str
    opened: datetime
    state: dict[str, Any] = field(default_factory=dict)
    """JSON-ready: whatever the session logic needs to go on after a restart."""
    context: dict[str, Any] = field(default_factory=dict)
    """JSON-ready facts that outputs echo: see ``contracts.Delivery.context``."""
    closed: datetime | None = None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a lane goes on: its state document (``pipeline.snapshot``) and the place in its source, of the same instant."""

    snapshot: bytes | None
    position: Position | None


@dataclass(frozen=True, slots=True)
class Commit:
    """Everything that one decision changes, all or nothing."""

    processor: str
    sessions: Sequence[SessionRow] = ()
    """Every session that is touched; a session must be written with or before its first event."""
    events: Sequence[tuple[Event, Pictures | None]] = ()
    routes: Sequence[Route] = ()
    """The processor's outputs; an event is owed to each that takes its type."""
    checkpoint: Checkpoint | None = None
    """Replaces the processor's checkpoint when given."""
    forget_checkpoint: bool = False
    """The processor's next start begins anew; not together with ``checkpoint``."""


Listener = Callable[[set[tuple[str, str]]], None]
"""Called after a commit, in the committing thread, with the (output, session) pairs that got something to deliver."""


class Journal:
    """The write-ahead record of everything that is told. Thread-safe; a commit returns when it is on disk."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.spool = Spool(database.data_dir / "spool")
        self.history = History(database)
        self._listeners: list[Listener] = []
        self.observers: list[Callable[[], None]] = []
        """Called after each commit with new events, in the committing thread. Must be quick and must not raise."""
        self._records_refused = threading.Event()
        database.migrate("journal", JOURNAL_SCHEMA)

    def commit(self, commit: Commit, patience_s: float = BUSY_S) -> list[Event]:
        """Make it durable in one transaction; returns the events that were not known yet.

        Events that are known by id (a restart decided them again) change nothing; where what is known is something else, that is
        logged as an error. Face records that no route takes, or while records are refused for want of space, are not kept.
        ``patience_s``: as of ``Database.write``. Raises StorageUnavailable, and then nothing has changed.
        """
        with storage_faults():
            fresh, owed = self._commit(commit, patience_s)
        if owed:
            for listener in self._listeners:
                listener(owed)
        if fresh:
            self.tell_observers()
        return fresh

    def tell_observers(self) -> None:
        """There are new events. Observers come and go in the event loop meanwhile."""
        for observer in tuple(self.observers):
            observer()

    def _commit(self, commit: Commit, patience_s: float) -> tuple[list[Event], set[tuple[str, str]]]:
        """The events that were not known yet, and who got something to deliver."""
        fresh = self.fresh(commit)
        sizes = [self.spool.write(event, pictures) if pictures else 0 for event, pictures in fresh]
        owed: set[tuple[str, str]] = set()
        with self.database.write(patience_s) as connection:
            for session in commit.sessions:
                write_session(connection, session)
            if commit.checkpoint is not None:
                write_checkpoint(connection, commit.processor, commit.checkpoint)
            elif commit.forget_checkpoint:
                connection.execute("DELETE FROM checkpoints WHERE processor = ?", (commit.processor,))
            for (event, _), size in zip(fresh, sizes, strict=True):
                owed |= write_event(connection, event, size, commit.routes)
        return [event for event, _ in fresh], owed

    def fresh(self, commit: Commit) -> list[tuple[Event, Pictures | None]]:
        """What of the commit's events would be new."""
        return self._unknown([pair for pair in commit.events if self._wanted(pair[0], commit.routes)])

    def subscribe(self, listener: Listener) -> None:
        """``listener`` must be quick and must not raise."""
        self._listeners.append(listener)

    def unsubscribe(self, listener: Listener) -> None:
        self._listeners.remove(listener)

    def refuse_records(self, refuse: bool) -> None:
        """Stop (or again start) keeping face records; notifications are always kept."""
        if refuse:
            self._records_refused.set()
        else:
            self._records_refused.clear()

    def session(self, session_id: str) -> SessionRow | None:
        row = self.database.read().execute("SELECT * FROM sessions WHERE id = ?", (session_id,)).fetchone()
        return _session(row) if row else None

    def open_sessions(self, processor: str) -> list[SessionRow]:
        """Sessions of the processor that have not been closed, oldest first."""
        rows = self.database.read().execute(
            "SELECT * FROM sessions WHERE processor = ? AND closed IS NULL ORDER BY opened, id", (processor,)
        )
        return [_session(row) for row in rows]

    def checkpoint(self, processor: str) -> Checkpoint | None:
        query = "SELECT snapshot, position FROM checkpoints WHERE processor = ?"
        row = self.database.read().execute(query, (processor,)).fetchone()
        if row is None:
            return None
        return Checkpoint(row["snapshot"], Position(json.loads(row["position"])) if row["position"] else None)

    def clear_checkpoint(self, processor: str) -> None:
        """The next start begins anew."""
        with self.database.write() as connection:
            connection.execute("DELETE FROM checkpoints WHERE processor = ?", (processor,))

    def forget(self, processor: str) -> None:
        """The processor was deleted: drop its checkpoint and close its sessions' rows. What it owes is still delivered."""
        with self.database.write() as connection:
            connection.execute("DELETE FROM checkpoints WHERE processor = ?", (processor,))
            connection.execute(
                "UPDATE sessions SET closed = opened WHERE processor = ? AND closed IS NULL", (processor,)
            )

    def event(self, event_id: str) -> tuple[Event, Pictures | None] | None:
        """An event that is still kept, with its pictures where they are."""
        row = self.database.read().execute("SELECT document FROM events WHERE id = ?", (event_id,)).fetchone()
        if row is None:
            return None
        event = event_from_json(row["document"])
        return event, self.spool.read(event.session, event.id) if event.has_pictures else None

    def last_event(self, session_id: str) -> Event | None:
        """The latest event of a session, of any type; None where none is kept (any more)."""
        query = "SELECT document FROM events WHERE session = ? ORDER BY seq DESC LIMIT 1"
        row = self.database.read().execute(query, (session_id,)).fetchone()
        return event_from_json(row["document"]) if row is not None else None

    def recent(self, processor: str, limit: int = 50) -> list[Event]:
        """The processor's latest events (no face records), newest first."""
        return [kept.event for kept in self.history.page(EventQuery(processors=(processor,)), limit=limit).kept]

    def _wanted(self, event: Event, routes: Sequence[Route]) -> bool:
        if event.type is not EventType.FACE_RECORD:
            return True
        return not self._records_refused.is_set() and any(event.type in route.types for route in routes)

    def _unknown(self, pairs: list[tuple[Event, Pictures | None]]) -> list[tuple[Event, Pictures | None]]:
        fresh: dict[str, tuple[Event, Pictures | None]] = {}
        for event, pictures in pairs:
            query = "SELECT document FROM events WHERE id = ?"
            row = self.database.read().execute(query, (event.id,)).fetchone()
            known = event_from_json(row["document"]) if row is not None else fresh.get(event.id, (None,))[0]
            if known is None:
                fresh[event.id] = (event, pictures)
            elif _content(known) != _content(event):
                log.error(
                    "event_id_taken",
                    event_id=event.id,
                    processor=event.processor,
                    kept=known.type.value,
                    lost=event.type.value,
                )
        return list(fresh.values())


def _content(event: Event) -> str:
    """Everything of an event that deciding it again gives again: how long it took is measured."""
    return event_to_json(replace(event, data={key: value for key, value in event.data.items() if key != "latency"}))


def write_session(connection: sqlite3.Connection, session: SessionRow) -> None:
    connection.execute(
        "INSERT INTO sessions (id, processor, opened, closed, state, context) VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (id) DO UPDATE SET closed = excluded.closed, state = excluded.state, context = excluded.context",
        (
            session.id,
            session.processor,
            session.opened.isoformat(),
            session.closed.isoformat() if session.closed else None,
            json.dumps(session.state, allow_nan=False),
            json.dumps(session.context, allow_nan=False),
        ),
    )


def write_checkpoint(connection: sqlite3.Connection, processor: str, checkpoint: Checkpoint) -> None:
    position = json.dumps(checkpoint.position.token) if checkpoint.position else None
    connection.execute(
        "INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?)", (processor, checkpoint.snapshot, position)
    )


def write_event(
    connection: sqlite3.Connection, event: Event, picture_bytes: int, routes: Sequence[Route]
) -> set[tuple[str, str]]:
    now, document = time.time(), event_to_json(event)
    cursor = connection.execute(
        "INSERT OR IGNORE INTO events (id, processor, session, type, stored, document, picture_bytes) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (event.id, event.processor, event.session, event.type.value, now, document, picture_bytes),
    )
    if cursor.rowcount == 0 or cursor.lastrowid is None:
        return set()
    owed = {(route.output, event.session) for route in routes if event.type in route.types}
    enter(connection, cursor.lastrowid, event, Size(picture_bytes + len(document), bool(owed)))
    connection.executemany(
        "INSERT INTO deliveries (event, output, session, state, changed) VALUES (?, ?, ?, 'waiting', ?)",
        [(cursor.lastrowid, output, session, now) for output, session in sorted(owed)],
    )
    return owed


def owe(connection: sqlite3.Connection, seq: int, event: Event, routes: Sequence[Route]) -> bool:
    """Let an event that came as another node's be delivered by this one. Not where this node ever had anything to deliver of it. Whether there is
    anything to deliver."""
    owed = sorted({route.output for route in routes if event.type in route.types})
    if not owed or connection.execute("SELECT 1 FROM deliveries WHERE event = ? LIMIT 1", (seq,)).fetchone():
        return False
    now = time.time()
    connection.executemany(
        "INSERT INTO deliveries (event, output, session, state, changed) VALUES (?, ?, ?, 'waiting', ?)",
        [(seq, output, event.session, now) for output in owed],
    )
    connection.execute(
        "UPDATE outbox_size SET owed = owed + (SELECT picture_bytes + LENGTH(document) FROM events WHERE seq = ?)",
        (seq,),
    )
    return True


def _session(row: sqlite3.Row) -> SessionRow:
    return SessionRow(
        id=row["id"],
        processor=row["processor"],
        opened=datetime.fromisoformat(row["opened"]),
        state=json.loads(row["state"]),
        context=json.loads(row["context"]),
        closed=datetime.fromisoformat(row["closed"]) if row["closed"] else None,
    )
