"""Rows of the face collections as nodes hand them to one another: named alike everywhere, their vectors unsealed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from sqlite3 import Connection
from typing import Any

from streamproc.store.collections import CollectionStore, insert_collection


class Kind(StrEnum):
    """Tables whose rows are shared, in the order in which rows need one another."""

    COLLECTION = "collection"
    USER = "user"
    FACE = "face"
    DENIAL = "denial"


@dataclass(frozen=True, slots=True)
class RowName:
    """Which row, by names that are the same on every node."""

    kind: Kind
    collection: str
    item: str = ""
    """User id, face id, id of a denial; empty for the collection itself."""

    @property
    def text(self) -> str:
        return json.dumps([self.kind, self.collection, self.item])


@dataclass(frozen=True, slots=True)
class SharedRow:
    """A row as it is handed from node to node; without ``values`` it is gone."""

    name: RowName
    values: Mapping[str, Any] | None


_TABLES = {Kind.USER: ("users", "user_id"), Kind.FACE: ("faces", "face_id"), Kind.DENIAL: ("denials", "id")}
_FACE = ("image_id", "external_image_id", "user_id", "details", "picture")


class SharedRows:
    """Reads and writes them. ``write`` and ``remove`` belong into a transaction of the caller's."""

    def __init__(self, store: CollectionStore) -> None:
        self._store = store

    def read(self, name: RowName) -> SharedRow:
        """As it stands now."""
        db, key = self._store.database.read(), (name.collection, name.item)
        if name.kind is Kind.COLLECTION:
            query = "SELECT model, dimensions, created, tags FROM collections WHERE name = ?1 AND ?2 = ''"
        elif name.kind is Kind.USER:
            query = "SELECT created FROM users WHERE collection = ? AND user_id = ?"
        elif name.kind is Kind.FACE:
            query = f"SELECT {', '.join(_FACE)}, vector FROM faces WHERE collection = ? AND face_id = ?"
        else:
            query = "SELECT person, created, vector FROM denials WHERE collection = ? AND id = ?"
        found = db.execute(query, key).fetchone()
        values = dict(found) if found is not None else None
        if values is not None and "vector" in values:
            label = name.item if name.kind is Kind.FACE else f"not {values['person']}"
            values["vector"] = self._store.unpacked(values["vector"], label)
        return SharedRow(name, values)

    def write(self, db: Connection, name: RowName, values: Mapping[str, Any]) -> bool:
        """False: its collection is not here."""
        if name.kind is Kind.COLLECTION:
            _write_collection(db, name.collection, values)
            return True
        if db.execute("SELECT 1 FROM collections WHERE name = ?", (name.collection,)).fetchone() is None:
            return False
        if name.kind is Kind.USER:
            created = float(values["created"])
            db.execute("INSERT OR IGNORE INTO users VALUES (?, ?, ?)", (name.collection, name.item, created))
        elif name.kind is Kind.FACE:
            self._write_face(db, name, values)
        elif db.execute("SELECT 1 FROM denials WHERE id = ?", (name.item,)).fetchone() is None:
            person, created = str(values["person"]), float(values["created"])
            self._store.deny(name.collection, person, values["vector"], created, name.item)
        return True

    @staticmethod
    def remove(db: Connection, name: RowName) -> bool:
        """Whether there was anything to wipe."""
        if name.kind is Kind.COLLECTION:
            # What its remover did not know of goes with it, and has to be said: nobody else will.
            db.execute("DELETE FROM applying")
            for table, _ in _TABLES.values():
                db.execute(f"DELETE FROM {table} WHERE collection = ?", (name.collection,))
            db.execute("INSERT INTO applying VALUES (1)")
            return bool(db.execute("DELETE FROM collections WHERE name = ?", (name.collection,)).rowcount)
        table, column = _TABLES[name.kind]
        query = f"DELETE FROM {table} WHERE collection = ? AND {column} = ?"
        changed = db.execute(query, (name.collection, name.item)).rowcount
        _touch(db, name.collection, bool(changed))
        return bool(changed)

    def _write_face(self, db: Connection, name: RowName, values: Mapping[str, Any]) -> None:
        query = "UPDATE faces SET user_id = ? WHERE collection = ? AND face_id = ? AND user_id IS NOT ?"
        user = values["user_id"]
        if db.execute("SELECT 1 FROM faces WHERE face_id = ?", (name.item,)).fetchone() is not None:
            changed = db.execute(query, (user, name.collection, name.item, user)).rowcount
            _touch(db, name.collection, bool(changed))
            return
        vector = self._store.packed(values["vector"], name.item)
        columns = ("collection", "face_id", *_FACE, "vector")
        row = (name.collection, name.item, *(values[column] for column in _FACE), vector)
        db.execute(f"INSERT INTO faces ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})", row)


def _write_collection(db: Connection, name: str, values: Mapping[str, Any]) -> None:
    known = db.execute("SELECT * FROM collections WHERE name = ?", (name,)).fetchone()
    if known is None:
        row = (str(values["model"]), int(values["dimensions"]), float(values["created"]), str(values["tags"]))
        insert_collection(db, name, row)
    else:
        query = "UPDATE collections SET model = ?, dimensions = ?, created = ?, tags = ? WHERE name = ?"
        db.execute(query, (values["model"], values["dimensions"], values["created"], values["tags"], name))


def _touch(db: Connection, collection: str, changed: bool) -> None:
    if changed:
        db.execute("UPDATE collections SET edits = edits + 1 WHERE name = ?", (collection,))
