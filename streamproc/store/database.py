"""The one SQLite file of a data directory: WAL, every commit fsynced, usable from any thread and from several processes."""

from __future__ import annotations

import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from streamproc.core.errors import InputError, StorageUnavailable
from streamproc.store.faults import storage_faults

FILE_NAME = "streamproc.db"
BUSY_S = 15.0
"""How long a writer waits for the others, unless it says otherwise."""
CLOSE_S = 2.0
"""How long the end of the process waits for a writer that another process holds up."""

_BASE = (
    """
    CREATE TABLE facts (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    """,
)


class Database:
    """Connections to ``DATA_DIR/streamproc.db`` (or another file there): one that writes, behind a lock, and one that reads for each thread.

    Each store brings its own tables with ``migrate``. Writers of other processes wait up to 15 s for each other.
    """

    def __init__(self, data_dir: Path, file_name: str = FILE_NAME, patience_s: float = BUSY_S) -> None:
        """Raises InputError where the folder cannot be used or the file is none of ours, StorageUnavailable where waiting may fix it.

        ``patience_s``: how long to wait for other writers while it is opened.
        """
        self.data_dir = data_dir
        self.path = data_dir / file_name
        self._lock = threading.RLock()
        self._local = threading.local()
        self._closed = False
        self._patience_s = patience_s
        try:
            with storage_faults():
                data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
                self.path.touch(mode=0o600)
                self._writer = self._connect(patience_s)
                self._writer.execute(
                    "CREATE TABLE IF NOT EXISTS components (name TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID"
                )
                self.migrate("base", _BASE, patience_s)
                self.node_id = self._own_id(patience_s)
        except OSError as error:
            raise InputError(f"--data-dir: {data_dir} cannot be used: {error.strerror or error}") from error
        except sqlite3.DatabaseError as error:
            raise InputError(
                f"--data-dir: {self.path} cannot be used: {error}; check the disk and its rights, or move the file away"
            ) from error

    def migrate(self, component: str, steps: Sequence[str], patience_s: float = BUSY_S) -> None:
        """Bring the tables of one store up to date: run the scripts that this file has not seen yet, each once.

        ``steps`` only ever grows at its end. Raises InputError for a file that a newer streamproc wrote.
        ``patience_s``: as for ``write``.
        """
        with self.write(patience_s) as connection:
            row = connection.execute("SELECT version FROM components WHERE name = ?", (component,)).fetchone()
            version = int(row[0]) if row else 0
            if version > len(steps):
                raise InputError(
                    f"{self.path} was written by a newer streamproc (its {component} tables have version {version}, "
                    f"this one knows {len(steps)}); use that version or another --data-dir"
                )
            for step in steps[version:]:
                for statement in _statements(step):
                    connection.execute(statement)
            connection.execute("INSERT OR REPLACE INTO components VALUES (?, ?)", (component, len(steps)))

    @contextmanager
    def write(self, patience_s: float = BUSY_S) -> Iterator[sqlite3.Connection]:
        """One transaction: committed and fsynced when the block ends well, undone when it raises. Nests into the outer one.

        ``patience_s``: how long to wait for each other writer, of this process and of others. Raises StorageUnavailable where the
        storage takes nothing for now.
        """
        if not self._lock.acquire(timeout=patience_s):
            raise StorageUnavailable("another writer of this process does not end")
        try:
            if self._writer.in_transaction:
                yield self._writer
                return
            with storage_faults():
                yield from self._transaction(patience_s)
        finally:
            self._lock.release()

    def _transaction(self, patience_s: float) -> Iterator[sqlite3.Connection]:
        if patience_s != self._patience_s:
            self._writer.execute(f"PRAGMA busy_timeout = {int(patience_s * 1000)}")
            self._patience_s = patience_s
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            yield self._writer
            self._writer.execute("COMMIT")
        except BaseException:
            if self._writer.in_transaction:  # SQLite has rolled back already after some errors
                self._writer.execute("ROLLBACK")
            raise

    def read(self) -> sqlite3.Connection:
        """This thread's connection for queries; never waits for a writer. Do not write with it."""
        if self._closed:
            raise sqlite3.ProgrammingError(f"{self.path} is closed")
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            with storage_faults():
                connection = self._connect()
            connection.execute("PRAGMA query_only = ON")
            self._local.connection = connection
        return connection

    def trace(self, watcher: Callable[[str], None] | None) -> None:
        """Call ``watcher`` with every statement that writes, just before it is executed: for tests that kill the process there."""
        with self._lock:
            self._writer.set_trace_callback(watcher)

    def get(self, key: str) -> str | None:
        """A fact that was kept with ``put``."""
        row = self.read().execute("SELECT value FROM facts WHERE key = ?", (key,)).fetchone()
        return str(row[0]) if row else None

    def put(self, key: str, value: str) -> None:
        with self.write() as connection:
            connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (key, value))

    def scrub(self) -> bool:
        """Overwrite deleted content in the file and empty the log. False while another process is in the middle of reading."""
        with self._lock:
            busy = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        return not busy

    def close(self) -> None:
        """Close the file; later reads and writes raise sqlite3.ProgrammingError. A writer that hangs is left behind."""
        if self._closed:
            return
        self._closed = True
        if not self._lock.acquire(timeout=CLOSE_S):
            return  # what is committed is durable without it
        try:
            self._writer.execute("PRAGMA busy_timeout = 0")
            with suppress(sqlite3.OperationalError):
                # Only tidies: another process may be reading, the WAL is as durable as the file.
                self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._writer.close()
        finally:
            self._lock.release()

    def _own_id(self, patience_s: float) -> str:
        with self.write(patience_s) as connection:
            connection.execute("INSERT OR IGNORE INTO facts VALUES ('box_id', ?)", (uuid.uuid4().hex,))
            return str(connection.execute("SELECT value FROM facts WHERE key = 'box_id'").fetchone()[0])

    def _connect(self, patience_s: float = BUSY_S) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=patience_s, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute(f"PRAGMA busy_timeout = {int(patience_s * 1000)}")
        return connection


def _statements(script: str) -> Iterator[str]:
    """The statements of a script, each ending a line; ``executescript`` would commit the transaction that is open."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        raise ValueError(f"a migration ends without a semicolon: {statement.strip()[:80]}")
