"""Who still has to be told what: the waiting, delivered and dead deliveries of the journal."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from streamproc.core.event import Event
from streamproc.store.codec import event_from_json
from streamproc.store.journal import Journal

State = Literal["waiting", "delivered", "dead"]


@dataclass(frozen=True, slots=True)
class PendingDelivery:
    """One event that one output has not confirmed."""

    seq: int
    """Place in the journal; within a session this is the order of decision."""
    output: str
    event: Event
    context: dict[str, Any]
    """``SessionRow.context`` of the event's session."""
    state: State
    attempts: int
    reason: str | None
    """What the output said last."""
    stored: float
    """When the event became durable, epoch seconds."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which deliveries a person means; left out parts select everything."""

    state: State | None = None
    output: str | None = None
    event: str | None = None

    def where(self) -> tuple[str, list[str]]:
        """An SQL condition over ``deliveries d`` and ``events e``, and its values."""
        pairs = {"d.state": self.state, "d.output": self.output, "e.id": self.event}
        chosen = {column: value for column, value in pairs.items() if value is not None}
        return " AND ".join([*(f"{column} = ?" for column in chosen), "1"]), list(chosen.values())


@dataclass(frozen=True, slots=True)
class OutputStanding:
    """What an output has not taken."""

    waiting: int = 0
    oldest: float | None = None
    """When the event that waits longest became durable, epoch seconds."""
    error: str | None = None
    """What the output said last to that event."""
    dead: int = 0


