"""Who is still there: what a continuous processor announced, when it was in view last, and what that means for the visit. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from fractions import Fraction

from streamproc.core.classes import STILL_CLASSES
from streamproc.core.media import Moment
from streamproc.logic.session_record import SessionRecord
from streamproc.logic.sighting import Sighting


class Presence:
    """Keys of announced things in view, by a clock that stands still while the feed is interrupted.

    Time in a gap is not absence: who was there before it and is there after it was not away.
    """

    def __init__(
        self, gone_after: Fraction, seen: dict[str, Fraction] | None = None, absent: Fraction = Fraction(0)
    ) -> None:
        """``gone_after``: seconds out of view that mean gone. ``seen`` and ``absent``: as an earlier machine left them."""
        self.gone_after = gone_after
        """May be changed between frames."""
        self.seen = {} if seen is None else seen
        """When each was in view last, in seconds of media time less ``absent``."""
        self.absent = absent
        """Media time spent in gaps so far."""
        self._unseen: set[str] = set()
        """Those of ``seen`` that were not seen again after a gap that ended their visit."""

    @property
    def in_view(self) -> tuple[str, ...]:
        return tuple(key for key in self.seen if key not in self._unseen)

    def interrupted(self, seconds: Fraction, unseen: bool) -> None:
        """A gap of that length is over. ``unseen``: nobody is in view until seen again."""
        self.absent += max(Fraction(0), seconds)
        self._unseen = set(self.seen) if unseen else set()

    def forget_gone(self, at: Moment) -> None:
        """What has been out of view for ``gone_after`` may be announced again."""
        now = at.media - self.absent
        for key in [key for key, seen in self.seen.items() if now - seen >= self.gone_after]:
            del self.seen[key]

    def visit_over(self, visit: SessionRecord, at: Moment, present: Iterable[Sighting]) -> str | None:
        """Why the visit is over now, after ``forget_gone``: something of it came back, or all of it has gone; None: it goes on."""
        returning = {item.key for item in present if item.ready and item.key not in self.seen}
        if returning & visit.announced.keys():
            return "returned"
        return "gone" if all(self._left(key, visit, at) for key in visit.announced) else None

    def _left(self, key: str, visit: SessionRecord, at: Moment) -> bool:
        """Does ``key`` no longer keep the visit open? What stays where it was put does so only for ``gone_after``."""
        return key not in self.seen or (key in STILL_CLASSES and at.media - visit.opened.media >= self.gone_after)

    def remember(self, at: Moment, present: Iterable[Sighting], announced: Collection[str]) -> None:
        """These are in view. What is neither ``announced`` by the open visit nor remembered yet is none of ours."""
        now = at.media - self.absent
        for sighting in present:
            if sighting.key in self.seen or sighting.key in announced:
                self.seen[sighting.key] = now
                self._unseen.discard(sighting.key)
