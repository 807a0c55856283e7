"""The processors of a node: their documents, what is wanted of them and what became of them."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from streamproc.core.errors import AlreadyExists, NotFound
from streamproc.logic.hours import Override
from streamproc.store.database import Database

PROCESSOR_SCHEMA = (
    """
    CREATE TABLE processors (
        name TEXT PRIMARY KEY, document TEXT NOT NULL, origin TEXT NOT NULL, wanted TEXT NOT NULL,
        state TEXT NOT NULL, message TEXT NOT NULL, tags TEXT NOT NULL, finished TEXT,
        created TEXT NOT NULL, updated TEXT NOT NULL
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE overrides (processor TEXT PRIMARY KEY, override TEXT NOT NULL) WITHOUT ROWID;
    """,
    "ALTER TABLE processors ADD COLUMN failed_as TEXT NOT NULL DEFAULT '';",
)


@dataclass(frozen=True, slots=True)
class ProcessorRow:
    """One processor as the node remembers it."""

    name: str
    document: dict[str, Any]
    """JSON-ready processor config."""
    origin: Literal["file", "api"] = "api"
    """Who owns the document: a config file, or the control API and the AWS endpoint."""
    wanted: Literal["running", "stopped"] = "stopped"
    state: str = "stopped"
    """What it last was."""
    message: str = ""
    """For people: why it failed or was refused."""
    tags: dict[str, str] = field(default_factory=dict)
    finished: str | None = None
    """``document_hash`` of the document whose session ended by itself: it is not run again unasked."""
    created: datetime | None = None
    updated: datetime | None = None
    failed_as: str = ""
    """The kind of its last failure since it was started; a ``denied`` one outlives the process."""

    @property
    def document_hash(self) -> str:
        return document_hash(self.document)


def document_hash(document: dict[str, Any]) -> str:
    """sha256 of the document's canonical JSON: tells an edit from a rewrite."""
    text = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class ProcessorStore:
    """Rows by name. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self.database = database
        database.migrate("processors", PROCESSOR_SCHEMA)

    def get(self, name: str) -> ProcessorRow | None:
        row = self.database.read().execute("SELECT * FROM processors WHERE name = ?", (name,)).fetchone()
        return _row(row) if row else None

    def all(self) -> list[ProcessorRow]:
        """Every row, by name."""
        return [_row(row) for row in self.database.read().execute("SELECT * FROM processors ORDER BY name")]

    def create(self, row: ProcessorRow) -> ProcessorRow:
        """Add a new one; AlreadyExists when the name is taken."""
        now = datetime.now(UTC)
        row = replace(row, created=row.created or now, updated=row.updated or now)
        try:
            with self.database.write() as connection:
                connection.execute("INSERT INTO processors VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", _values(row))
        except sqlite3.IntegrityError:
            raise AlreadyExists(f"there is a processor {row.name!r} already") from None
        return row

    def put(self, row: ProcessorRow) -> ProcessorRow:
        """Add or replace; ``created`` is kept from the first time, ``updated`` is now."""
        now = datetime.now(UTC)
        with self.database.write() as connection:
            old = connection.execute("SELECT created FROM processors WHERE name = ?", (row.name,)).fetchone()
            created = datetime.fromisoformat(old["created"]) if old else row.created or now
            row = replace(row, created=created, updated=now)
            connection.execute(
                "INSERT OR REPLACE INTO processors VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", _values(row)
            )
        return row

    def update(self, name: str, **changes: Any) -> ProcessorRow:
        """Change some fields of a row; NotFound when there is none. ``updated`` is now. Waits for other writers for two seconds at most:
        control waits for it. Raises StorageUnavailable."""
        with self.database.write(patience_s=2.0) as connection:
            found = connection.execute("SELECT * FROM processors WHERE name = ?", (name,)).fetchone()
            if found is None:
                raise NotFound(f"there is no processor {name!r}")
            row = replace(_row(found), **{"updated": datetime.now(UTC)} | changes)
            connection.execute(
                "INSERT OR REPLACE INTO processors VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", _values(row)
            )
        return row

    def delete(self, name: str) -> bool:
        """Whether there was one."""
        with self.database.write() as connection:
            connection.execute("DELETE FROM overrides WHERE processor = ?", (name,))
            return connection.execute("DELETE FROM processors WHERE name = ?", (name,)).rowcount > 0

    def override(self, name: str) -> Override | None:
        """What somebody said over the processor's schedule."""
        query = "SELECT override FROM overrides WHERE processor = ?"
        row = self.database.read().execute(query, (name,)).fetchone()
        return Override.from_json(json.loads(row["override"])) if row else None

    def put_override(self, name: str, override: Override | None) -> None:
        """None takes it back."""
        with self.database.write() as connection:
            connection.execute("DELETE FROM overrides WHERE processor = ?", (name,))
            if override is not None:
                connection.execute("INSERT INTO overrides VALUES (?, ?)", (name, json.dumps(override.to_json())))


def _values(row: ProcessorRow) -> tuple[Any, ...]:
    assert row.created is not None and row.updated is not None
    return (
        row.name,
        json.dumps(row.document, ensure_ascii=False),
        row.origin,
        row.wanted,
        row.state,
        row.message,
        json.dumps(row.tags, ensure_ascii=False),
        row.finished,
        row.created.isoformat(),
        row.updated.isoformat(),
        row.failed_as,
    )


def _row(row: sqlite3.Row) -> ProcessorRow:
    return ProcessorRow(
        name=row["name"],
        document=json.loads(row["document"]),
        origin=row["origin"],
        wanted=row["wanted"],
        state=row["state"],
        message=row["message"],
        tags=json.loads(row["tags"]),
        finished=row["finished"],
        created=datetime.fromisoformat(row["created"]),
        updated=datetime.fromisoformat(row["updated"]),
        failed_as=row["failed_as"],
    )