class DeliveryStore:
    """The outbox's side of the journal. Thread-safe."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._database = journal.database

    def waiting_sessions(self) -> list[tuple[str, str]]:
        """(output, session) pairs with something to deliver."""
        rows = self._database.read().execute("SELECT DISTINCT output, session FROM deliveries WHERE state = 'waiting'")
        return [(row["output"], row["session"]) for row in rows]

    def next(self, output: str, session: str, limit: int) -> list[PendingDelivery]:
        """The oldest undelivered events of a session to an output, in order."""
        query = _SELECT + " WHERE d.state = 'waiting' AND d.output = ? AND d.session = ? ORDER BY d.event LIMIT ?"
        return [_owed(row) for row in self._database.read().execute(query, (output, session, limit))]

    def delivered(self, output: str, seqs: Sequence[int]) -> None:
        """The output confirmed these."""
        self._mark(output, seqs, "delivered", None)

    def dead(self, output: str, seq: int, reason: str) -> None:
        """The output refused it for good."""
        self._mark(output, [seq], "dead", reason)

    def failed(self, output: str, seq: int, reason: str) -> None:
        """An attempt failed; it goes on waiting."""
        self._mark(output, [seq], "waiting", reason)

    def select(self, selection: Selection, limit: int = 1000) -> list[PendingDelivery]:
        """Deliveries as a person asks for them, oldest first."""
        condition, values = selection.where()
        query = f"{_SELECT} WHERE {condition} ORDER BY d.event, d.output LIMIT ?"
        return [_owed(row) for row in self._database.read().execute(query, (*values, limit))]

    def retry(self, selection: Selection) -> int:
        """Dead deliveries wait again; returns how many. A running daemon notices within seconds."""
        condition, values = selection.where()
        with self._database.write() as connection:
            cursor = connection.execute(
                "UPDATE deliveries SET state = 'waiting', attempts = 0, changed = ? WHERE state = 'dead' AND "
                f"(event, output) IN (SELECT d.event, d.output {_FROM} WHERE {condition})",
                (time.time(), *values),
            )
            return int(cursor.rowcount)

    def drop(self, selection: Selection) -> int:
        """Forget deliveries that were not confirmed (they count as delivered); returns how many."""
        condition, values = selection.where()
        with self._database.write() as connection:
            cursor = connection.execute(
                "UPDATE deliveries SET state = 'delivered', reason = 'dropped by hand', changed = ? "
                "WHERE state <> 'delivered' AND "
                f"(event, output) IN (SELECT d.event, d.output {_FROM} WHERE {condition})",
                (time.time(), *values),
            )
            return int(cursor.rowcount)

    def counts(self) -> dict[tuple[str, str], int]:
        """How many deliveries are waiting and dead, by (output, state)."""
        counted: dict[tuple[str, str], int] = {}
        for state in ("waiting", "dead"):
            # Spelled out, not bound: only so can the partial index of the state be used.
            query = f"SELECT output, COUNT(*) AS n FROM deliveries WHERE state = '{state}' GROUP BY output"
            counted |= {(row["output"], state): row["n"] for row in self._database.read().execute(query)}
        return counted

    def standing(self) -> dict[str, OutputStanding]:
        """How each output stands that has something waiting or refused."""
        read = self._database.read()
        found: dict[str, OutputStanding] = {}
        for row in read.execute(_WAITING):
            found[row["output"]] = OutputStanding(row["waiting"], row["oldest"], row["reason"])
        dead = "SELECT output, COUNT(*) AS n FROM deliveries WHERE state = 'dead' GROUP BY output"
        for row in read.execute(dead):
            found[row["output"]] = replace(found.get(row["output"], OutputStanding()), dead=row["n"])
        return found

    def bytes_kept(self) -> int:
        """What the events that are still owed take, with their pictures."""
        return int(self._database.read().execute("SELECT owed FROM outbox_size").fetchone()[0])

    def shed_pictures(self, target: int) -> int:
        """Give up at least ``target`` bytes of pictures that are owed, oldest events first; returns the bytes."""
        shed, after = 0, 0
        query = (
            "SELECT seq, id, session, picture_bytes FROM events WHERE picture_bytes > 0 AND seq > ? AND EXISTS "
            "(SELECT 1 FROM deliveries WHERE event = seq AND state <> 'delivered') ORDER BY seq LIMIT 50"
        )
        while shed < target and (rows := self._database.read().execute(query, (after,)).fetchall()):
            chosen: list[sqlite3.Row] = []
            for row in rows:
                if shed < target:
                    chosen.append(row)
                    shed += row["picture_bytes"]
            after = rows[-1]["seq"]
            self._drop_pictures(chosen)
            with self._database.write() as connection:
                connection.executemany(
                    "UPDATE events SET picture_bytes = 0 WHERE seq = ?", [(row["seq"],) for row in chosen]
                )
        return shed

    def sweep(self) -> int:
        """At start: remove pictures that no event names; returns how many files."""
        return self._journal.spool.sweep(_KnownEvents(self._database.read()))

    def _drop_pictures(self, rows: Iterable[sqlite3.Row]) -> None:
        for row in rows:
            self._journal.spool.remove(row["session"], row["id"])

    def _mark(self, output: str, seqs: Sequence[int], state: State, reason: str | None) -> None:
        now = time.time()
        with self._database.write() as connection:
            connection.executemany(
                "UPDATE deliveries SET state = ?, reason = ?, attempts = attempts + 1, changed = ? "
                "WHERE event = ? AND output = ? AND state = 'waiting'",
                [(state, reason, now, seq, output) for seq in seqs],
            )


class _KnownEvents:
    """Membership test for event ids."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __contains__(self, event_id: object) -> bool:
        return self._connection.execute("SELECT 1 FROM events WHERE id = ?", (event_id,)).fetchone() is not None


_WAITING = (
    "SELECT w.output, w.waiting, e.stored AS oldest, d.reason FROM "
    "(SELECT output, COUNT(*) AS waiting, MIN(event) AS first FROM deliveries WHERE state = 'waiting' GROUP BY output) w "
    "JOIN events e ON e.seq = w.first JOIN deliveries d ON d.event = w.first AND d.output = w.output"
)
_FROM = "FROM deliveries d JOIN events e ON e.seq = d.event"
_SELECT = (
    "SELECT d.event AS seq, d.output, d.state, d.attempts, d.reason, e.stored, e.document, s.context "
    "FROM deliveries d JOIN events e ON e.seq = d.event LEFT JOIN sessions s ON s.id = d.session"
)


def _owed(row: sqlite3.Row) -> PendingDelivery:
    return PendingDelivery(
        seq=row["seq"],
        output=row["output"],
        event=event_from_json(row["document"]),
        context=json.loads(row["context"]) if row["context"] else {},
        state=row["state"],
        attempts=row["attempts"],
        reason=row["reason"],
        stored=row["stored"],
    )
