"""Users that were made by the set-up link; those of the node's document are not kept here."""

from __future__ import annotations

import time
from dataclasses import dataclass

from streamproc.store.database import Database

_SCHEMA = (
    """
    CREATE TABLE users (name TEXT PRIMARY KEY, password_hash TEXT NOT NULL, role TEXT NOT NULL, created REAL NOT NULL) WITHOUT ROWID;
    """,
)


@dataclass(frozen=True, slots=True)
class StoredUser:
    """A user as kept: only the hash of the password."""

    name: str
    password_hash: str
    role: str


class UserStore:
    """Rows in and out. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.migrate("users", _SCHEMA)

    def all(self) -> list[StoredUser]:
        rows = self._database.read().execute("SELECT * FROM users ORDER BY name").fetchall()
        return [StoredUser(row["name"], row["password_hash"], row["role"]) for row in rows]

    def add_first(self, user: StoredUser) -> bool:
        """Add the first user; False where there is one already."""
        with self._database.write() as connection:
            done = connection.execute(
                "INSERT INTO users SELECT ?, ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM users)",
                (user.name, user.password_hash, user.role, time.time()),
            )
            return done.rowcount == 1
