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
        self._began: tuple[int, float] | None = None
        self._shift = 0
        self._last = 0
        self._known: OrderedDict[datetime, int] = OrderedDict()

    def stamp(self, media: Fraction, wall: datetime, now: float) -> int:
        """The timestamp of the picture of that moment, sent at ``now`` (seconds of a steady clock)."""
        wanted = round(media * RATE)
        if self._began is None:
            base = max(RATE, self._last + RATE // 1000)
            self._began, self._shift = (base, now), base - wanted
        base, began = self._began
        due = base + round((now - began) * RATE)
        if abs(wanted + self._shift - due) > MAX_DRIFT:
            self._shift = due - wanted
        value = wanted + self._shift
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
