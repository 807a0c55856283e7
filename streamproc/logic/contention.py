"""Two producers of one stream at the same time: each would end the other's session for ever, since both connect again by themselves. Pure."""

from __future__ import annotations

from collections import deque

LIVELY_S = 3.0
"""A session that sent something within so long is alive; a connection whose link is lost sends nothing and may be taken over at any time."""
WITHIN_S = 60.0
MOST = 3
"""Living sessions that may be ended by newer ones within ``WITHIN_S``: a producer that renews its session may leave the old one open for a moment."""


def session_mark(begun_s: float, chance: str) -> str:
    """A session's mark: the mark of a later one is greater. ``begun_s``: Unix time; ``chance``: tells apart those that begin at once."""
    return f"{round(begun_s * 1000):015d}-{chance}"


class Contention:
    """One stream's. Times are seconds on any steady clock."""

    def __init__(self) -> None:
        self._tried: deque[float] = deque(maxlen=MOST + 1)
        """When newer sessions met a living one, refused or not: who tries on and on is refused on and on."""

    def may_take_over(self, now: float, heard_at: float) -> bool:
        """Whether a new session may end the one before, which sent its latest bytes at ``heard_at``."""
        if now - heard_at > LIVELY_S:
            return True
        self._tried.append(now)
        return len(self._tried) <= MOST or now - self._tried[0] > WITHIN_S
