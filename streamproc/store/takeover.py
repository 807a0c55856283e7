"""What one node leaves of a processor and another takes over: its records in the log that they share, and the rows that they become here."""

from __future__ import annotations

import base64
import binascii
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from sqlite3 import Connection
from typing import Any

from streamproc.contracts import Position
from streamproc.core.errors import StateDamaged, StateVersionUnknown
from streamproc.core.event import INLINE_BYTES, Event, EventType, Pictures
from streamproc.core.route import Route
from streamproc.logic.redact import echo
from streamproc.logic.versions import Versions
from streamproc.store.codec import event_from_json, event_to_json
from streamproc.store.faults import storage_faults
from streamproc.store.journal import (
    Checkpoint,
    Commit,
    Journal,
    SessionRow,
    owe,
    write_checkpoint,
    write_event,
    write_session,
)
from streamproc.store.processors import ProcessorRow

VERSIONS = Versions("a lane's record", 1)
_TYPES = {each.value for each in EventType}
POINTER_BYTES = 1
"""What pictures that lie in the cluster's store take here: not nothing, which says that there are none."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What became of a processor's document, as of its row in the store."""

    document: str = ""
    """Hash of the document that the rest is about."""
    wanted: str = "running"
    finished: str | None = None
    """Hash of the document whose session ended by itself; None: none did since the last start."""
    origin: str = ""
    """Who owns the document; empty in records of before it was said."""


def standing_of(row: ProcessorRow) -> Standing:
    return Standing(row.document_hash, row.wanted, row.finished, row.origin)


@dataclass(frozen=True, slots=True)
class LaneRecord:
    """Where a processor goes on: the newest of these counts."""

    checkpoint: Checkpoint | None = None
    standing: Standing = Standing()
    sessions: tuple[SessionRow, ...] = ()
    """Those that are open, and those that the commit which wrote this has closed."""

    def after(self, commit: Commit, standing: Standing) -> LaneRecord:
        """The record that a commit leaves behind this one."""
        rows = {row.id: row for row in (*(row for row in self.sessions if row.closed is None), *commit.sessions)}
        checkpoint = None if commit.forget_checkpoint else commit.checkpoint or self.checkpoint
        return LaneRecord(checkpoint, standing, tuple(rows.values()))

    def encode(self, version: int | None = None) -> bytes:
        """``version``: for who reads no newer one."""
        document: dict[str, Any] = {"standing": asdict(self.standing)}
        if self.checkpoint is not None:
            snapshot, position = self.checkpoint.snapshot, self.checkpoint.position
            document["snapshot"] = base64.b64encode(snapshot).decode() if snapshot is not None else None
            document["position"] = position.token if position is not None else None
        document["sessions"] = [_session_document(row) for row in self.sessions]
        at, document = VERSIONS.lowered(document, VERSIONS.newest if version is None else version)
        return json.dumps({"version": at} | document, allow_nan=False, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, data: bytes) -> LaneRecord:
        """Keys of a later version are left alone. Raises StateVersionUnknown where a newer streamproc wrote it in another form, and StateDamaged."""
        try:
            document = json.loads(data)
            document = VERSIONS.raised(document, int(document["version"]))
            checkpoint = None
            if "snapshot" in document:
                text, token = document["snapshot"], document["position"]
                snapshot = base64.b64decode(text, validate=True) if text is not None else None
                checkpoint = Checkpoint(snapshot, Position(token) if token is not None else None)
            said = document["standing"]
            standing = Standing(said["document"], said["wanted"], said["finished"], said.get("origin", ""))
            sessions = tuple(_session(each) for each in document["sessions"])
            return cls(checkpoint, standing, sessions)
        except (ValueError, KeyError, TypeError, binascii.Error) as error:
            raise StateDamaged(f"a lane's record cannot be read: {error}") from None


@dataclass(frozen=True, slots=True)
class EventRecord:
    """An event as the log has it."""

    event: Event
    pictures: Pictures | None = None
    context: Mapping[str, Any] = field(default_factory=dict)
    """What outputs repeat of its session."""
    mark: str = ""
    """Of its pictures in the cluster's store, where they lie there or are on their way; they do not travel with it then."""

    def value(self) -> bytes:
        return event_to_json(self.event).encode()

    def headers(self) -> tuple[tuple[str, bytes], ...]:
        kept = [("type", self.event.type.value.encode()), ("context", json.dumps(dict(self.context)).encode())]
        if self.mark:
            kept.append(("stored", self.mark.encode()))
        elif self.pictures is not None and _size(self.pictures) <= INLINE_BYTES:
            kept += [("frame", self.pictures.frame), ("crop", self.pictures.crop)]
        return tuple(kept)

    @classmethod
    def read(cls, value: bytes, headers: Mapping[str, bytes]) -> EventRecord:
        """Raises StateDamaged, and StateVersionUnknown where a newer streamproc tells of something that this one does not know."""
        try:
            kind = json.loads(value)["type"]
            if kind not in _TYPES:
                raise StateVersionUnknown(
                    f"an event is of the type {echo(str(kind))}, which this streamproc does not know; update this node"
                )
            pictures = Pictures(headers["frame"], headers["crop"]) if "frame" in headers else None
            context, mark = json.loads(headers.get("context", b"{}")), headers.get("stored", b"").decode()
            return cls(event_from_json(value.decode()), pictures, context, mark)
        except (ValueError, KeyError, TypeError) as error:
            raise StateDamaged(f"an event's record cannot be read: {error}") from None


