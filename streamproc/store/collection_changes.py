"""What changes in the face collections of a data directory, whoever changes it, and what others changed: for nodes that share them.

Triggers of the database note each change, so that the command line's enrolments are seen too. A change names a row; what is handed on is the
row as it stands then, or that it is gone, so that changes may be handed on again. Rows of other nodes are applied without being noted.
Sequence numbers and edits stay each node's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Final

from streamproc.store.collections import CollectionStore
from streamproc.store.shared_rows import Kind, RowName, SharedRow, SharedRows

_SHARED: Final = "shared_with"
_NOTED: Final = """EXISTS (SELECT 1 FROM facts WHERE key = 'shared_with') AND NOT EXISTS (SELECT 1 FROM applying)"""
_STEPS: Final = (
    f"""
    CREATE TABLE changes (
        number INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, collection TEXT NOT NULL, item TEXT NOT NULL
    );
    CREATE TABLE applying (one INTEGER PRIMARY KEY);
    CREATE TABLE shared_rows (
        key TEXT PRIMARY KEY, kind TEXT NOT NULL, collection TEXT NOT NULL, item TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TRIGGER note_new_collection AFTER INSERT ON collections WHEN {_NOTED} BEGIN
        INSERT INTO changes (kind, collection, item) VALUES ('collection', NEW.name, ''); END;
    CREATE TRIGGER note_tags AFTER UPDATE OF tags ON collections WHEN {_NOTED} BEGIN
        INSERT INTO changes (kind, collection, item) VALUES ('collection', NEW.name, ''); END;
    CREATE TRIGGER note_old_collection AFTER DELETE ON collections WHEN {_NOTED} BEGIN
        INSERT INTO changes (kind, collection, item) VALUES ('collection', OLD.name, ''); END;
    CREATE TRIGGER note_new_user AFTER INSERT ON users WHEN {_NOTED} BEGIN
        INSERT INTO changes (kind, collection, item) VALUES ('user', NEW.collection, NEW.user_id); END;
    CREATE TRIGGER note_old_user AFTER DELETE ON users WHEN {_NOTED} BEGIN
        INSERT INTO changes (kind, collection, item) VALUES ('user', OLD.collection, OLD.user_id); END;
    CREATE TRIGGER note_new_face AFTER INSERT ON faces WHEN {_NOTED} BEGIN
        INSERT INTO changes (kind, collection, item) VALUES ('face', NEW.collection, NEW.face_id); END;
    CREATE TRIGGER note_face AFTER UPDATE OF user_id ON faces WHEN {_NOTED} BEGIN
        INSERT INTO changes (kind, collection, item) VALUES ('face', NEW.collection, NEW.face_id); END;
    CREATE TRIGGER note_old_face AFTER DELETE ON faces WHEN {_NOTED} BEGIN
        INSERT INTO changes (kind, collection, item) VALUES ('face', OLD.collection, OLD.face_id); END;
    CREATE TRIGGER note_denial AFTER INSERT ON denials WHEN {_NOTED} BEGIN
        INSERT INTO changes (kind, collection, item) VALUES ('denial', NEW.collection, NEW.id); END;
    CREATE TRIGGER note_old_denial AFTER DELETE ON denials WHEN {_NOTED} BEGIN
        INSERT INTO changes (kind, collection, item) VALUES ('denial', OLD.collection, OLD.id); END;
    """,
)


@dataclass(frozen=True, slots=True)
class Unapplied:
    """Rows of others that were not written here, by key."""

    waiting: dict[str, SharedRow]
    """Their collection is not here yet: give them again with what comes next."""
    changed_here: dict[str, SharedRow]
    """Changed here as well and not handed on yet."""


class CollectionChanges:
    """Any thread. Wants the store whose changes it is to see."""

    def __init__(self, store: CollectionStore) -> None:
        self._database = store.database
        self._database.migrate("changes", _STEPS)
        self._rows = SharedRows(store)

    def share_with(self, cluster: str) -> None:
        """Note changes from now on; the first time for this cluster, everything that is there counts as changed."""
        if self._database.get(_SHARED) == cluster:
            return
        with self._database.write() as db:
            db.execute("DELETE FROM changes")
            db.execute("DELETE FROM shared_rows")
            db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (_SHARED, cluster))
            note = "INSERT INTO changes (kind, collection, item)"
            db.execute(f"{note} SELECT 'collection', name, '' FROM collections")
            db.execute(f"{note} SELECT 'user', collection, user_id FROM users")
            db.execute(f"{note} SELECT 'face', collection, face_id FROM faces ORDER BY seq")
            db.execute(f"{note} SELECT 'denial', collection, id FROM denials")

    def pending(self, limit: int = 500) -> tuple[list[SharedRow], int]:
        """The oldest changes that were not handed on yet, as the rows stand now, and a number for ``handed_on``."""
        query = "SELECT number, kind, collection, item FROM changes ORDER BY number LIMIT ?"
        found = self._database.read().execute(query, (limit,)).fetchall()
        names = dict.fromkeys(RowName(Kind(kind), collection, item) for _, kind, collection, item in found)
        rows = [self._rows.read(name) for name in names]
        return rows, max((each[0] for each in found), default=0)

    def handed_on(self, number: int, rows: Mapping[str, SharedRow]) -> None:
        """The changes up to ``number`` are known to all, as these rows by key."""
        with self._database.write() as db:
            db.execute("DELETE FROM changes WHERE number <= ?", (number,))
            for key, row in rows.items():
                _remember(db, key, row)

    def apply(self, rows: Mapping[str, SharedRow]) -> Unapplied:
        """What others changed, by key."""
        left = Unapplied({}, {})
        gone = False
        with self._database.write() as db:
            own = {
                RowName(Kind(kind), collection, item)
                for kind, collection, item in db.execute("SELECT kind, collection, item FROM changes")
            }
            db.execute("INSERT OR IGNORE INTO applying VALUES (1)")
            for key, row in sorted(rows.items(), key=lambda item: _order(item[1])):
                if row.name in own:
                    left.changed_here[key] = row
                    continue
                if row.values is None:
                    gone |= self._rows.remove(db, row.name)
                elif not self._rows.write(db, row.name, row.values):
                    left.waiting[key] = row
                    continue
                _remember(db, key, row)
            db.execute("DELETE FROM applying")
        if gone:
            self._database.scrub()
        return left

    def known(self, key: str) -> RowName | None:
        """The row that is shared under a key."""
        query = "SELECT kind, collection, item FROM shared_rows WHERE key = ?"
        row = self._database.read().execute(query, (key,)).fetchone()
        return None if row is None else RowName(Kind(row[0]), row[1], row[2])

    def share_anew(self) -> None:
        """What is here counts as never handed on."""
        cluster = self._database.get(_SHARED)
        if cluster is not None:
            with self._database.write() as db:
                db.execute("DELETE FROM facts WHERE key = ?", (_SHARED,))
            self.share_with(cluster)

    def keys(self) -> set[str]:
        """Of all rows that are shared, as far as known here."""
        return {str(row[0]) for row in self._database.read().execute("SELECT key FROM shared_rows")}


def _remember(db: Connection, key: str, row: SharedRow) -> None:
    if row.values is None:
        db.execute("DELETE FROM shared_rows WHERE key = ?", (key,))
        return
    name = (row.name.kind, row.name.collection, row.name.item)
    db.execute("INSERT OR REPLACE INTO shared_rows VALUES (?, ?, ?, ?)", (key, *name))


def _order(row: SharedRow) -> tuple[bool, int]:
    """First what is gone, parts before wholes; then what is there, wholes before parts."""
    rank = list(Kind).index(row.name.kind)
    return (False, -rank) if row.values is None else (True, rank)
