"""The index of fragments, in SQLite: by number, by either clock, by age."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Literal

from streamproc.core.video_log import FragmentInfo
from streamproc.kinesis.store import Entry
from streamproc.store.database import Database

Clock = Literal["producer_ms", "server_ms"]

_STEPS = (
    """
    CREATE TABLE fragments (
        stream TEXT NOT NULL, number TEXT NOT NULL, producer_ms INTEGER NOT NULL, server_ms INTEGER NOT NULL,
        duration_ms INTEGER NOT NULL, size INTEGER NOT NULL, digest BLOB NOT NULL, place TEXT NOT NULL,
        PRIMARY KEY (stream, number)
    ) WITHOUT ROWID;
    CREATE INDEX fragments_by_producer ON fragments (stream, producer_ms, number);
    CREATE INDEX fragments_by_server ON fragments (stream, server_ms, number);
    CREATE INDEX fragments_by_age ON fragments (server_ms);
    """,
)


class FragmentIndex:
    """Thread-safe. Entries are in order of their numbers, which is the order in which fragments came."""

    def __init__(self, database: Database) -> None:
        self.database = database
        database.migrate("fragments", _STEPS)
        row = database.read().execute("SELECT COALESCE(SUM(size), 0) FROM fragments").fetchone()
        self._bytes = int(row[0])
        self._lock = Lock()
        self._held: Counter[tuple[str, str]] = Counter()

    @property
    def bytes(self) -> int:
        """Of all fragments together."""
        return self._bytes

    def add(self, entries: Sequence[Entry]) -> None:
        """Durable when it returns. One that is there already stays as it is."""
        added = 0
        with self.database.write() as connection:
            for entry in entries:
                info = entry.info
                done = connection.execute(
                    "INSERT OR IGNORE INTO fragments VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        entry.stream,
                        info.number,
                        info.producer_ms,
                        info.server_ms,
                        info.duration_ms,
                        info.size,
                        entry.digest,
                        entry.place,
                    ),
                )
                added += info.size * done.rowcount
        with self._lock:
            self._bytes += added

    def remove(self, entries: Iterable[Entry]) -> None:
        gone = 0
        with self.database.write() as connection:
            for entry in entries:
                done = connection.execute(
                    "DELETE FROM fragments WHERE stream = ? AND number = ?", (entry.stream, entry.info.number)
                )
                gone += entry.info.size * done.rowcount
        with self._lock:
            self._bytes -= gone

    def get(self, stream: str, number: str) -> Entry | None:
        return self._one("stream = ? AND number = ?", stream, number)

    def after(self, stream: str, number: str) -> Entry | None:
        """The next one; the first after ""."""
        return self._one("stream = ? AND number > ? ORDER BY number LIMIT 1", stream, number)

    def last(self, stream: str) -> Entry | None:
        return self._one("stream = ? ORDER BY number DESC LIMIT 1", stream)

    def before(self, stream: str, number: str) -> Entry | None:
        return self._one("stream = ? AND number < ? ORDER BY number DESC LIMIT 1", stream, number)

    def containing(self, stream: str, clock: Clock, at_ms: int) -> Entry | None:
        """The fragment that holds that instant, else the first after it; None where all are older."""
        found = self._one(f"stream = ? AND {clock} <= ? ORDER BY {clock} DESC, number DESC LIMIT 1", stream, at_ms)
        if found is not None:
            begin = found.info.producer_ms if clock == "producer_ms" else found.info.server_ms
            if at_ms <= begin or at_ms < begin + found.info.duration_ms:
                return found
        return self._one(f"stream = ? AND {clock} > ? ORDER BY {clock}, number LIMIT 1", stream, at_ms)

    def between(
        self, stream: str, clock: Clock, begin_ms: int, end_ms: int, *, after: str = "", limit: int = 1000
    ) -> list[Entry]:
        """Fragments that start in the closed range, by number, after that number."""
        return self._many(
            f"stream = ? AND {clock} BETWEEN ? AND ? AND number > ? ORDER BY number LIMIT ?",
            stream,
            begin_ms,
            end_ms,
            after,
            limit,
        )

    def latest(self, stream: str, count: int) -> list[Entry]:
        """Newest first."""
        return self._many("stream = ? ORDER BY number DESC LIMIT ?", stream, count)

    def oldest(self, count: int) -> list[Entry]:
        """Of all streams, by server time, without those that are held."""
        entries = self._many("1 ORDER BY server_ms LIMIT ?", count + len(self._held))
        return [entry for entry in entries if not self.is_held(entry)][:count]

    def older_than(self, stream: str, server_ms: int, count: int) -> list[Entry]:
        """Of one stream, without those that are held."""
        entries = self._many(
            "stream = ? AND server_ms < ? ORDER BY server_ms LIMIT ?", stream, server_ms, count + len(self._held)
        )
        return [entry for entry in entries if not self.is_held(entry)][:count]

    def streams(self) -> list[str]:
        """Names that have fragments."""
        return [row[0] for row in self.database.read().execute("SELECT DISTINCT stream FROM fragments")]

    def usage(self, stream: str) -> tuple[int, int]:
        """(fragments, bytes)."""
        row = self.database.read().execute(
            "SELECT COUNT(*), COALESCE(SUM(size), 0) FROM fragments WHERE stream = ?", (stream,)
        )
        count, size = row.fetchone()
        return int(count), int(size)

    def span(self, stream: str) -> tuple[int, int] | None:
        """(begin of the first, end of the last) in milliseconds of the producer's clock; None without fragments."""
        first = self._one("stream = ? ORDER BY producer_ms LIMIT 1", stream)
        last = self._one("stream = ? ORDER BY producer_ms DESC LIMIT 1", stream)
        if first is None or last is None:
            return None
        return first.info.producer_ms, last.info.producer_ms + last.info.duration_ms

    @contextmanager
    def holding(self, entries: Iterable[Entry]) -> Iterator[None]:
        """Nothing of ``entries`` is pruned within the block."""
        names = [(entry.stream, entry.info.number) for entry in entries]
        with self._lock:
            self._held.update(names)
        try:
            yield
        finally:
            with self._lock:
                self._held.subtract(names)
                self._held = +self._held

    def is_held(self, entry: Entry) -> bool:
        with self._lock:
            return (entry.stream, entry.info.number) in self._held

    def _one(self, where: str, *values: object) -> Entry | None:
        row = self.database.read().execute(f"SELECT * FROM fragments WHERE {where}", values).fetchone()
        return None if row is None else _entry(row)

    def _many(self, where: str, *values: object) -> list[Entry]:
        return [_entry(row) for row in self.database.read().execute(f"SELECT * FROM fragments WHERE {where}", values)]


def _entry(row: sqlite3.Row) -> Entry:
    info = FragmentInfo(row["number"], row["producer_ms"], row["server_ms"], row["duration_ms"], row["size"])
    return Entry(row["stream"], info, row["digest"], row["place"])
