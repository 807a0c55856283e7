"""RTP timestamps of one viewer's pictures. Pure."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime
from fractions import Fraction

RATE = 90_000
MAX_DRIFT = 1 * RATE
"""Media time that runs away from the clock by more (a file read as fast as possible, a restart) is let go."""
REMEMBERED = 900
"""Pictures whose timestamp can still be asked for."""


class Stamper:
    """Follows media time while it goes with the clock, and never goes back."""

    def __init__(self) -> None:
        self._origin: tuple[int, Fraction, float] | None = None
        self._last = 0
        self._known: OrderedDict[datetime, int] = OrderedDict()

    def stamp(self, media: Fraction, wall: datetime, now: float) -> int:
        """The timestamp of the picture of that moment, sent at ``now`` (seconds of a steady clock)."""
        if self._origin is None:
            self._origin = (max(RATE, self._last + RATE // 1000), media, now)
        base, media0, now0 = self._origin
        due = base + round((now - now0) * RATE)
        value = base + round((media - media0) * RATE)
        if abs(value - due) > MAX_DRIFT:
            value = max(due, self._last + 1)
            self._origin = (value, media, now)
        value = max(value, self._last + 1)
        return self._keep(wall, value)

    def hasten(self, wall: datetime) -> int:
        """The timestamp of a picture that is over before anybody sees it: a millisecond after the one before."""
        return self._keep(wall, max(self._last, RATE // 2) + RATE // 1000)

    def _keep(self, wall: datetime, value: int) -> int:
        self._last = value
        self._known[wall] = value
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return value

    def of(self, wall: datetime) -> int | None:
        """The timestamp that the picture of this instant was sent with; None where it was not sent."""
        return self._known.get(wall)
