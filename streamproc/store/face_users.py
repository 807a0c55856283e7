"""Users of face collections on disk: several faces that are one person."""

from __future__ import annotations

import json
from collections.abc import Iterable
from sqlite3 import Connection

from streamproc.core.errors import AlreadyExists, NotFound
from streamproc.store.database import Database


def note_edit(db: Connection, name: str) -> None:
    """The collection is another: whoever holds an index of it reads it anew."""
    db.execute("UPDATE collections SET edits = edits + 1 WHERE name = ?", (name,))


class UserStore:
    """Rows in and out of the tables of ``CollectionStore``. Any thread. ``name``: the collection's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, name: str, user_id: str, created: float) -> None:
        """Raises AlreadyExists."""
        with self._database.write() as db:
            if db.execute("SELECT 1 FROM users WHERE collection = ? AND user_id = ?", (name, user_id)).fetchone():
                raise AlreadyExists(f"The user id: {user_id} already exists in the collection {name}.")
            db.execute("INSERT INTO users VALUES (?, ?, ?)", (name, user_id, created))

    def delete(self, name: str, user_id: str) -> None:
        """Delete a user; its faces stay, associated with nobody. Raises NotFound."""
        with self._database.write() as db:
            if db.execute("DELETE FROM users WHERE collection = ? AND user_id = ?", (name, user_id)).rowcount == 0:
                raise NotFound(f"The user id: {user_id} does not exist in the collection {name}")
            db.execute("UPDATE faces SET user_id = NULL WHERE collection = ? AND user_id = ?", (name, user_id))
            note_edit(db, name)

    def all(self, name: str, after: str = "", limit: int | None = None) -> list[tuple[str, int]]:
        """User ids behind ``after`` in order of name, each with the number of its faces."""
        query = (
            "SELECT user_id, (SELECT COUNT(*) FROM faces WHERE collection = users.collection AND user_id = users.user_id) "
            "FROM users WHERE collection = ? AND user_id > ? ORDER BY user_id LIMIT ?"
        )
        rows = self._database.read().execute(query, (name, after, -1 if limit is None else limit)).fetchall()
        return [(str(row[0]), int(row[1])) for row in rows]

    def has(self, name: str, user_id: str) -> bool:
        query = "SELECT 1 FROM users WHERE collection = ? AND user_id = ?"
        return self._database.read().execute(query, (name, user_id)).fetchone() is not None

    def assign(self, name: str, face_ids: Iterable[str], user_id: str | None) -> None:
        """Associate faces with a user, or with nobody."""
        with self._database.write() as db:
            db.execute(
                "UPDATE faces SET user_id = ? WHERE collection = ? AND face_id IN (SELECT value FROM json_each(?))",
                (user_id, name, json.dumps(list(face_ids))),
            )
            note_edit(db, name)

    def associated(self, name: str) -> list[tuple[int, str]]:
        """Sequence number and user id of every face that has a user."""
        query = "SELECT seq, user_id FROM faces WHERE collection = ? AND user_id IS NOT NULL ORDER BY seq"
        return [(int(row[0]), str(row[1])) for row in self._database.read().execute(query, (name,)).fetchall()]
