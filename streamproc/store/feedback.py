"""What people said of events: right, wrong, or who it was."""

from __future__ import annotations

from dataclasses import dataclass

from streamproc.store.database import Database
from streamproc.store.journal import Journal

_STEPS = (
    """
    CREATE TABLE event_feedback (
        event TEXT PRIMARY KEY REFERENCES events (id) ON DELETE CASCADE, verdict TEXT NOT NULL, person TEXT, at REAL NOT NULL
    ) WITHOUT ROWID;
    """,
)


@dataclass(frozen=True, slots=True)
class Feedback:
    verdict: str
    """right or wrong."""
    person: str | None
    """Who it really was, where somebody said so."""
    at: float
    """Epoch seconds."""


class FeedbackStore:
    """Goes with its event when that is pruned. Thread-safe."""

    def __init__(self, journal: Journal) -> None:
        """``journal``: its tables must exist already."""
        self._database: Database = journal.database
        self._database.migrate("feedback", _STEPS)

    def put(self, event_id: str, feedback: Feedback) -> None:
        """Replaces what was said before."""
        with self._database.write() as connection:
            row = (event_id, feedback.verdict, feedback.person, feedback.at)
            connection.execute("INSERT OR REPLACE INTO event_feedback VALUES (?, ?, ?, ?)", row)

    def get(self, event_id: str) -> Feedback | None:
        query = "SELECT verdict, person, at FROM event_feedback WHERE event = ?"
        row = self._database.read().execute(query, (event_id,)).fetchone()
        return Feedback(*row) if row is not None else None
