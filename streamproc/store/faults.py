"""Faults of the storage that pass: a full disk, a file locked by a backup, no file descriptors left."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from streamproc.core.errors import StorageUnavailable

_ERRNOS = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EMFILE,
        errno.ENFILE,
        errno.EIO,
        errno.EROFS,
        errno.ENOMEM,
        errno.EAGAIN,
        errno.ESTALE,
        errno.ETIMEDOUT,
    }
)
_SQLITE = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_BUSY: "the database is locked by another process",
    sqlite3.SQLITE_LOCKED: "the database is locked",
    sqlite3.SQLITE_IOERR: "the disk cannot be read or written",
    sqlite3.SQLITE_CANTOPEN: "the database file cannot be opened",
    sqlite3.SQLITE_READONLY: "the disk is read-only",
    sqlite3.SQLITE_NOMEM: "there is no memory left",
}
"""By primary result code, the low byte of an extended one (sqlite.org/rescode.html)."""


def passing_fault(error: BaseException) -> str | None:
    """What is wrong with the storage at the moment, in words; None where waiting fixes nothing."""
    if isinstance(error, StorageUnavailable):
        return str(error)
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", None)  # none where Python's own wrapper raised
        words = _SQLITE.get(code & 0xFF) if code is not None else None
        return f"{words} ({error})" if words is not None else None
    if isinstance(error, OSError) and error.errno in _ERRNOS:
        return os.strerror(error.errno)
    return None


@contextmanager
def storage_faults() -> Iterator[None]:
    """Passing faults of the storage become StorageUnavailable; everything else is raised as it is."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        words = passing_fault(error)
        if words is None:
            raise
        raise StorageUnavailable(words) from error
