"""What a camera's distance between keyframes means for noticing something while only they are decoded. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

TOLERANCE = 1.1
"""Keyframes never come exactly on time."""
LATE_S = 2.0
"""Seconds. Frames that were held back are analysed only while they are no older than the longest wake delay and this; an overloaded node
goes on with the present."""


@dataclass(frozen=True, slots=True)
class KeyframeRule:
    """A camera's ``interval`` between keyframes in seconds of media time (None: not known), and ``max_delay``, the seconds allowed."""

    interval: Fraction | None
    max_delay: float

    @property
    def bound_s(self) -> float:
        """How late, at the latest, something is noticed that packets do not tell: at the next keyframe that is compared."""
        return max(self.max_delay, float(self.interval or 0))

    @property
    def distant(self) -> bool:
        """Whether keyframes are further apart than is allowed."""
        return float(self.interval or 0) > self.max_delay * TOLERANCE

    def overdue(self, last: Fraction | None, now: Fraction) -> bool:
        """None came for so long that the next is not to be waited for. ``last``: media time of the newest one."""
        return last is not None and float(now - last) > self.bound_s * TOLERANCE + 0.1

    def may_wait(self, held: Fraction) -> bool:
        """Whether the keyframe after this one would still be in time. ``held``: so much is held back by now."""
        return self.interval is not None and float(held + self.interval) <= self.max_delay * TOLERANCE

    def fresh(self, age_s: float) -> bool:
        """A picture of this age that was held back is still worth an analysis."""
        return age_s < self.bound_s * TOLERANCE + LATE_S

    def __str__(self) -> str:
        return f"keyframes come every {float(self.interval or 0):.1f} s, max_wake_delay is {self.max_delay:g} s"
