"""Who is signed in to the console: one row a session, by the digest of its secret."""

from __future__ import annotations

from dataclasses import dataclass

from streamproc.store.database import Database

KEPT_S = 24 * 3600.0
"""Twice as long as a session that is not used is good for."""
_SCHEMA = (
    """
    CREATE TABLE signins (
        digest BLOB PRIMARY KEY, name TEXT NOT NULL, password_mark TEXT NOT NULL, created REAL NOT NULL, used REAL NOT NULL
    ) WITHOUT ROWID;
    """,
)


@dataclass(frozen=True, slots=True)
class Signin:
    """One signed-in browser."""

    name: str
    password_mark: str
    """Changes with the user's password, which ends the session."""
    created: float
    used: float
    """Epoch seconds of the last request, to a minute."""


class SigninStore:
    """Rows in and out. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.migrate("signins", _SCHEMA)

    def find(self, digest: bytes) -> Signin | None:
        row = self._database.read().execute("SELECT * FROM signins WHERE digest = ?", (digest,)).fetchone()
        return None if row is None else Signin(row["name"], row["password_mark"], row["created"], row["used"])

    def add(self, digest: bytes, name: str, password_mark: str, now: float) -> None:
        """Add a session, and forget those that were not used for ``KEPT_S``."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM signins WHERE used < ?", (now - KEPT_S,))
            connection.execute(
                "INSERT INTO signins VALUES (?, ?, ?, ?, ?)",
                (digest, name, password_mark, now, now),
            )

    def touch(self, digest: bytes, used: float) -> None:
        with self._database.write() as connection:
            connection.execute("UPDATE signins SET used = ? WHERE digest = ?", (used, digest))

    def drop(self, digest: bytes) -> None:
        with self._database.write() as connection:
            connection.execute("DELETE FROM signins WHERE digest = ?", (digest,))
