"""Session clock: the one owner of the shift between a source's media time and the session's."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from streamproc.core.media import Gap, Moment

JUMP = Fraction(1)
"""Seconds. A resumed live feed whose first frame lies further behind the last one has a gap; a restart within it is no interruption."""
LEAST_STEP = Fraction(1, 25)
"""Seconds. Least media time between the last frame of one source and the first of the next: one frame of 25 a second."""
NEVER = Fraction(400 * 86_400)
"""Seconds. No session pauses for longer: the machine's clock was set meanwhile, as by NTP after a boot without a battery."""


class SessionClock:
    """Maps instants of one feed to the session's media time, which begins at zero and goes on across sources and restarts.

    Pure: no clock of the machine, no events. Media times of a source are exact seconds by its own count.
    """

    def __init__(self) -> None:
        self._shift: Fraction | None = Fraction(0)
        self._seen: Fraction | None = None
        self._watch_for_jump = False

    @property
    def shift(self) -> Fraction | None:
        """What is added to the source's media time; None: the next frame tells."""
        return self._shift

    @property
    def seen(self) -> Fraction | None:
        """Media time, by the source's count, of the last frame that was placed."""
        return self._seen

    def attach(self) -> None:
        """Another source follows: its first frame is placed behind the session's last one, by what passed between them in wall time."""
        self._shift = None

    def begin_after(self, seen: Fraction | None) -> None:
        """A new session begins in a feed that was read up to ``seen``: its first frame is placed at zero."""
        self._seen, self._shift = seen, None

    def resume(self, *, live: bool) -> None:
        """The session goes on after a restart, with a source that counts anew. Of a live feed, a jump is to be noticed."""
        self._shift, self._watch_for_jump = None, live

    def resume_at(self, shift: Fraction | None, seen: Fraction | None, *, live: bool) -> None:
        """The same with a source that goes on in the count of before."""
        self._shift, self._seen, self._watch_for_jump = shift, seen, live

    def place(self, at: Moment, last: Moment | None) -> tuple[Moment, bool]:
        """The instant of a frame in the session, and whether it lies behind a restart's gap (told once).

        ``at``: the source's. ``last``: the session's last frame; None: there was none.
        """
        self._seen = at.media
        if self._shift is None:
            self._shift = -at.media
            if last is not None:
                elapsed = Fraction(round((at.wall - last.wall).total_seconds() * 1000), 1000)
                self._shift += last.media + (elapsed if LEAST_STEP < elapsed < NEVER else LEAST_STEP)
        placed = replace(at, media=at.media + self._shift) if self._shift else at
        jumped = self._watch_for_jump and last is not None and placed.media - last.media > JUMP
        self._watch_for_jump = False
        return placed, jumped

    def place_gap(self, gap: Gap) -> Gap:
        """A gap of the source on the session's clock."""
        return replace(gap, at=replace(gap.at, media=self.to_session(gap.at.media)))

    def to_session(self, media: Fraction) -> Fraction:
        """The session's media time of the source's ``media``; the same where the shift is not known yet."""
        return media + self._shift if self._shift else media

    def source_time_in(self, seconds: Fraction | None) -> Fraction | None:
        """The source's media time so many seconds behind the last frame; None: no such time is asked for or known."""
        return self._seen + seconds if seconds is not None and self._seen is not None else None


def later_of(gap: Gap, last: Moment | None) -> Gap:
    """``gap``, moved to ``last`` where it lies before it."""
    return replace(gap, at=last) if last is not None and last.media > gap.at.media else gap
