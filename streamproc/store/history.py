"""What was told, for people who look back: every event but face records, newest first, by what it is about and when.

Events differ in few ways (processor, type, class, person, region, reason), so each way is one row of ``event_kinds`` and an event's entry
is three numbers: its sequence, its kind and its time. A question is first put to the kinds and then to the numbers.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

from streamproc.core.event import Event, EventType
from streamproc.logic.event_query import FACES, EventKind, EventQuery, kind_of
from streamproc.store.codec import event_from_json
from streamproc.store.database import Database

_COLUMNS = ", ".join(field.name for field in fields(EventKind))
_REASON = "COALESCE(json_extract(e.document, '$.data.condition'), json_extract(e.document, '$.data.reason'), '')"
_KIND_OF_DOCUMENT = (
    "e.processor, e.type, COALESCE(json_extract(e.document, '$.label'), ''), COALESCE(json_extract(e.document, '$.person'), ''), "
    f"COALESCE(json_extract(e.document, '$.region[0]'), ''), substr({_REASON}, 1, instr({_REASON} || ':', ':') - 1)"
)
_SIZE = "(SELECT picture_bytes + LENGTH(document) FROM events WHERE seq = NEW.event)"
_OWED_ALREADY = (
    "EXISTS (SELECT 1 FROM deliveries WHERE event = NEW.event AND output <> NEW.output AND state <> 'delivered')"
)
HISTORY_STEP = f"""
    CREATE TABLE event_kinds (
        id INTEGER PRIMARY KEY AUTOINCREMENT, processor TEXT NOT NULL, type TEXT NOT NULL, label TEXT NOT NULL,
        person TEXT NOT NULL, region TEXT NOT NULL, detail TEXT NOT NULL, UNIQUE ({_COLUMNS})
    );
    CREATE TABLE history (
        seq INTEGER PRIMARY KEY REFERENCES events (seq) ON DELETE CASCADE, kind INTEGER NOT NULL, at REAL NOT NULL
    );
    CREATE INDEX history_kind ON history (kind, seq, at);
    INSERT OR IGNORE INTO event_kinds ({_COLUMNS}) SELECT {_KIND_OF_DOCUMENT} FROM events e WHERE e.type <> 'face_record';
    INSERT INTO history
        SELECT e.seq, k.id, (julianday(json_extract(e.document, '$.wall')) - 2440587.5) * 86400.0
        FROM events e JOIN event_kinds k
        ON (k.processor, k.type, k.label, k.person, k.region, k.detail) = ({_KIND_OF_DOCUMENT}) WHERE e.type <> 'face_record';
    DROP INDEX events_told;
    CREATE INDEX events_records ON events (stored) WHERE type = 'face_record';
    ALTER TABLE outbox_size ADD COLUMN owed INTEGER NOT NULL DEFAULT 0;
    UPDATE outbox_size SET owed = (
        SELECT TOTAL(picture_bytes + LENGTH(document)) FROM events
        WHERE EXISTS (SELECT 1 FROM deliveries WHERE event = seq AND state <> 'delivered')
    );
    DROP TRIGGER events_shrink;
    CREATE TRIGGER events_shrink AFTER UPDATE OF picture_bytes ON events BEGIN
        UPDATE outbox_size SET bytes = bytes + NEW.picture_bytes - OLD.picture_bytes, owed = owed + CASE WHEN EXISTS
        (SELECT 1 FROM deliveries WHERE event = NEW.seq AND state <> 'delivered') THEN NEW.picture_bytes - OLD.picture_bytes ELSE 0 END;
    END;
    CREATE TRIGGER deliveries_come AFTER INSERT ON deliveries WHEN NEW.state <> 'delivered' AND NOT {_OWED_ALREADY} BEGIN
        UPDATE outbox_size SET owed = owed + {_SIZE};
    END;
    CREATE TRIGGER deliveries_done AFTER UPDATE OF state ON deliveries
    WHEN OLD.state <> 'delivered' AND NEW.state = 'delivered' AND NOT {_OWED_ALREADY} BEGIN
        UPDATE outbox_size SET owed = owed - {_SIZE};
    END;
    """
"""A step of the journal's tables. ``outbox_size``: ``bytes`` is everything that is kept, ``owed`` the part that an output has not taken."""

