"""Dead letters as a file that people and scripts can read without us."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime
from pathlib import Path

from streamproc.core.media import rfc3339
from streamproc.plain import plain_document, to_line
from streamproc.store.deliveries import PendingDelivery


def _private(path: str, flags: int) -> int:
    """Events name persons: the file is its owner's alone."""
    return os.open(path, flags, 0o600)


class DeadLetters:
    """JSON lines, appended and fsynced: ``time``, ``output``, ``reason``, ``attempts`` and the ``event`` in plain form."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()

    def add(self, item: PendingDelivery, reason: str) -> None:
        """The journal stays the authority (``streamproc outbox list``); this is a log of refusals."""
        line = to_line(
            {
                "time": rfc3339(datetime.now(UTC)),
                "output": item.output,
                "reason": reason,
                "attempts": item.attempts + 1,
                "event": plain_document(item.event),
            }
        )
        with self._lock, open(self.path, "a", encoding="utf-8", opener=_private) as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())
