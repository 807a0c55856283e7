"""How long events are kept: as long as an output waits for them, and then as history asks, the oldest going first.

Everything is deleted in small transactions with a pause between, so that commits wait a few milliseconds at most.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass

from streamproc.store.history import PRUNED
from streamproc.store.journal import Journal

BATCH = 100
PAUSE_S = 0.005
UNSETTLED_S = 600.0
"""Events of a session that is still open are not pruned for space so long: a process that is killed may decide them again, and they must
be known then."""
_SESSIONS_EVERY_S = 86400.0


@dataclass(frozen=True, slots=True)
class Keep:
    """What is kept of events that no output waits for."""

    records_s: float
    """Face records."""
    events_s: float
    """Everything else."""
    max_bytes: int
    """Of both, with their pictures."""


class Retention:
    """Forgets what need not be kept. One thread at a time."""

    def __init__(self, journal: Journal, pause_s: float = PAUSE_S) -> None:
        self._journal = journal
        self._database = journal.database
        self._pause_s = pause_s
        self._swept = 0.0

    def history_bytes(self) -> int:
        """What events take that no output waits for, with their pictures."""
        return int(self._database.read().execute("SELECT bytes - owed FROM outbox_size").fetchone()[0])

    def by_age(self, now: float, keep: Keep) -> int:
        """Forget what is too old; returns how many events went. Events with a dead delivery stay until somebody decides."""
        gone = 0
        while rows := self._database.read().execute(_RECORDS, (now - keep.records_s, BATCH)).fetchall():
            gone += self._forget(rows)
        seq, before = 0, now - keep.events_s
        while rows := self._database.read().execute(_OLDEST, (seq, BATCH)).fetchall():
            seq = rows[-1]["seq"]
            old = [row for row in rows if row["stored"] < before]
            gone += self._forget([row for row in old if not row["owed"]])
            if len(old) < len(rows):
                break
        if now - self._swept >= _SESSIONS_EVERY_S:
            self._swept = now
            self._sweep_sessions(now - max(keep.events_s, keep.records_s) - 86400)
        return gone

    def by_size(self, now: float, keep: Keep) -> int:
        """Forget the oldest events until the rest is small enough; returns how many went."""
        excess, seq, gone = self.history_bytes() - keep.max_bytes, 0, 0
        while excess > 0 and (rows := self._database.read().execute(_OLDEST, (seq, BATCH)).fetchall()):
            seq = rows[-1]["seq"]
            chosen = []
            for row in rows:
                unsettled = row["open"] and row["stored"] > now - UNSETTLED_S
                if excess > 0 and not row["owed"] and not unsettled:
                    chosen.append(row)
                    excess -= row["bytes"]
            gone += self._forget(chosen)
        return gone

    def _forget(self, rows: Sequence[sqlite3.Row]) -> int:
        """Pictures first: what is left of a cut is an event without its picture, never a picture without its event."""
        if not rows:
            return 0
        for row in rows:
            if row["picture_bytes"]:
                self._journal.spool.remove(row["session"], row["id"])
        told = max((row["seq"] for row in rows if row["type"] != "face_record"), default=0)
        with self._database.write() as connection:
            connection.executemany("DELETE FROM events WHERE seq = ?", [(row["seq"],) for row in rows])
            sessions = {(row["session"],) for row in rows}
            connection.executemany(f"DELETE FROM sessions WHERE id = ? AND {_EMPTY}", sessions)
            if told > self._journal.history.pruned():
                self._database.put(PRUNED, str(told))
        time.sleep(self._pause_s)
        return len(rows)

    def _sweep_sessions(self, before: float) -> None:
        """Sessions that never had an event, and kinds of which none is kept."""
        query = f"SELECT id FROM sessions WHERE opened < datetime(?, 'unixepoch') AND {_EMPTY} LIMIT ?"
        while rows := self._database.read().execute(query, (before, BATCH)).fetchall():
            with self._database.write() as connection:
                connection.executemany(
                    f"DELETE FROM sessions WHERE id = ? AND {_EMPTY}", [(row["id"],) for row in rows]
                )
            time.sleep(self._pause_s)
        with self._database.write() as connection:
            connection.execute("DELETE FROM event_kinds WHERE NOT EXISTS (SELECT 1 FROM history WHERE kind = id)")


_EMPTY = "closed IS NOT NULL AND NOT EXISTS (SELECT 1 FROM events WHERE session = sessions.id)"
_OWED = "EXISTS (SELECT 1 FROM deliveries WHERE event = e.seq AND state <> 'delivered')"
_RECORDS = (
    "SELECT e.seq, e.id, e.session, e.type, e.picture_bytes FROM events e "
    f"WHERE type = 'face_record' AND stored < ? AND NOT {_OWED} ORDER BY stored LIMIT ?"
)
_OLDEST = (
    "SELECT e.seq, e.id, e.session, e.type, e.picture_bytes, e.stored, e.picture_bytes + LENGTH(e.document) AS bytes, "
    f"{_OWED} AS owed, s.id IS NOT NULL AND s.closed IS NULL AS open "
    "FROM history h JOIN events e ON e.seq = h.seq LEFT JOIN sessions s ON s.id = e.session "
    "WHERE h.seq > ? ORDER BY h.seq LIMIT ?"
)