PRUNED = "history_pruned"
COUNTING_STEP = """
    DROP TRIGGER events_come;
    DROP TRIGGER deliveries_come;
    """
"""New events are counted by ``enter``, with one statement where two triggers did it."""
_FEW_KINDS = 64
"""Up to so many kinds are looked up one by one; with more of them a walk over the newest entries finds enough soon."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An event as the history has it."""

    seq: int
    """Its place in the journal, the order in which events became durable."""
    event: Event
    pictures: bool
    """Whether its pictures are still kept."""


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Newest first."""

    kept: Sequence[Kept]
    next: int | None
    """``before`` of the page that follows; None: this is the last."""
    latest: int
    """The newest sequence when this was asked: everything later is news."""


@dataclass(frozen=True, slots=True)
class DeliveryState:
    """How one output stands to one event."""

    output: str
    state: str
    """waiting, delivered or dead."""
    attempts: int
    reason: str | None
    changed: float
    """Epoch seconds."""


class History:
    """The reading side. Thread-safe; every method may block on the disk. The tables come with the journal's."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._texts: dict[int, str] = {}
        self._lock = threading.Lock()

    def page(self, query: EventQuery, before: int | None = None, limit: int = 50) -> HistoryPage:
        """At most ``limit`` events with a sequence below ``before``."""
        latest = self.latest()
        end = latest + 1 if before is None else min(before, latest + 1)
        seqs = self._find(query, end, limit + 1)
        following = seqs[limit - 1] if len(seqs) > limit else None
        return HistoryPage(self._load(seqs[:limit]), following, latest)

    def since(self, seq: int, limit: int) -> list[Kept]:
        """The oldest ``limit`` events after a sequence, oldest first."""
        rows = self._database.read().execute("SELECT seq FROM history WHERE seq > ? ORDER BY seq LIMIT ?", (seq, limit))
        return self._load([row["seq"] for row in rows.fetchall()])[::-1]

    def get(self, event_id: str) -> Kept | None:
        """One event by its id, of any type."""
        query = "SELECT seq, document, picture_bytes FROM events WHERE id = ?"
        row = self._database.read().execute(query, (event_id,)).fetchone()
        return _kept(row) if row is not None else None

    def deliveries(self, seq: int) -> list[DeliveryState]:
        """Who was to be told of an event, and was."""
        query = "SELECT output, state, attempts, reason, changed FROM deliveries WHERE event = ? ORDER BY output"
        rows = self._database.read().execute(query, (seq,))
        return [
            DeliveryState(row["output"], row["state"], row["attempts"], row["reason"], row["changed"]) for row in rows
        ]

    def latest(self) -> int:
        """The newest sequence that was ever given; 0: none."""
        row = self._database.read().execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
        return int(row["seq"]) if row is not None else 0

    def pruned(self) -> int:
        """The newest sequence that was pruned: events up to it may be missing. 0: none."""
        return int(self._database.get(PRUNED) or 0)

    def kinds(self) -> list[EventKind]:
        """Every kind of which events are kept: what filters can offer."""
        query = f"SELECT {_COLUMNS} FROM event_kinds WHERE id IN (SELECT DISTINCT kind FROM history) ORDER BY id"
        return [EventKind(*row) for row in self._database.read().execute(query)]

    def _find(self, query: EventQuery, end: int, limit: int) -> list[int]:
        since = query.since.timestamp() if query.since else float("-inf")
        until = query.until.timestamp() if query.until else float("inf")
        window = (end, since, until, limit)
        read = self._database.read()
        if query.of_every_kind:
            found = read.execute(_WALK.format(kinds=""), window)
            return [row[0] for row in found]
        chosen = self._chosen(query)
        if len(chosen) > _FEW_KINDS:
            kinds = "AND +kind IN (SELECT value FROM json_each(?))"
            found = read.execute(_WALK.format(kinds=kinds), (*window[:3], json.dumps(chosen), limit))
            return [row[0] for row in found]
        seqs = [row[0] for kind in chosen for row in read.execute(_OF_KIND, (kind, *window))]
        return sorted(seqs, reverse=True)[:limit]

    def _load(self, seqs: Iterable[int]) -> list[Kept]:
        """Newest first; one that has just been pruned is left out."""
        query = (
            "SELECT seq, document, picture_bytes FROM events WHERE seq IN (SELECT value FROM json_each(?)) "
            "ORDER BY seq DESC"
        )
        return [_kept(row) for row in self._database.read().execute(query, (json.dumps(list(seqs)),))]

    def _chosen(self, query: EventQuery) -> list[int]:
        """The kinds that a query takes, as ``EventQuery.takes`` says it."""
        named = {
            "processor": query.processors,
            "type": query.types,
            "label": query.labels,
            "person": query.persons,
            "region": query.regions,
        }
        wanted = {column: values for column, values in named.items() if values}
        conditions = [f"{column} IN (SELECT value FROM json_each(?))" for column in wanted]
        values = [json.dumps(each) for each in wanted.values()]
        if not query.faces:
            conditions.append("type NOT IN (SELECT value FROM json_each(?))")
            values.append(json.dumps(FACES))
        where = " AND ".join(conditions) or "1"
        found = [row[0] for row in self._database.read().execute(f"SELECT id FROM event_kinds WHERE {where}", values)]
        words = query.text.casefold().split()
        if not words:
            return found
        texts = self._all_texts()
        return [kind for kind in found if (text := texts.get(kind)) is not None and all(word in text for word in words)]

    def _all_texts(self) -> Mapping[int, str]:
        """What words are looked for in, by kind. A number is never given twice, so one that is gone only matches nothing."""
        with self._lock:
            query = f"SELECT id, {_COLUMNS} FROM event_kinds WHERE id > ?"
            for row in self._database.read().execute(query, (max(self._texts, default=0),)):
                self._texts[row["id"]] = EventKind(*tuple(row)[1:]).text
            return dict(self._texts)


