"""Whether a processor and each of its regions announce at an instant: their schedules, and what somebody said over them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from streamproc.logic.schedule import Change, Interval, Schedule

Mode = Literal["home", "away", "pause"]
_ASK_AGAIN = timedelta(hours=1)
MODES: tuple[Mode, ...] = ("home", "away", "pause")


@dataclass(frozen=True, slots=True)
class Override:
    """home and pause: nothing is announced; away: everything is, whatever the schedules say."""

    mode: Mode
    until: datetime | None = None
    """None: until somebody takes it back."""

    def rules(self, at: datetime) -> bool:
        return self.until is None or at < self.until

    def to_json(self) -> dict[str, Any]:
        return {"mode": self.mode, "until": self.until.isoformat() if self.until else None}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Override:
        return cls(value["mode"], datetime.fromisoformat(value["until"]) if value["until"] else None)


class _Cached:
    """A schedule that remembers the stretch that it was asked about last: a camera asks five times a second."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self._known: tuple[Interval, bool] | None = None

    def active(self, at: datetime) -> bool:
        known = self._known
        if known is None or not known[0].start <= at < known[0].end:
            known = self._known = self.schedule.around(at), self.schedule.active(at)
        return known[1]


class Hours:
    """Of one processor. ``override`` may be set from any thread; it counts from the next question on."""

    def __init__(self, schedule: Schedule | None = None, regions: Mapping[str, Schedule] | None = None) -> None:
        self.override: Override | None = None
        self._own = _Cached(schedule) if schedule is not None else None
        self._regions = {name: _Cached(each) for name, each in (regions or {}).items()}
        self._opening: tuple[datetime, datetime, Override | None, datetime | None] | None = None
        """(asked at, good until, under which override, answer) of ``next_opening``."""

    def adopt(self, other: Hours) -> None:
        """The schedules of another document from now on; an override stays."""
        self._own, self._regions, self._opening = other._own, other._regions, None

    def active(self, at: datetime) -> bool:
        """Whether anything may be announced of what is seen at ``at``."""
        override = self.override
        if override is not None and override.rules(at):
            return override.mode == "away"
        return self._own is None or self._own.active(at)

    def closed(self, at: datetime) -> frozenset[str]:
        """Regions in which nothing is announced at ``at``, while the processor itself is active."""
        override = self.override
        if not self._regions or (override is not None and override.rules(at)):
            return frozenset()
        return frozenset(name for name, each in self._regions.items() if not each.active(at))

    def next_change(self, at: datetime) -> Change | None:
        """The next change of the processor as a whole; None: none is known."""
        override = self.override
        if override is not None and override.rules(at):
            if override.until is None:
                return None
            after = self._own is None or self._own.active(override.until)
            if after != (override.mode == "away"):
                return Change(override.until, after)
            at = override.until
        return self._own.schedule.next_change(at) if self._own is not None else None

    def next_opening(self, at: datetime) -> datetime | None:
        """When something that is closed at ``at`` (the processor or one of its regions) opens next. Cheap to ask again and again."""
        if self._own is None and not self._regions and self.override is None:
            return None
        known, override = self._opening, self.override
        if known is None or known[2] is not override or not known[0] <= at < known[1]:
            opening = self._next_opening(at)
            known = self._opening = at, opening or at + _ASK_AGAIN, override, opening
        return known[3]

    def _next_opening(self, at: datetime) -> datetime | None:
        found = []
        change = self.next_change(at)
        if change is not None and change.active:
            found.append(change.at)
        for each in self._regions.values():
            opening = each.schedule.next_change(at) if not each.active(at) else None
            if opening is not None and opening.active:
                found.append(opening.at)
        return min(found, default=None)
