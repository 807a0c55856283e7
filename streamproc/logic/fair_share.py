"""Whose turn it is: deadlines, corrected by who has just had how much of the workers."""

from __future__ import annotations

from collections.abc import Hashable

MEMORY_S = 4.0
"""Who had no turn for so long does not count among those who share."""
MAX_WAIT_S = 0.5
"""Seconds. The most by which a lane is put back: the longest that any lane waits is one round of all and this."""


class FairShare:
    """Fair shares of the workers' time. Times are seconds of one clock; not thread-safe.

    Who has had a worker for ``c`` seconds may not claim an older deadline than when the others could have had as much: ``c`` times (those
    who share over workers, less one) later. While there is room for all that delays nobody, since who waits alone is served at once; when there
    is not, a camera whose looks are dear goes round less often, and those that need little get it in time.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._served: dict[Hashable, float] = {}
        self._claims: dict[Hashable, float] = {}
        self._tidied = 0.0

    def charge(self, key: Hashable, now: float, seconds: float) -> None:
        """``key`` has just had a worker for so long."""
        if now - self._tidied > MEMORY_S:
            self._tidied = now
            for each in [each for each, at in self._served.items() if now - at > MEMORY_S]:
                self.forget(each)
        self._served[key] = now
        crowd = max(0.0, len(self._served) / self._workers - 1.0)
        claim = max(now, self._claims.get(key, now)) + seconds * crowd
        self._claims[key] = min(claim, now + MAX_WAIT_S)

    def place(self, key: Hashable, deadline: float) -> float:
        """The deadline as it counts; the least goes first."""
        return max(deadline, self._claims.get(key, deadline))

    def forget(self, key: Hashable) -> None:
        """Forget a lane that is gone."""
        self._served.pop(key, None)
        self._claims.pop(key, None)