_WALK = "SELECT seq FROM history WHERE seq < ? AND at >= ? AND at < ? {kinds} ORDER BY seq DESC LIMIT ?"
_OF_KIND = "SELECT seq FROM history WHERE kind = ? AND seq < ? AND at >= ? AND at < ? ORDER BY seq DESC LIMIT ?"


@dataclass(frozen=True, slots=True)
class Size:
    """What an event takes, as ``outbox_size`` counts it."""

    bytes: int
    """Its pictures, and the characters of its document."""
    owed: bool
    """An output waits for it."""


def enter(connection: sqlite3.Connection, seq: int, event: Event, size: Size) -> None:
    """Count an event and put it into the history, in the transaction that makes it durable."""
    connection.execute(_COUNT, (size.bytes, size.bytes if size.owed else 0))
    if event.type is EventType.FACE_RECORD:
        return
    kind = kind_of(event)
    named = (kind.processor, kind.type, kind.label, kind.person, kind.region, kind.detail)
    entry = (seq, event.at.wall.timestamp(), *named)
    if connection.execute(_ENTER, entry).rowcount == 0:  # the first of its kind
        connection.execute(_NEW_KIND, named)
        connection.execute(_ENTER, entry)


_COUNT = "UPDATE outbox_size SET bytes = bytes + ?, owed = owed + ?"
_ENTER = f"INSERT INTO history (seq, kind, at) SELECT ?, id, ? FROM event_kinds WHERE ({_COLUMNS}) = (?, ?, ?, ?, ?, ?)"
_NEW_KIND = f"INSERT INTO event_kinds ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)"


def _kept(row: sqlite3.Row) -> Kept:
    return Kept(row["seq"], event_from_json(row["document"]), row["picture_bytes"] > 0)
