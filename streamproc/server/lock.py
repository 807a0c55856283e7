"""One process at a time in a data directory."""

from __future__ import annotations

import fcntl
from pathlib import Path
from types import TracebackType
from typing import IO

from streamproc.core.errors import InputError, StorageUnavailable
from streamproc.store.faults import passing_fault


class DirectoryLock:
    """Held from ``hold`` on (or in a ``with``), while the process lives; the system lets go of it when the process dies, however it dies."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: IO[str] | None = None

    def __enter__(self) -> DirectoryLock:
        self.hold()
        return self

    def hold(self) -> None:
        """May be called again. Raises InputError where another process holds it or the folder cannot be used, StorageUnavailable where
        waiting may fix that."""
        if self._file is not None:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = (self._folder / "lock").open("w")
        except OSError as error:
            reason = passing_fault(error)
            if reason is not None:
                raise StorageUnavailable(f"{self._folder}: {reason}") from None
            raise InputError(f"{self._folder}: cannot be used: {error.strerror}; give another --data-dir") from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise InputError(
                f"{self._folder}: another streamproc uses it; stop that one or give another --data-dir"
            ) from None
        self._file = file

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
