"""Dead letters as a file that people and scripts can read without us."""

from __future__ import annotations

import errno
import os
import threading
from datetime import UTC, datetime
from pathlib import Path

from streamproc.core.errors import StorageUnavailable
from streamproc.core.media import rfc3339
from streamproc.plain import plain_document, to_line
from streamproc.store.deliveries import PendingDelivery


class DeadLetters:
    """JSON lines, appended and fsynced, readable by the owner alone (events name persons): ``time``, ``output``, ``reason``, ``attempts`` and the ``event`` in plain form."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()

    def add(self, item: PendingDelivery, reason: str) -> None:
        """The journal stays the authority (``streamproc outbox list``); this is a log of refusals. Raises StorageUnavailable."""
        line = to_line(
            {
                "time": rfc3339(datetime.now(UTC)),
                "output": item.output,
                "reason": reason,
                "attempts": item.attempts + 1,
                "event": plain_document(item.event),
            }
        )
        try:
            with self._lock:
                self._append(line.encode() + b"\n")
        except OSError as error:
            raise StorageUnavailable(f"{self.path.name}: {error.strerror or error}") from error

    def _append(self, data: bytes) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            before = os.fstat(descriptor).st_size
            try:
                if os.write(descriptor, data) < len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, before)  # half a line would swallow the next one
                raise
        finally:
            os.close(descriptor)
