"""When a processor or a region is active: weekdays and hours in a time zone, sunrise and sunset of a place. Pure.

An entry of a schedule is ``[DAYS] [START-END | START..END]``: DAYS are weekdays (``mon-fri``, ``sat,sun``), START and END are clock times
(``18:00``) or ``sunrise`` and ``sunset`` with an offset (``sunset-30m``). Without times the whole day counts, without days every day. An
interval belongs to the day on which it begins, and ends on the next one where its end is not after its beginning.

- A clock time that is skipped when clocks go forward is the moment at which they do. One that comes twice when they go back begins an
  interval the first time, and ends one the second time.
- Under the midnight sun nothing begins at sunset (the sun does not set), and sunrise to sunset is all the time; in a polar night nothing
  begins at sunrise, and sunset to sunrise is all the time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from streamproc.logic.sun import Place, SunDay, sun_day

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SEAM = timedelta(minutes=1)
"""Intervals that are nearer to each other are one: the solar day is up to 30 s longer or shorter than 24 hours."""
_DAY = timedelta(days=1)
LOOK_AHEAD_DAYS = 400

_CLOCK = re.compile(r"^([01]?\d|2[0-4]):([0-5]\d)$")
_SUN = re.compile(r"^(sunrise|sunset)(?:([+-])((?:\d+(?:\.\d+)?[hms])+))?$")
_PART = re.compile(r"(\d+(?:\.\d+)?)([hms])")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}
_EXAMPLES = '"mon-fri 18:00-06:30", "sat-sun" or "sunset-30m..sunrise+15m"'


class Change(NamedTuple):
    """At ``at`` (UTC) it becomes active, or no longer."""

    at: datetime
    active: bool


class Interval(NamedTuple):
    """Active from ``start`` on, until before ``end``; UTC."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Boundary:
    """Where an interval begins or ends on a day: a clock time, or the sun with an offset."""

    clock: timedelta | None = None
    """Since midnight, by the clock on the wall; 24 hours is the next midnight."""
    sun: str | None = None
    """sunrise or sunset."""
    offset: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a schedule."""

    days: frozenset[int]
    """0 is Monday."""
    start: Boundary
    end: Boundary

    @property
    def needs_place(self) -> bool:
        return self.start.sun is not None or self.end.sun is not None


_WHOLE_DAY = (Boundary(timedelta(0)), Boundary(_DAY))


def parse_entry(text: str) -> Entry:
    """Raises ValueError, which says what is wrong and what would be right."""
    words = text.strip().lower().split()
    if not words or len(words) > 2:
        raise ValueError(f"{text!r} is no active time; write {_EXAMPLES}")
    days = _parse_days(words[0])
    if days is not None and len(words) == 1:
        return Entry(days, *_WHOLE_DAY)
    if days is None and len(words) == 2:
        raise ValueError(f"{words[0]!r} are no weekdays; write mon-fri, or mon,wed,sat")
    start, end = _parse_span(words[-1], text)
    return Entry(days if days is not None else frozenset(range(7)), start, end)


def _parse_days(text: str) -> frozenset[int] | None:
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first not in DAYS or (last or first) not in DAYS:
            return None
        begin, end = DAYS.index(first), DAYS.index(last or first)
        found |= {day % 7 for day in range(begin, (end if end >= begin else end + 7) + 1)}
    return frozenset(found)


def _parse_span(text: str, whole: str) -> tuple[Boundary, Boundary]:
    first, sign, last = text.partition("..")
    if not sign:
        first, sign, last = text.partition("-")
    try:
        start, end = _parse_boundary(first), _parse_boundary(last)
    except ValueError as error:
        raise ValueError(f"{whole!r}: {error}; write {_EXAMPLES}") from None
    if start == end:
        raise ValueError(f"{whole!r} begins where it ends; leave the times out for the whole day")
    return start, end


def _parse_boundary(text: str) -> Boundary:
    if match := _CLOCK.match(text):
        clock = timedelta(hours=int(match[1]), minutes=int(match[2]))
        if clock > _DAY:
            raise ValueError(f"{text!r} is later than 24:00")
        return Boundary(clock)
    if match := _SUN.match(text):
        seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(match[3] or ""))
        if seconds > 6 * 3600:
            raise ValueError(f"{text!r} is more than 6 hours from the sun's time")
        return Boundary(sun=match[1], offset=timedelta(seconds=-seconds if match[2] == "-" else seconds))
    raise ValueError(f"{text!r} is neither a clock time nor sunrise or sunset with an offset")


@dataclass(frozen=True)
class Schedule:
    """Active while any of its entries is."""

    entries: tuple[Entry, ...]
    zone: ZoneInfo
    place: Place | None = None
    """Needed by entries that name the sun."""

    def active(self, at: datetime) -> bool:
        """``at`` with any time zone."""
        return any(start <= at < end for start, end in self.intervals(at - _DAY, at + _DAY))

    def around(self, at: datetime) -> Interval:
        """The longest stretch around ``at``, within a day on either side, in which nothing changes."""
        edges = [edge for interval in self.intervals(at - 2 * _DAY, at + 2 * _DAY) for edge in interval]
        before = max((edge for edge in edges if edge <= at), default=at - _DAY)
        after = min((edge for edge in edges if edge > at), default=at + _DAY)
        return Interval(max(before, at - _DAY), min(after, at + _DAY))

    def changes(self, start: datetime, end: datetime) -> Iterator[Change]:
        """What changes after ``start``, up to ``end``."""
        for interval in self.intervals(start - 2 * _DAY, end + 2 * _DAY):
            if start < interval.start <= end:
                yield Change(interval.start, True)
            if start < interval.end <= end:
                yield Change(interval.end, False)

    def next_change(self, at: datetime) -> Change | None:
        """The first change after ``at``; None: there is none within 400 days."""
        for days in (8, LOOK_AHEAD_DAYS):
            if found := next(self.changes(at, at + days * _DAY), None):
                return found
        return None

    def intervals(self, start: datetime, end: datetime) -> list[Interval]:
        """Intervals that begin on a day from before ``start`` until ``end``, in order, joined where they meet."""
        first = start.astimezone(self.zone).date() - 2 * _DAY
        last = end.astimezone(self.zone).date()
        found = []
        for number in range((last - first).days + 1):
            day = first + number * _DAY
            found += [span for entry in self.entries if (span := self._on(entry, day)) is not None]
        return _joined(sorted(found))

    def _on(self, entry: Entry, day: date) -> Interval | None:
        """What the entry makes of the day; None where it makes nothing of it."""
        if day.weekday() not in entry.days or not self._happens(entry.start, day):
            return None
        start = self._at(entry.start, day, ending=False)
        end = self._at(entry.end, day, ending=True)
        if self._ends_next_day(entry, start, end, day):
            end = self._at(entry.end, day + _DAY, ending=True)
        return Interval(start, end) if end > start else None

    def _ends_next_day(self, entry: Entry, start: datetime, end: datetime, day: date) -> bool:
        both = entry.start.sun, entry.end.sun
        if None not in both:
            # By the sun itself, not by the offsets: sunrise comes after sunset on the next day, however short the night is.
            return both != ("sunrise", "sunset")
        if entry.start.clock is not None and entry.end.clock is not None:
            return entry.end.clock <= entry.start.clock
        return end <= start

    def _happens(self, boundary: Boundary, day: date) -> bool:
        if boundary.sun is None:
            return True
        sun = self._sun(day)
        return sun.sets != "midnight_sun" if boundary.sun == "sunset" else sun.rises != "polar_night"

    def _at(self, boundary: Boundary, day: date, *, ending: bool) -> datetime:
        if boundary.clock is not None:
            days, clock = divmod(boundary.clock, _DAY)
            return instant(day + days * _DAY, clock, self.zone, ending=ending)
        sun = self._sun(day)
        return (sun.sunrise if boundary.sun == "sunrise" else sun.sunset) + boundary.offset

    def _sun(self, day: date) -> SunDay:
        assert self.place is not None
        return _sun_day(self.place, day, self.zone)


@lru_cache(maxsize=4096)
def _sun_day(place: Place, day: date, zone: ZoneInfo) -> SunDay:
    offset = datetime.combine(day, time(12), zone).utcoffset()
    assert offset is not None
    return sun_day(place, day, offset)


def instant(day: date, clock: timedelta, zone: ZoneInfo, *, ending: bool) -> datetime:
    """When the clock on the wall shows ``clock`` (under 24 hours) on that day, UTC. See the module for times that come twice or never."""
    wall = datetime.combine(day, time(0)) + clock
    first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first.astimezone(zone).replace(tzinfo=None) != wall:
        return _jump(second, first, zone)  # skipped: the later reading is the one by the clock before the jump
    return second if ending else first


def _jump(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    """The instant between the two at which the zone's offset changes, to the second."""
    before = low.astimezone(zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = (low + (high - low) / 2).replace(microsecond=0)
        if middle <= low:
            break
        if middle.astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high


def _joined(found: Sequence[Interval]) -> list[Interval]:
    joined: list[Interval] = []
    for interval in found:
        if joined and interval.start - joined[-1].end < _SEAM:
            joined[-1] = Interval(joined[-1].start, max(joined[-1].end, interval.end))
        else:
            joined.append(interval)
    return joined
