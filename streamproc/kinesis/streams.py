"""The streams of this node: names, versions, tags, retention. Durable."""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from streamproc.core.errors import AlreadyExists, NotFound, StreamprocError
from streamproc.store.database import Database

MAX_TAGS = 50
_STEPS = (
    """
    CREATE TABLE streams (
        name TEXT PRIMARY KEY, created_ms INTEGER NOT NULL, version TEXT NOT NULL, media_type TEXT, device_name TEXT,
        kms_key_id TEXT, retention_hours INTEGER NOT NULL, tags TEXT NOT NULL, is_open INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID;
    """,
    "ALTER TABLE streams ADD COLUMN keep_ms INTEGER;",
)


class VersionMismatch(StreamprocError):
    """The stream was changed since the caller looked."""


class TooManyTags(StreamprocError):
    """More tags than a stream may have."""


@dataclass(frozen=True, slots=True)
class VideoStream:
    """One stream."""

    name: str
    created_ms: int
    """UTC epoch."""
    version: str
    """New at each change."""
    media_type: str | None
    device_name: str | None
    kms_key_id: str | None
    retention_hours: int
    """0: as long as the store keeps fragments."""
    tags: Mapping[str, str]
    keep_ms: int | None
    """Of a recording: how long its fragments are kept, whatever ``retention_hours`` says."""


class StreamTable:
    """Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.migrate("streams", _STEPS)
        self.changed: Callable[[str], None] = lambda name: None
        """Called, in any thread, with the name of a stream that has changed, was made or deleted; not by ``put`` and ``take_out``."""

    def create(
        self,
        name: str,
        now_ms: int,
        *,
        media_type: str | None = None,
        device_name: str | None = None,
        kms_key_id: str | None = None,
        retention_hours: int = 0,
        tags: Mapping[str, str] | None = None,
    ) -> VideoStream:
        """Raises AlreadyExists."""
        with self._database.write() as connection:
            try:
                connection.execute(
                    "INSERT INTO streams VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, NULL)",
                    (
                        name,
                        now_ms,
                        _version(),
                        media_type,
                        device_name,
                        kms_key_id,
                        retention_hours,
                        json.dumps(dict(tags or {})),
                    ),
                )
            except sqlite3.IntegrityError:
                raise AlreadyExists(f"The stream {name} already exists.") from None
        self.changed(name)
        return self.get(name)

    def record(self, name: str, keep_ms: int, now_ms: int, tags: Mapping[str, str] | None = None) -> None:
        """A recording's stream: made where it is missing. Its fragments are kept for so long, and it carries these tags too."""
        known, wanted = self.find(name), dict(tags or {})
        if known is not None and known.keep_ms == keep_ms and wanted.items() <= dict(known.tags).items():
            return
        if known is None:
            known = self.create(name, now_ms, media_type="video/x-matroska")
        with self._database.write() as connection:
            merged = json.dumps({**known.tags, **wanted})
            connection.execute("UPDATE streams SET keep_ms = ?, tags = ? WHERE name = ?", (keep_ms, merged, name))
        self.changed(name)

    def find(self, name: str) -> VideoStream | None:
        row = self._database.read().execute("SELECT * FROM streams WHERE name = ?", (name,)).fetchone()
        return None if row is None else _stream(row)

    def get(self, name: str) -> VideoStream:
        """Raises NotFound."""
        found = self.find(name)
        if found is None:
            raise NotFound(f"The requested stream is not found or not active: {name}")
        return found

    def names(self, prefix: str = "") -> list[str]:
        """Sorted."""
        rows = self._database.read().execute("SELECT name FROM streams ORDER BY name")
        return [row[0] for row in rows if row[0].startswith(prefix)]

    def delete(self, name: str, version: str | None) -> None:
        """Raises NotFound or VersionMismatch."""
        with self._database.write() as connection:
            self._check(name, version)
            connection.execute("DELETE FROM streams WHERE name = ?", (name,))
        self.changed(name)

    def change(self, name: str, version: str | None, **columns: object) -> VideoStream:
        """Set media_type, device_name or retention_hours; the stream has a new version then. Raises NotFound or VersionMismatch."""
        with self._database.write() as connection:
            self._check(name, version)
            for column, value in {**columns, "version": _version()}.items():
                connection.execute(f"UPDATE streams SET {column} = ? WHERE name = ?", (value, name))
        self.changed(name)
        return self.get(name)

    def tag(self, name: str, tags: Mapping[str, str]) -> None:
        """Raises NotFound or TooManyTags."""
        with self._database.write() as connection:
            merged = {**self._check(name, None).tags, **tags}
            if len(merged) > MAX_TAGS:
                raise TooManyTags(f"A stream has at most {MAX_TAGS} tags.")
            connection.execute("UPDATE streams SET tags = ? WHERE name = ?", (json.dumps(merged), name))
        self.changed(name)

    def untag(self, name: str, keys: Sequence[str]) -> None:
        """Raises NotFound."""
        with self._database.write() as connection:
            left = {key: value for key, value in self._check(name, None).tags.items() if key not in keys}
            connection.execute("UPDATE streams SET tags = ? WHERE name = ?", (json.dumps(left), name))
        self.changed(name)

    def was_cut_off(self, name: str) -> bool:
        """Whether the last PutMedia session did not come to its end, so that its producer may send fragments again."""
        row = self._database.read().execute("SELECT is_open FROM streams WHERE name = ?", (name,)).fetchone()
        return bool(row and row[0])

    def set_open(self, name: str, is_open: bool) -> None:
        """Remember that a PutMedia session runs, or that it came to its end."""
        with self._database.write() as connection:
            connection.execute("UPDATE streams SET is_open = ? WHERE name = ?", (int(is_open), name))
        self.changed(name)

    def row(self, name: str) -> dict[str, Any] | None:
        """Everything of a stream, for another node's ``put``."""
        found = self._database.read().execute("SELECT * FROM streams WHERE name = ?", (name,)).fetchone()
        return None if found is None else dict(found)

    def take_out(self, name: str) -> None:
        """Another node has deleted it."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM streams WHERE name = ?", (name,))

    def put(self, row: Mapping[str, Any]) -> None:
        """As another node has it; keys that this version does not know are left out."""
        columns = [each[1] for each in self._database.read().execute("PRAGMA table_info(streams)")]
        known = {column: row[column] for column in columns if column in row}
        places = ", ".join("?" * len(known))
        with self._database.write() as connection:
            query = f"INSERT OR REPLACE INTO streams ({', '.join(known)}) VALUES ({places})"
            connection.execute(query, tuple(known.values()))

    def _check(self, name: str, version: str | None) -> VideoStream:
        # Within the write transaction: what this connection reads is what it is about to change.
        stream = self.get(name)
        if version is not None and version != stream.version:
            raise VersionMismatch(f"The stream {name} has version {stream.version}, not {version}; describe it again.")
        return stream


def _version() -> str:
    return secrets.token_hex(10)


def _stream(row: sqlite3.Row) -> VideoStream:
    return VideoStream(
        row["name"],
        row["created_ms"],
        row["version"],
        row["media_type"],
        row["device_name"],
        row["kms_key_id"],
        row["retention_hours"],
        json.loads(row["tags"]),
        row["keep_ms"],
    )