@dataclass(frozen=True, slots=True)
class Inherited:
    """Everything that the log holds of one processor."""

    processor: str
    lane: LaneRecord
    events: Sequence[EventRecord]
    """From the first on that an output is owed."""
    settled: Mapping[tuple[str, str], int]
    """Sequence of the last event that an output has settled, by output and session."""
    routes: Sequence[Route]
    logged_since: float = math.inf
    """Unix seconds: what was decided here from then on is in the log, or was and is settled."""


def adopt(journal: Journal, inherited: Inherited) -> int:
    """Make it what this node goes on from; what it knew of the processor before is behind. How many events it had not known.

    Events become deliveries where the log does not say that they were settled. Raises StorageUnavailable.
    """
    with storage_faults():
        _write_pictures(journal, inherited.events)
        with journal.database.write() as connection:
            _adopt_sessions(connection, inherited)
            checkpoint = inherited.lane.checkpoint
            if checkpoint is not None:
                write_checkpoint(connection, inherited.processor, checkpoint)
            else:
                connection.execute("DELETE FROM checkpoints WHERE processor = ?", (inherited.processor,))
            _settle_before(connection, inherited)
            return sum(_adopt_event(connection, record, inherited) for record in inherited.events)


def look_on(journal: Journal, records: Sequence[EventRecord]) -> int:
    """Make events of processors that other nodes run history here: this node owes nothing of them. How many it had not known. Raises
    StorageUnavailable."""
    fresh = 0
    with storage_faults():
        _write_pictures(journal, records)
        with journal.database.write() as connection:
            _closed_sessions(connection, records, set())
            for record in records:
                known = connection.execute("SELECT 1 FROM events WHERE id = ?", (record.event.id,)).fetchone()
                if known is None:
                    write_event(connection, record.event, _size_here(record), ())
                    fresh += 1
    if fresh:
        journal.tell_observers()
    return fresh


def _write_pictures(journal: Journal, records: Sequence[EventRecord]) -> None:
    for record in records:
        if journal.spool.has(record.event.session, record.event.id):
            continue
        if record.mark:
            journal.spool.point(record.event, record.mark)
        elif record.pictures is not None:
            journal.spool.write(record.event, record.pictures)


def _size(pictures: Pictures | None) -> int:
    return len(pictures.frame) + len(pictures.crop) if pictures is not None else 0


def _size_here(record: EventRecord) -> int:
    return POINTER_BYTES if record.mark else _size(record.pictures)


def _closed_sessions(connection: Connection, records: Sequence[EventRecord], known: set[str]) -> None:
    """Rows of the sessions of these events, closed, where there are none; ``known``: those that are somebody else's to write."""
    ends = {each.event.session: each for each in records if each.event.type is EventType.SESSION_COMPLETE}
    for record in records:
        event = record.event
        if event.session not in known:
            known.add(event.session)
            end = ends.get(event.session)
            closed = end.event.at.wall if end is not None else event.at.wall
            row = SessionRow(event.session, event.processor, event.at.wall, {}, dict(record.context), closed)
            if not connection.execute("SELECT 1 FROM sessions WHERE id = ?", (row.id,)).fetchone():
                write_session(connection, row)


def _adopt_sessions(connection: Connection, inherited: Inherited) -> None:
    _closed_sessions(connection, inherited.events, {row.id for row in inherited.lane.sessions})
    # What was open here before the other node had it was closed there, or is among those that it left open.
    connection.execute(
        "UPDATE sessions SET closed = opened WHERE processor = ? AND closed IS NULL", (inherited.processor,)
    )
    for row in inherited.lane.sessions:
        write_session(connection, row)


def _settle_before(connection: Connection, inherited: Inherited) -> None:
    """What waited here when another node took over, and was told by that one: the log does not name it any more."""
    owed = json.dumps([each.event.id for each in inherited.events])
    connection.execute(
        "UPDATE deliveries SET state = 'delivered', reason = 'by another node', changed = ? WHERE state = 'waiting' AND EXISTS "
        "(SELECT 1 FROM events WHERE seq = deliveries.event AND processor = ? AND stored >= ? "
        "AND id NOT IN (SELECT value FROM json_each(?)))",
        (time.time(), inherited.processor, min(inherited.logged_since, 1e12), owed),
    )


def _adopt_event(connection: Connection, record: EventRecord, inherited: Inherited) -> bool:
    event, settled = record.event, inherited.settled
    done = [
        route.output for route in inherited.routes if settled.get((route.output, event.session), -1) >= event.sequence
    ]
    row = connection.execute("SELECT seq FROM events WHERE id = ?", (event.id,)).fetchone()
    if row is not None:
        connection.executemany(
            "UPDATE deliveries SET state = 'delivered', reason = 'by another node', changed = ? "
            "WHERE event = ? AND output = ? AND state = 'waiting'",
            [(time.time(), row["seq"], output) for output in done],
        )
        owe(connection, row["seq"], event, [route for route in inherited.routes if route.output not in done])
        return False
    routes = [route for route in inherited.routes if route.output not in done]
    write_event(connection, event, _size_here(record), routes)
    return True


def _session_document(row: SessionRow) -> dict[str, Any]:
    closed = row.closed.isoformat() if row.closed is not None else None
    return {
        "id": row.id,
        "processor": row.processor,
        "opened": row.opened.isoformat(),
        "state": row.state,
        "context": row.context,
        "closed": closed,
    }


def _session(document: Mapping[str, Any]) -> SessionRow:
    closed = document["closed"]
    return SessionRow(
        document["id"],
        document["processor"],
        datetime.fromisoformat(document["opened"]),
        document["state"],
        document["context"],
        datetime.fromisoformat(closed) if closed is not None else None,
    )
