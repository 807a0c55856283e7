"""Whose turn it is: deadlines, corrected by who has had how much of the workers lately."""

from __future__ import annotations

from collections.abc import Hashable
from math import exp, sqrt

MEMORY_S = 2.0
"""What was used so long ago counts a third of what is used now."""
TOLERATED = 1.2
"""Who uses up to so many times an equal share yields to nobody..."""
MAX_YIELD_S = 0.24
"""...and from there on waits longer, the more the longer, but never by more: it is served, too, and a camera still goes before feeds
that lose nothing by waiting."""
_RESCALE = 20.0


class Turns:
    """Fair shares of the workers' time. Times are seconds of one clock; not thread-safe; every call costs the same for any number.

    Deadlines decide as long as everybody keeps to a share. Who takes much more than an equal one (a camera of many more pixels, a
    rate far above the others') has its deadlines put back, but only where somebody else is waiting too does that cost it anything.
    """

    def __init__(self) -> None:
        # Instead of fading all that was used, what is added grows; both keep the same proportions.
        self._used: dict[Hashable, float] = {}
        self._total = self._roots = 0.0
        self._since: float | None = None

    def charge(self, key: Hashable, now: float, seconds: float) -> None:
        """``key`` has just had a worker for so long."""
        if self._since is None:
            self._since = now
        if now - self._since > _RESCALE * MEMORY_S:
            self._rescale(now)
        before = self._used.get(key, 0.0)
        after = before + seconds * exp((now - self._since) / MEMORY_S)
        self._used[key] = after
        self._total += after - before
        self._roots += sqrt(after) - sqrt(before)

    def place(self, key: Hashable, deadline: float) -> float:
        """The deadline as it counts; the least goes first."""
        used = self._used.get(key)
        if not used or self._total <= 0.0:
            return deadline
        # Among so many is the use spread: near the number of all if they use alike; a hundred that sleep hardly count.
        many = self._roots * self._roots / self._total
        shares = used / self._total * many
        return deadline + MAX_YIELD_S * max(0.0, 1.0 - TOLERATED / shares)

    def forget(self, key: Hashable) -> None:
        """It is gone."""
        used = self._used.pop(key, 0.0)
        self._total -= used
        self._roots -= sqrt(used)

    def _rescale(self, now: float) -> None:
        """Begin to count anew before numbers grow too large."""
        assert self._since is not None
        fade = exp((self._since - now) / MEMORY_S)
        self._used = {key: used * fade for key, used in self._used.items() if used * fade > 1e-6}
        self._total = sum(self._used.values())
        self._roots = sum(sqrt(used) for used in self._used.values())
        self._since = now
