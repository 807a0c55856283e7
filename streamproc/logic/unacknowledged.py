"""What a producer has sent and was not told to be durable yet: sent again, in order, on the next connection."""

from __future__ import annotations

from collections import deque


class Unacknowledged:
    """Fragments by their timecodes, oldest first. Holds about ``most_bytes``: ``full`` says when no more should be added."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._bytes = 0
        self._sent = 0
        """So many from the left were handed to the current connection."""

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """True also where one fragment alone is beyond the limit: it is taken, nothing beside it."""
        return self._bytes >= self._most

    def add(self, timecode_ms: int, data: bytes) -> None:
        self._waiting.append((timecode_ms, data))
        self._bytes += len(data)

    def next(self) -> bytes | None:
        """The next one for the current connection; None where all were handed to it."""
        if self._sent == len(self._waiting):
            return None
        self._sent += 1
        return self._waiting[self._sent - 1][1]

    def persisted(self, timecode_ms: int) -> bool:
        """Forget the fragment with that timecode. False where there is none: an acknowledgement of a joined cluster, or one that came twice."""
        for place, (known, data) in enumerate(self._waiting):
            if known == timecode_ms:
                del self._waiting[place]
                self._bytes -= len(data)
                self._sent -= place < self._sent
                return True
        return False

    def rewind(self) -> None:
        """The connection is lost: everything that is left goes over the next one."""
        self._sent = 0
